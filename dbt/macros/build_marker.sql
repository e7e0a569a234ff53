{#-
    Begins the marker of a build: a row of ops.builds without an end. Whoever ran dbt as part of a Dagster run ends it when
    every result is known (netflix_assets/warehouse/builds.py); a build that is killed, or that dbt is asked for by hand,
    leaves it open, and nothing is published until a whole build has passed again.

    Where the table is missing nothing has been published either, and dbt goes on without it. `commit` on DuckDB, where a
    hook is part of a transaction that a killed dbt takes with it.
-#}
{% macro begin_build_marker() -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'snapshot', 'retry', 'clone') -%}
        {%- set builds = adapter.get_relation(target.database, 'ops', 'builds') -%}
        {%- if builds -%}
            insert into {{ builds }} (invocation_id, run_id, schema_prefix, started_at)
            select '{{ invocation_id }}', '{{ env_var("NETFLIX_RUN_ID", "") }}', '{{ schema_prefix() }}', {{ utc_now() }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
