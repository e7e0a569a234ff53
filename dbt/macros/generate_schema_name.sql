{#- A model's schema is the name of its layer in every environment (core, not main_core). Environments differ in the
    database, so consumers run the same query everywhere. Only a branch that shares a database adds
    NETFLIX_SCHEMA_PREFIX (branch_7_core). Sources have no prefix: all branches read the same loads. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ schema_prefix() ~ (custom_schema_name | trim) if custom_schema_name else target.schema }}
{%- endmacro %}


{% macro schema_prefix() -%}
    {%- set prefix = env_var('NETFLIX_SCHEMA_PREFIX', '') -%}
    {%- if prefix and not modules.re.fullmatch('[a-z][a-z0-9_]*_', prefix) -%}
        {{ exceptions.raise_compiler_error(
            "NETFLIX_SCHEMA_PREFIX='" ~ prefix ~ "' is not valid; "
            ~ "use snake_case and end in an underscore, as in 'branch_7_'"
        ) }}
    {%- endif -%}
    {{ return(prefix) }}
{%- endmacro %}
