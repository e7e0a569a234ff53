{{
    config(
        materialized='incremental',
        incremental_strategy='by_loads',
        unique_key=['shipment_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}

{%- set key = ['shipment_id'] %}
{%- set staging = ref('stg_shop__shipments') %}
{%- set ledger = ref('stg_ops__loads') %}
{%- set affected = 'affected_keys' if is_incremental() else none %}

with

{% if is_incremental() -%}

affected_keys as (

    {{ affected_keys(staging, ledger, 'shop/shipments', key) }}

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
        shipment_id,
        order_id,
        warehouse_id,
        carrier,
        shipped_at,
        {{ week_start('cast(shipped_at as date)') }} as week_start,
        delivered_at,
        _load_id
    from with_removed

)

select * from final
