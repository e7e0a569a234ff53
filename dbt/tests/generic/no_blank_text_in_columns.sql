{#- A text is there or it is null; it is never empty and never only blanks. -#}
{% test no_blank_text_in_columns(model, columns) %}

select {{ columns | join(', ') }}
from {{ model }}
where
    {% for column in columns -%}
    {{ 'or ' if not loop.first }}{{ trimmed(column) }} = ''
    {% endfor %}

{% endtest %}
