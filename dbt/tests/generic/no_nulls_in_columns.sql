{#- None of the columns is null. One scan checks all columns, which matters on a fact of 25 million rows. -#}
{% test no_nulls_in_columns(model, columns) %}

select *
from {{ model }}
where
    {% for column in columns -%}
    {{ 'or ' if not loop.first }}{{ column }} is null
    {% endfor %}

{% endtest %}
