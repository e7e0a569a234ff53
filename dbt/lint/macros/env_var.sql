{#- Stands in for dbt's env_var when sqlfluff renders the models; dbt never reads this folder. -#}
{% macro env_var(name, default='') %}{{ default }}{% endmacro %}
