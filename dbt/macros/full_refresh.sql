{#- Overrides dbt's own. An incremental model whose code has changed, or code that it reads from, is built from nothing:
    rows of two versions would mix otherwise. The step that calls dbt names these models (netflix_assets/defs/dbt). -#}
{% macro should_full_refresh() -%}
    {%- set configured = config.get('full_refresh') -%}
    {%- if configured is none -%}
        {%- set configured = flags.FULL_REFRESH or model.unique_id in env_var('NETFLIX_REBUILT', '').split(' ') -%}
    {%- endif -%}
    {{ return(configured) }}
{%- endmacro %}
