with

lines as (

    select * from {{ ref('fct_order_lines') }}
    where is_sold

),

promotions as (

    select * from {{ ref('dim_promotions') }}

),

joined as (

    select
        lines.*,
        promotions.promotion_name,
        promotions.starts_on,
        promotions.ends_on,
        case
            when lines.promotion_id is null then 'none'
            else coalesce(promotions.promotion_code, 'unknown')
        end as promotion_code
    from lines
    left join promotions
        on lines.promotion_id = promotions.promotion_id

),

final as (

    select
        promotion_code,
        currency,
        min(promotion_name) as promotion_name,
        min(starts_on) as starts_on,
        min(ends_on) as ends_on,
        count(distinct order_id) as n_orders,
        count(*) as n_lines,
        cast(sum(quantity) as bigint) as n_pieces,
        cast(sum(gross_amount) as decimal(38, 2)) as gross_amount,
        cast(sum(discount) as decimal(38, 2)) as discount,
        cast(sum(net_amount) as decimal(38, 2)) as net_amount,
        cast(sum(discount) as double) / nullif(cast(sum(gross_amount) as double), 0) as discount_share
    from joined
    group by promotion_code, currency

)

select * from final
