{#- Condition: the day is within the period that the marts cover (up to var as_of_date; all days if it is empty). -#}
{% macro up_to_as_of_date(day) -%}
    {%- if var('as_of_date') -%}
    {{ day }} <= cast('{{ var("as_of_date") }}' as date)
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}


{#- The marts' "now" as a scalar: var as_of_date, or the latest `day` in `relation` if it is empty. -#}
{% macro as_of_date(day, relation) -%}
    {%- if var('as_of_date') -%}
    cast('{{ var("as_of_date") }}' as date)
    {%- else -%}
    (select max({{ day }}) from {{ relation }})
    {%- endif -%}
{%- endmacro %}
