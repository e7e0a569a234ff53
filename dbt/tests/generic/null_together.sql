{#- In every row, either all or none of the columns are null. -#}
{% test null_together(model, columns) %}

select *
from {{ model }}
where
    {% for column in columns[1:] -%}
    {{ 'or ' if not loop.first }}({{ columns[0] }} is null) != ({{ column }} is null)
    {% endfor %}

{% endtest %}
