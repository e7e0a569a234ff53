{#-
    Opens the build marker: a row in ops.builds without an end. A Dagster run closes it once all results are known
    (netflix_assets/warehouse/builds.py). A build that is killed or started by hand leaves it open, and nothing is
    published until a complete build has passed.

    Missing tables of the source `dbt` are created, so that its models can also be built by hand. If the schema ops is
    missing, nothing has been loaded and dbt runs without a marker.

    dbt-duckdb opens a transaction for the hook and would roll it back at the end, so the hook commits it.
-#}
{% macro begin_build_marker() -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'snapshot', 'retry', 'clone')
        and adapter.check_schema_exists(target.database, 'ops') -%}
        {%- do make_build_tables() -%}
        {%- set columns = 'invocation_id, run_id, schema_prefix, started_at' -%}
        {%- set run_id = env_var('NETFLIX_RUN_ID', '') | replace("'", '') -%}
        {%- do run_query(
            'insert into ' ~ target.database ~ '.ops.builds (' ~ columns ~ ") select '" ~ invocation_id ~ "', '"
            ~ run_id ~ "', '" ~ schema_prefix() ~ "', " ~ utc_now()
        ) -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{%- endmacro %}


{% macro make_build_tables() -%}
    {%- for table in graph.sources.values() if table.source_name == 'dbt'
            and not adapter.get_relation(table.database, table.schema, table.identifier) -%}
        {%- set columns = [] -%}
        {%- for column in table.columns.values() -%}
            {%- do columns.append(column.name ~ ' ' ~ column.data_type) -%}
        {%- endfor -%}
        {%- do run_query(
            'create table if not exists ' ~ target.database ~ '.ops.' ~ table.identifier
            ~ ' (' ~ columns | join(', ') ~ ')'
        ) -%}
    {%- endfor -%}
{%- endmacro %}
