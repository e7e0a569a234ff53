{#-
    Whether this model's table is rebuilt from scratch and not updated. dbt calls it to decide whether a model
    is_incremental(). Besides dbt's own reasons (the option --full-refresh, the config of the model), a model is
    rebuilt if NETFLIX_REBUILD_NODES names it: its rows come from other code, its own or that of a model or macro it
    reads.

    An environment variable, because dbt parses the whole project again when --vars change. The names are separated
    by commas.
-#}
{% macro should_full_refresh() -%}
    {%- set configured = config.get('full_refresh') -%}
    {%- set is_named = model.name in env_var('NETFLIX_REBUILD_NODES', '').split(',') -%}
    {{ return((flags.FULL_REFRESH if configured is none else configured) or is_named) }}
{%- endmacro %}
