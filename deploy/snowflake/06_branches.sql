-- 6. Branches, in dev only.
-- Run as: SYSADMIN. Needs: 05_grants.sql.
-- With NETFLIX_SCHEMA_PREFIX dbt builds into schemas of its own (branch_7_core), which it has to create. They are owned by
-- the transformer, who can drop them again. In the other environments no schema comes into being unseen.

use role sysadmin;

grant create schema on database ${database} to role ${transformer_role};
