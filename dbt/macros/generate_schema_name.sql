{#- A model's schema is its layer's name in every environment (core, never main_core): the environments differ in the
    database, so that a consumer's query is the same everywhere. Only a branch that shares a database with others puts
    NETFLIX_SCHEMA_PREFIX in front (branch_7_core). Sources are never prefixed: a branch reads what all have loaded. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ schema_prefix() ~ (custom_schema_name | trim) if custom_schema_name else target.schema }}
{%- endmacro %}


{% macro schema_prefix() -%}
    {%- set prefix = env_var('NETFLIX_SCHEMA_PREFIX', '') -%}
    {%- if prefix and not modules.re.fullmatch('[a-z][a-z0-9_]*_', prefix) -%}
        {{ exceptions.raise_compiler_error(
            "NETFLIX_SCHEMA_PREFIX='" ~ prefix ~ "': it must be snake_case and end in an underscore, such as 'branch_7_'"
        ) }}
    {%- endif -%}
    {{ return(prefix) }}
{%- endmacro %}
