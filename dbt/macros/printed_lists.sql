{#-
    Lists as printed by Python: ['drama', 'crime'], ["women's film", 'drama'], []. The contract's pattern ensures that
    an element in single quotes contains no single quotes, and one in double quotes no double quotes. Text functions are
    enough and work the same on both warehouses. Parsing as JSON would require replacing single quotes, which elements
    can contain.
-#}

{#- Separator between elements after printed_list_body, escaped for use inside a string literal. -#}
{% macro printed_list_separator() -%}
    {{ return("'', ''") }}
{%- endmacro %}

{#- The list without its ends ([' and ']) and with a single kind of separator; null if the list is empty. -#}
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
