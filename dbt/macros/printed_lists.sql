{#-
    Lists as Python prints them: ['drama', 'crime'], ["women's film", 'drama'], []. The contract's pattern sees to it that an
    element between apostrophes holds none and one between quotes holds none. Text functions do, which both warehouses have
    alike: JSON would need the apostrophes replaced, and an element may hold one.
-#}

{#- What stands between two elements when printed_list_body is through with them, as the inside of a text literal. -#}
{% macro printed_list_separator() -%}
    {{ return("'', ''") }}
{%- endmacro %}

{#- The list without its ends ([' and ']) and with one form of separator; null where the list is empty. -#}
{% macro printed_list_body(text) -%}
    replace(
        replace(
            replace(
                substr(nullif({{ text }}, '[]'), 3, length({{ text }}) - 4),
                '", "', '{{ printed_list_separator() }}'
            ),
            '", ''', '{{ printed_list_separator() }}'
        ),
        ''', "', '{{ printed_list_separator() }}'
    )
{%- endmacro %}
