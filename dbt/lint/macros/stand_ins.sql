{#- Stand in for dbt's own when sqlfluff renders the models; dbt never reads this folder. A var is a number: templates say
    `| int`. -#}
{% macro env_var(name, default='') %}{{ default }}{% endmacro %}
{% macro var(name, default='') %}3{% endmacro %}
