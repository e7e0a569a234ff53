{#- Stand-ins for dbt's own macros when sqlfluff renders the models; dbt does not read this folder. Every var is a
    number because templates apply `| int`. -#}
{% macro env_var(name, default='') %}{{ default }}{% endmacro %}
{% macro var(name, default='') %}3{% endmacro %}
