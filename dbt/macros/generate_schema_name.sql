{#- A model's schema is its layer's name in every environment (core, never main_core): the environments differ in the
    database, so that a consumer's query is the same everywhere. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
