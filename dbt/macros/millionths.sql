{#- A share as a whole number of millionths: sums of these are the same in any order, which sums of doubles are not. -#}
{% macro millionths(share) -%}
    cast(floor({{ share }} * 1000000 + 0.5) as bigint)
{%- endmacro %}
