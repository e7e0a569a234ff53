{#-
    Begins the marker of a build: a row of ops.builds without an end. Whoever ran dbt as part of a Dagster run ends it when
    every result is known (netflix_assets/warehouse/builds.py); a build that is killed, or that dbt is asked for by hand,
    leaves it open, and nothing is published until a whole build has passed again.

    The tables of the source `dbt` are made where they are missing, so that its models can be built by hand too. Where the
    schema ops is missing nothing has been loaded, and dbt goes on without a marker.

    dbt-duckdb has a transaction open for the hook and would roll it back at the end, so it is committed here.
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
