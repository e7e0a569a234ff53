with

lines as (

    select * from {{ ref('fct_order_lines') }}
    where is_sold

),

products as (

    select * from {{ ref('dim_products') }}

),

final as (

    select
        lines.week_start,
        coalesce(products.product_type, 'unknown') as product_type,
        lines.currency,
        count(distinct lines.order_id) as n_orders,
        count(*) as n_lines,
        cast(sum(lines.quantity) as bigint) as n_pieces,
        cast(sum(lines.gross_amount) as decimal(38, 2)) as gross_amount,
        cast(sum(lines.discount) as decimal(38, 2)) as discount,
        cast(sum(lines.net_amount) as decimal(38, 2)) as net_amount,
        cast(
            sum(case when lines.is_returned then lines.net_amount else 0 end) as decimal(38, 2)
        ) as returned_amount,
        cast(coalesce(sum(lines.cost_usd), 0) as decimal(38, 4)) as cost_usd
    from lines
    left join products
        on lines.product_id = products.product_id
    group by lines.week_start, coalesce(products.product_type, 'unknown'), lines.currency

)

select * from final
