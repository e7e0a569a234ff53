{#- Text is either null or has content: it is not empty and not only blanks. -#}
{% test no_blank_text_in_columns(model, columns) %}

select *
from {{ model }}
where
    {% for column in columns -%}
    {{ 'or ' if not loop.first }}{{ trimmed(column) }} = ''
    {% endfor %}

{% endtest %}
