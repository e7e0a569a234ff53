{#- `dbt clone` makes the tables of a branch (netflix_assets/operations/branch.py). Snowflake clones without copying.
    DuckDB cannot, so dbt would make views of the environment's tables, which change under the branch: copy them.

    dbt-duckdb opens a transaction and dbt's materialization does not commit it, as Snowflake needs none. -#}
{% macro duckdb__can_clone_table() %}
    {{ return(true) }}
{% endmacro %}


{% macro duckdb__create_or_replace_clone(this_relation, defer_relation) %}
    {%- do run_query('create or replace table ' ~ this_relation ~ ' as select * from ' ~ defer_relation) -%}
    {%- do adapter.commit() -%}
    select 1
{% endmacro %}
