with

stock as (

    select * from {{ ref('fct_stock_levels') }}

),

shipments as (

    select * from {{ ref('fct_shipments') }}

),

lines as (

    select * from {{ ref('fct_order_lines') }}

),

warehouses as (

    select * from {{ ref('dim_warehouses') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

-- An order may be sent in several parcels; its lines left with the first one.
first_shipments as (

    select * from shipments
    qualify row_number() over (
        partition by order_id order by shipped_at asc nulls last, shipment_id asc nulls last
    ) = 1

),

shipped as (

    select
        first_shipments.warehouse_id,
        lines.product_id,
        first_shipments.week_start,
        sum(lines.quantity) as n_pieces
    from first_shipments
    inner join lines
        on first_shipments.order_id = lines.order_id
    where lines.line_status in ('fulfilled', 'returned')
    group by first_shipments.warehouse_id, lines.product_id, first_shipments.week_start

),

-- Of several counts in a week, the last one is the stock of the week.
weeks as (

    select * from stock
    qualify row_number() over (
        partition by warehouse_id, product_id, week_start order by counted_on desc nulls last
    ) = 1

),

joined as (

    select
        weeks.*,
        cast(coalesce(shipped.n_pieces, 0) as bigint) as n_shipped
    from weeks
    left join shipped
        on
            weeks.warehouse_id = shipped.warehouse_id
            and weeks.product_id = shipped.product_id
            and weeks.week_start = shipped.week_start

),

averaged as (

    select
        *,
        avg(cast(n_shipped as double)) over (
            partition by warehouse_id, product_id
            order by week_start asc nulls last
            rows between 3 preceding and current row
        ) as avg_shipped_4_weeks
    from joined

),

final as (

    select
        averaged.week_start,
        averaged.warehouse_id,
        averaged.product_id,
        warehouses.warehouse_name,
        products.product_name,
        averaged.counted_on,
        averaged.on_hand,
        averaged.reorder_point,
        averaged.on_hand <= averaged.reorder_point as is_low_stock,
        averaged.n_shipped,
        averaged.avg_shipped_4_weeks,
        averaged.on_hand / nullif(averaged.avg_shipped_4_weeks, 0) as weeks_of_supply
    from averaged
    left join warehouses
        on averaged.warehouse_id = warehouses.warehouse_id
    left join products
        on averaged.product_id = products.product_id

)

select * from final
