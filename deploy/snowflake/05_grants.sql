-- 5. Who may do what in ${env}.
-- Run as: SYSADMIN, which owns databases, warehouses and stages. Needs: 01 to 04.
-- A role has what it needs for its step and nothing of the others. Nobody but SYSADMIN can create a schema, so a
-- misspelt one is an error. Future grants cover what a later build makes, also by `create or replace`.

use role sysadmin;

-- The loader: raw and ops, nothing else. It needs no access to the storage integration, only to the stage on it.
grant usage on warehouse ${load_warehouse} to role ${loader_role};
grant usage on database ${database} to role ${loader_role};
grant usage, create table, create view on schema ${database}.RAW to role ${loader_role};
grant usage, create table, create view on schema ${database}.OPS to role ${loader_role};
grant usage on stage ${database}.RAW.LANDING to role ${loader_role};
grant read, write on stage ${database}.RAW.NORMALISED to role ${loader_role};

-- The transformer reads what the loader made ...
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

-- ... keeps its own record of what it has built beside theirs ...
grant create table on schema ${database}.OPS to role ${transformer_role};

-- ... builds the other schemas, and owns what it has built there ...
grant usage, create table, create view, create dynamic table on schema ${database}.STAGING to role ${transformer_role};
grant usage, create table, create view, create dynamic table on schema ${database}.INTERMEDIATE to role ${transformer_role};
grant usage, create table, create view, create dynamic table on schema ${database}.CORE to role ${transformer_role};
grant usage, create table, create view, create dynamic table on schema ${database}.MARTS to role ${transformer_role};
grant usage, create table, create view on schema ${database}.SNAPSHOTS to role ${transformer_role};
grant usage, create table, create view on schema ${database}.SEEDS to role ${transformer_role};

-- The reader sees what is published, and the database behind it not at all. The schemas that are swapped in have the same
-- grants, because in a swap the grants go with the schema.
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

-- The transformer publishes what has passed. Only who owns both schemas may swap them, so these four are its own: it may
-- do with them what it likes, show them to others too, but it can make no schema and drop no database here.
grant usage on database ${serving_database} to role ${transformer_role};
grant ownership on schema ${serving_database}.CORE to role ${transformer_role} copy current grants;
grant ownership on schema ${serving_database}.MARTS to role ${transformer_role} copy current grants;
grant ownership on schema ${serving_database}.CORE_NEXT to role ${transformer_role} copy current grants;
grant ownership on schema ${serving_database}.MARTS_NEXT to role ${transformer_role} copy current grants;
