{#- When a dataset was last loaded, for source freshness. A dataset without objects is awaited, not stale. It counts as
    fresh because nothing in the warehouse has aged. -#}
{% macro newest_load(dataset) -%}
    select coalesce(max(loaded_at), {{ utc_now() }})
    from {{ source('ops', 'loads') }}
    where dataset = '{{ dataset }}'
{%- endmacro %}
