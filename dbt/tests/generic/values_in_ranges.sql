{#- Values lie within their column's range, [least, greatest], both included; null leaves a side open. Null values are
    not judged here. One scan and one check for all columns of a model: eighty checks of their own took longer than the
    models. -#}
{% test values_in_ranges(model, ranges) %}

select {{ ranges | join(', ') }}
from {{ model }}
where
    false
    {%- for column, bounds in ranges.items() %}
    {%- if bounds[0] is not none %}
    or {{ column }} < {{ bounds[0] }}
    {%- endif %}
    {%- if bounds[1] is not none %}
    or {{ column }} > {{ bounds[1] }}
    {%- endif %}
    {%- endfor %}

{% endtest %}
