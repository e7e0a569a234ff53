with

lines as (

    select * from {{ ref('fct_order_lines') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

titles as (

    select * from {{ ref('dim_netflix_titles') }}

),

by_product as (

    select
        lines.product_id,
        {{ sales_measures('lines') }}
    from lines
    group by lines.product_id

),

joined as (

    select
        by_product.*,
        products.sku,
        products.product_name,
        coalesce(products.product_type, 'unknown') as product_type,
        products.is_active,
        products.title_id,
        titles.title as title_name,
        by_product.margin is not null and by_product.n_lines >= {{ var('margin_min_lines') }} as is_ranked
    from by_product
    left join products
        on by_product.product_id = products.product_id
    left join titles
        on products.title_id = titles.title_id

),

final as (

    select
        product_id,
        sku,
        product_name,
        product_type,
        is_active,
        title_id,
        title_name,
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
        cast(refunded_usd as double)
        / nullif(cast(revenue_usd + refunded_usd as double), 0) as refunded_share,
        cast(revenue_usd as double) / nullif(cast(sum(revenue_usd) over () as double), 0) as revenue_share,
        cast(
            row_number() over (order by revenue_usd desc nulls last, product_id asc nulls last) as integer
        ) as revenue_rank,
        case
            when is_ranked
                then cast(
                    row_number() over (
                        partition by is_ranked order by margin desc nulls last, product_id asc nulls last
                    ) as integer
                )
        end as margin_rank
    from joined

)

select * from final
