{{
    config(
        materialized='incremental',
        incremental_strategy='by_loads',
        unique_key=['order_id', 'line_number'],
        on_schema_change='fail',
        tmp_relation_type='table',
        cluster_by=["date_trunc('month', ordered_on)"],
    )
}}
{#- All lines of an order are computed again if a load added or removed a version of the order or of a line, or if a
    line's customer version, price, cost or exchange rate is no longer the one that is valid for it. -#}

{%- set key = ['order_id', 'line_number'] %}
{%- set staged_orders = ref('stg_shop__orders') %}
{%- set staged_lines = ref('stg_shop__order_lines') %}
{%- set ledger = ref('stg_ops__loads') %}
{%- set affected_orders = 'affected_orders' if is_incremental() else none %}

with

statuses as (

    select * from {{ ref('dim_order_statuses') }}

),

costs as (

    select * from {{ ref('dim_product_cost_versions') }}

),

prices as (

    select * from {{ ref('dim_product_price_versions') }}

),

customers as (

    select * from {{ ref('dim_customer_versions') }}

),

rates as (

    select * from {{ ref('fct_exchange_rates') }}

),

{% if is_incremental() -%}

first_rates as (

    select
        currency,
        min(valid_from) as valid_from
    from rates
    group by currency

),

-- Compared with what is valid now, not with what has changed: a late rate or a cost that is corrected back in time then
-- affects only the lines that it is valid for, and a snapshot in which every row is delivered again affects none.
outdated_orders as (

    select distinct existing_rows.order_id
    from {{ this }} as existing_rows
    left join costs
        on
            existing_rows.product_id = costs.product_id
            and {{ is_valid_at('costs', 'existing_rows.ordered_at') }}
    left join prices
        on
            existing_rows.product_id = prices.product_id
            and existing_rows.currency = prices.currency
            and {{ is_valid_at('prices', 'existing_rows.ordered_at') }}
    left join customers
        on
            existing_rows.customer_id = customers.customer_id
            and {{ is_valid_at('customers', 'existing_rows.ordered_at') }}
    -- The rate that the line has, if it is still the newest one at that moment.
    left join rates
        on
            existing_rows.currency = rates.currency
            and existing_rows.rate_at = rates.valid_from
            and (existing_rows.ordered_at < rates.valid_to or rates.valid_to is null)
    left join first_rates
        on existing_rows.currency = first_rates.currency
    where
        existing_rows.unit_cost_usd is distinct from costs.unit_cost_usd
        or existing_rows.list_unit_price is distinct from prices.list_price
        or existing_rows.customer_version_number is distinct from customers.version_number
        or case
            when existing_rows.rate_at is null then existing_rows.ordered_at >= first_rates.valid_from
            else existing_rows.rate_to_usd is distinct from rates.rate_to_usd
        end

),

affected_orders as (

    {{ affected_keys(staged_orders, ledger, 'shop/orders', ['order_id'], load_id='_order_load_id') }}

    union

    {{ affected_keys(staged_lines, ledger, 'shop/order_lines', ['order_id']) }}

    union

    {{ keys_without_row(staged_lines, ['order_id'], row_key=key) }}

    union

    select order_id from outdated_orders

),

{% endif -%}

orders as (

    {{ latest_versions(staged_orders, ['order_id'], among=affected_orders) }}

),

lines as (

    {{ latest_versions(staged_lines, key, among=affected_orders, among_key=['order_id']) }}

),

-- The newest rate at each order's moment. A sort of orders and rates together, because joining orders with hourly rates
-- by intervals compares each order with all of them; both warehouses have ASOF JOIN, but in different words.
moments as (

    select distinct
        currency,
        ordered_at,
        ordered_at as happened_at,
        cast(null as timestamp) as rate_at
    from orders

    union all

    select
        currency,
        cast(null as timestamp) as ordered_at,
        valid_from as happened_at,
        valid_from as rate_at
    from rates

),

newest_rates as (

    select
        currency,
        ordered_at,
        max(rate_at) over (
            partition by currency
            order by happened_at asc nulls last
            range between unbounded preceding and current row
        ) as rate_at
    from moments

),

order_rates as (

    select
        newest_rates.currency,
        newest_rates.ordered_at,
        newest_rates.rate_at,
        rates.rate_to_usd
    from newest_rates
    inner join rates
        on
            newest_rates.currency = rates.currency
            and newest_rates.rate_at = rates.valid_from
    where newest_rates.ordered_at is not null

),

-- Left joins on half-open intervals: a line whose cost or customer is not known stays, and none is there twice.
joined as (

    select
        lines.order_id,
        lines.line_number,
        orders.order_number,
        orders.customer_id,
        customers.version_number as customer_version_number,
        lines.product_id,
        orders.promotion_id,
        orders.status as order_status,
        lines.status as line_status,
        case
            when statuses.outcome in ('cart', 'cancelled') then statuses.outcome
            when lines.status = 'cancelled' then 'cancelled'
            when lines.status = 'returned' then 'refunded'
            else statuses.outcome
        end as outcome,
        orders.ordered_at,
        cast(orders.ordered_at as date) as ordered_on,
        orders.country_code,
        orders.state_code,
        orders.currency,
        lines.quantity,
        lines.unit_price,
        lines.discount,
        prices.list_price as list_unit_price,
        costs.unit_cost_usd,
        order_rates.rate_at,
        case
            when orders.currency = 'USD' then cast(1 as decimal(20, 10)) else order_rates.rate_to_usd
        end as rate_to_usd,
        lines._load_id,
        orders._load_id as _order_load_id
    from lines
    inner join orders
        on lines.order_id = orders.order_id
    left join statuses
        on orders.status = statuses.order_status
    left join costs
        on
            lines.product_id = costs.product_id
            and {{ is_valid_at('costs', 'orders.ordered_at') }}
    left join prices
        on
            lines.product_id = prices.product_id
            and orders.currency = prices.currency
            and {{ is_valid_at('prices', 'orders.ordered_at') }}
    left join order_rates
        on
            orders.currency = order_rates.currency
            and orders.ordered_at = order_rates.ordered_at
    left join customers
        on
            orders.customer_id = customers.customer_id
            and {{ is_valid_at('customers', 'orders.ordered_at') }}

),

priced as (

    select
        *,
        -- The first factor decides whether DuckDB computes with 18 digits or with 38.
        cast(cast(unit_price as decimal(24, 2)) * quantity as decimal(24, 2)) as gross_amount,
        cast(cast(unit_price as decimal(24, 2)) * quantity - discount as decimal(24, 2)) as net_amount,
        cast(cast(unit_cost_usd as decimal(26, 4)) * quantity as decimal(26, 4)) as cost_usd
    from joined

),

converted as (

    select
        *,
        cast(net_amount * rate_to_usd as decimal(26, 4)) as net_usd
    from priced

),

with_removed as (

    {{ with_removed('converted', key, 'affected_orders', affected_key=['order_id']) }}

),

final as (

    select
        order_id,
        line_number,
        order_number,
        customer_id,
        customer_version_number,
        product_id,
        promotion_id,
        order_status,
        line_status,
        outcome,
        outcome in ('kept', 'refunded') as is_sold,
        outcome = 'refunded' as is_returned,
        ordered_at,
        ordered_on,
        {{ week_start('ordered_on') }} as week_start,
        country_code,
        state_code,
        currency,
        quantity,
        list_unit_price,
        unit_price,
        gross_amount,
        discount,
        net_amount,
        unit_cost_usd,
        cost_usd,
        rate_to_usd,
        rate_at,
        cast(datediff('second', rate_at, ordered_at) as double) / 3600 as rate_age_hours,
        net_usd,
        cast(case when outcome = 'kept' then net_usd else 0 end as decimal(26, 4)) as revenue_usd,
        cast(case when outcome = 'kept' then net_usd - cost_usd else 0 end as decimal(27, 4)) as profit_usd,
        case
            when outcome = 'kept' then cast(net_usd - cost_usd as double) / nullif(cast(net_usd as double), 0)
        end as margin,
        cast(case when outcome = 'refunded' then net_usd else 0 end as decimal(26, 4)) as refunded_usd,
        cast(case when outcome = 'cancelled' then net_usd else 0 end as decimal(26, 4)) as cancelled_usd,
        _load_id,
        _order_load_id
    from with_removed

)

select * from final
