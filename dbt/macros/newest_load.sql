{#- When a dataset was last loaded, for the sources' freshness. A dataset that no object has arrived for is awaited, not stale:
    it counts as fresh, because nothing in the warehouse has aged. -#}
{% macro newest_load(dataset) -%}
    select coalesce(max(loaded_at), {{ utc_now() }})
    from {{ source('ops', 'loads') }}
    where dataset = '{{ dataset }}'
{%- endmacro %}
