{{
    config(
        materialized='incremental',
        incremental_strategy='by_loads',
        unique_key=['production_order_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}

{%- set key = ['production_order_id'] %}
{%- set staging = ref('stg_finance__production_orders') %}
{%- set ledger = ref('stg_ops__loads') %}
{%- set affected = 'affected_keys' if is_incremental() else none %}

with

{% if is_incremental() -%}

affected_keys as (

    {{ affected_keys(staging, ledger, 'finance/production_orders', key) }}

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
        production_order_id,
        product_id,
        warehouse_id,
        status,
        ordered_on,
        due_on,
        received_on,
        datediff('day', ordered_on, received_on) as lead_days,
        datediff('day', due_on, received_on) as days_late,
        quantity,
        scrap_rate,
        unit_cost_usd,
        cast(cast(unit_cost_usd as decimal(26, 4)) * quantity as decimal(26, 4)) as cost_usd,
        _load_id
    from with_removed

)

select * from final
