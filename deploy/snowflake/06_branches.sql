-- 6. Branches, in dev only.
-- Run as: SYSADMIN. Needs: 05_grants.sql.
-- With NETFLIX_SCHEMA_PREFIX, dbt creates separate schemas (branch_7_core) and builds into them. The transformer owns them
-- and can drop them again. In the other environments it cannot create schemas.

use role sysadmin;

grant create schema on database ${database} to role ${transformer_role};
