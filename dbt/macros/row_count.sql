{#-
    Report the row count of each relation as it is built, in dbt's own log. A process cannot open DuckDB's file while dbt
    holds it, so this is how Dagster shows row counts on materializations while the build goes on
    (netflix_assets/defs/dbt/build.py reads the line). Views about runs are left out: they gain rows when the build ends.
-#}
{% macro report_row_count() -%}
    {%- if execute and flags.WHICH == 'build' and 'run_dependent' not in model.tags -%}
        {%- do log('netflix_row_count ' ~ run_query('select count(*) from ' ~ this).rows[0][0], info=true) -%}
    {%- endif -%}
{%- endmacro %}
