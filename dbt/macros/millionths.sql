{#- A share as a whole number of millionths. Unlike doubles, whole numbers have the same sum in any order. -#}
{% macro millionths(share) -%}
    cast(floor({{ share }} * 1000000 + 0.5) as bigint)
{%- endmacro %}
