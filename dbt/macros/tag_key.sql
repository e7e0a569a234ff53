{#- How a tag's text is normalised, and the key of the result. One place, so that facts and dimension agree. -#}
{% macro normalized_tag(tag) -%}
    lower({{ trimmed(tag) }})
{%- endmacro %}

{% macro tag_key(tag) -%}
    md5({{ normalized_tag(tag) }})
{%- endmacro %}
