with

lines as (

    select * from {{ ref('fct_order_lines') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

segments as (

    select * from {{ ref('mart_user_segments') }}

),

grouped as (

    select
        lines.*,
        case
            when lines.customer_id is null then 'forgotten'
            when customers.rating_user_id is null then 'does not rate'
            when segments.user_id is null then 'unknown user'
            else 'rates'
        end as customer_group,
        segments.segment_name
    from lines
    left join customers
        on lines.customer_id = customers.customer_id
    left join segments
        on customers.rating_user_id = segments.user_id

),

by_segment as (

    select
        coalesce(grouped.segment_name, grouped.customer_group) as segment_name,
        grouped.customer_group,
        count(distinct case when grouped.outcome = 'kept' then grouped.customer_id end) as n_customers,
        {{ sales_measures('grouped') }}
    from grouped
    group by coalesce(grouped.segment_name, grouped.customer_group), grouped.customer_group

),

final as (

    select
        segment_name,
        customer_group,
        n_customers,
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
        cast(revenue_usd as double) / nullif(cast(n_customers as double), 0) as revenue_per_customer_usd,
        cast(revenue_usd as double) / nullif(cast(sum(revenue_usd) over () as double), 0) as revenue_share,
        cast(
            row_number() over (
                order by
                    revenue_usd desc nulls last,
                    segment_name asc nulls last,
                    customer_group asc nulls last
            ) as integer
        ) as revenue_rank
    from by_segment

)

select * from final
