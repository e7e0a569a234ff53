{#- Values are within the range of their column, [min, max], inclusive. A null bound leaves that side open. Null values
    are ignored. One scan and one check cover all columns of a model: eighty separate checks took longer than the
    models. Like the other tests of rows it selects all columns, so that a failure can name the key. dbt only counts the
    rows, for which both warehouses read no more than the tested columns. -#}
{% test values_in_ranges(model, ranges) %}

select *
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
