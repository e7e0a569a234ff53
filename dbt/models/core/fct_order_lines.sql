with

orders as (

    {{ latest_versions(ref('stg_shop__orders'), ['order_id']) }}

),

lines as (

    {{ latest_versions(ref('stg_shop__order_lines'), ['order_id', 'line_number']) }}

),

costs as (

    select * from {{ ref('dim_product_cost_versions') }}

),

customers as (

    select * from {{ ref('dim_customer_versions') }}

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
        orders.ordered_at,
        cast(orders.ordered_at as date) as ordered_on,
        orders.country_code,
        orders.state_code,
        orders.currency,
        lines.quantity,
        lines.unit_price,
        lines.discount,
        costs.unit_cost_usd
    from lines
    inner join orders
        on lines.order_id = orders.order_id
    left join costs
        on
            lines.product_id = costs.product_id
            and orders.ordered_at >= costs.valid_from
            and (orders.ordered_at < costs.valid_to or costs.valid_to is null)
    left join customers
        on
            orders.customer_id = customers.customer_id
            and orders.ordered_at >= customers.valid_from
            and (orders.ordered_at < customers.valid_to or customers.valid_to is null)

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
        order_status not in ('cart', 'cancelled') and line_status != 'cancelled' as is_sold,
        order_status not in ('cart', 'cancelled')
        and (
            line_status = 'returned'
            or (order_status = 'refunded' and line_status != 'cancelled')
        ) as is_returned,
        ordered_at,
        ordered_on,
        {{ week_start('ordered_on') }} as week_start,
        country_code,
        state_code,
        currency,
        quantity,
        unit_price,
        cast(unit_price * quantity as decimal(24, 2)) as gross_amount,
        discount,
        cast(unit_price * quantity - discount as decimal(24, 2)) as net_amount,
        unit_cost_usd,
        cast(unit_cost_usd * quantity as decimal(26, 4)) as cost_usd
    from joined

)

select * from final
