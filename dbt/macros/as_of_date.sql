{#- The condition that a day lies within what the marts look at (var as_of_date; without it, everything does). -#}
{% macro up_to_as_of_date(day) -%}
    {%- if var('as_of_date') -%}
    {{ day }} <= cast('{{ var("as_of_date") }}' as date)
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}


{#- The marts' "now" as a scalar: the var, or else the newest of `day` in `relation`. -#}
{% macro as_of_date(day, relation) -%}
    {%- if var('as_of_date') -%}
    cast('{{ var("as_of_date") }}' as date)
    {%- else -%}
    (select max({{ day }}) from {{ relation }})
    {%- endif -%}
{%- endmacro %}
