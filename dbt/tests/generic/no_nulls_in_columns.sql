{#- None of the columns is null. One scan for all of them: on a fact of 25 million rows that counts. -#}
{% test no_nulls_in_columns(model, columns) %}

select {{ columns | join(', ') }}
from {{ model }}
where
    {% for column in columns -%}
    {{ 'or ' if not loop.first }}{{ column }} is null
    {% endfor %}

{% endtest %}
