with

lines as (

    select * from {{ ref('fct_order_lines') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

typed as (

    select
        lines.*,
        coalesce(products.product_type, 'unknown') as product_type
    from lines
    left join products
        on lines.product_id = products.product_id

),

by_type as (

    select
        typed.product_type,
        count(distinct typed.product_id) as n_products,
        {{ sales_measures('typed') }}
    from typed
    group by typed.product_type

),

final as (

    select
        product_type,
        n_products,
        n_orders,
        n_lines,
        n_pieces,
        n_lines_without_rate,
        n_lines_without_cost,
        revenue_usd,
        cost_usd,
        profit_usd,
        margin,
        refunded_usd,
        cancelled_usd,
        cast(revenue_usd as double) / nullif(cast(sum(revenue_usd) over () as double), 0) as revenue_share,
        cast(n_pieces as double) / nullif(cast(sum(n_pieces) over () as double), 0) as pieces_share,
        cast(
            row_number() over (order by revenue_usd desc nulls last, product_type asc nulls last) as integer
        ) as revenue_rank,
        cast(
            row_number() over (order by n_pieces desc nulls last, product_type asc nulls last) as integer
        ) as pieces_rank
    from by_type

)

select * from final
