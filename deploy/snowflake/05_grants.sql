-- 5. Grants of ${env}.
-- Run as: SYSADMIN, which owns databases, warehouses and stages. Needs: 01 to 04.
-- Each role has the privileges for its own step only. Only SYSADMIN can create a schema, so a misspelt name is an error.
-- Future grants cover tables and views that later builds create, including with `create or replace`.

use role sysadmin;

-- The loader writes to raw and ops. It needs the stage, but not the storage integration behind it.
grant usage on warehouse ${load_warehouse} to role ${loader_role};
grant usage on database ${database} to role ${loader_role};
grant usage, create table, create view on schema ${database}.RAW to role ${loader_role};
grant usage, create table, create view on schema ${database}.OPS to role ${loader_role};
grant usage on stage ${database}.RAW.LANDING to role ${loader_role};
grant read, write on stage ${database}.RAW.NORMALISED to role ${loader_role};

-- The transformer reads raw and ops.
grant usage on warehouse ${transform_warehouse} to role ${transformer_role};
grant usage on database ${database} to role ${transformer_role};
grant usage on schema ${database}.RAW to role ${transformer_role};
grant usage on schema ${database}.OPS to role ${transformer_role};
grant select on all tables in schema ${database}.RAW to role ${transformer_role};
grant select on future tables in schema ${database}.RAW to role ${transformer_role};
grant select on all views in schema ${database}.RAW to role ${transformer_role};
grant select on future views in schema ${database}.RAW to role ${transformer_role};
grant select on all tables in schema ${database}.OPS to role ${transformer_role};
grant select on future tables in schema ${database}.OPS to role ${transformer_role};
grant select on all views in schema ${database}.OPS to role ${transformer_role};
grant select on future views in schema ${database}.OPS to role ${transformer_role};

-- It keeps its record of builds in ops.
grant create table on schema ${database}.OPS to role ${transformer_role};

-- It builds the other schemas and owns the tables there.
grant usage, create table, create view, create dynamic table on schema ${database}.STAGING to role ${transformer_role};
grant usage, create table, create view, create dynamic table on schema ${database}.INTERMEDIATE to role ${transformer_role};
grant usage, create table, create view, create dynamic table on schema ${database}.CORE to role ${transformer_role};
grant usage, create table, create view, create dynamic table on schema ${database}.MARTS to role ${transformer_role};
grant usage, create table, create view on schema ${database}.SNAPSHOTS to role ${transformer_role};
grant usage, create table, create view on schema ${database}.SEEDS to role ${transformer_role};

-- The reader sees the published tables and nothing of ${database}. The _NEXT schemas have the same grants, because a
-- swap moves the grants along with the schema.
grant usage on warehouse ${read_warehouse} to role ${reader_role};
grant usage on database ${serving_database} to role ${reader_role};
grant usage on schema ${serving_database}.CORE to role ${reader_role};
grant usage on schema ${serving_database}.MARTS to role ${reader_role};
grant usage on schema ${serving_database}.CORE_NEXT to role ${reader_role};
grant usage on schema ${serving_database}.MARTS_NEXT to role ${reader_role};
grant select on all tables in schema ${serving_database}.CORE to role ${reader_role};
grant select on future tables in schema ${serving_database}.CORE to role ${reader_role};
grant select on all views in schema ${serving_database}.CORE to role ${reader_role};
grant select on future views in schema ${serving_database}.CORE to role ${reader_role};
grant select on all tables in schema ${serving_database}.MARTS to role ${reader_role};
grant select on future tables in schema ${serving_database}.MARTS to role ${reader_role};
grant select on all views in schema ${serving_database}.MARTS to role ${reader_role};
grant select on future views in schema ${serving_database}.MARTS to role ${reader_role};
grant select on all tables in schema ${serving_database}.CORE_NEXT to role ${reader_role};
grant select on future tables in schema ${serving_database}.CORE_NEXT to role ${reader_role};
grant select on all views in schema ${serving_database}.CORE_NEXT to role ${reader_role};
grant select on future views in schema ${serving_database}.CORE_NEXT to role ${reader_role};
grant select on all tables in schema ${serving_database}.MARTS_NEXT to role ${reader_role};
grant select on future tables in schema ${serving_database}.MARTS_NEXT to role ${reader_role};
grant select on all views in schema ${serving_database}.MARTS_NEXT to role ${reader_role};
grant select on future views in schema ${serving_database}.MARTS_NEXT to role ${reader_role};

-- The transformer publishes. Only the owner of two schemas can swap them, so it owns these four. That lets it share them
-- with other roles. It can neither create schemas nor drop databases here.
grant usage on database ${serving_database} to role ${transformer_role};
grant ownership on schema ${serving_database}.CORE to role ${transformer_role} copy current grants;
grant ownership on schema ${serving_database}.MARTS to role ${transformer_role} copy current grants;
grant ownership on schema ${serving_database}.CORE_NEXT to role ${transformer_role} copy current grants;
grant ownership on schema ${serving_database}.MARTS_NEXT to role ${transformer_role} copy current grants;
