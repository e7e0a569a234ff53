{{
    config(
        materialized='incremental',
        incremental_strategy='by_loads',
        unique_key=['warehouse_id', 'product_id', 'counted_on'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}

{%- set key = ['warehouse_id', 'product_id', 'counted_on'] %}
{%- set staging = ref('stg_shop__stock_levels') %}
{%- set ledger = ref('stg_ops__loads') %}
{%- set affected = 'affected_keys' if is_incremental() else none %}

with

{% if is_incremental() -%}

affected_keys as (

    {{ affected_keys(staging, ledger, 'shop/stock_levels', key) }}

    union

    {{ keys_without_row(staging, key) }}

),

{% endif -%}

latest as (

    {{ latest_versions(staging, key, among=affected) }}

),

with_removed as (

    {{ with_removed('latest', key, 'affected_keys') }}

),

final as (

    select
        warehouse_id,
        product_id,
        counted_on,
        {{ week_start('counted_on') }} as week_start,
        on_hand,
        reorder_point,
        _load_id
    from with_removed

)

select * from final
