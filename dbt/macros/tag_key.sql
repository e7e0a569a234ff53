{#- Normalises the text of a tag and computes its key. Defined once, so that facts and dimension agree. -#}
{% macro normalized_tag(tag) -%}
    lower({{ trimmed(tag) }})
{%- endmacro %}

{% macro tag_key(tag) -%}
    md5({{ normalized_tag(tag) }})
{%- endmacro %}
