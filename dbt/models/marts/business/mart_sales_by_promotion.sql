with

lines as (

    select * from {{ ref('fct_order_lines') }}
    where is_sold

),

promotions as (

    select * from {{ ref('dim_promotions') }}

),

final as (

    select
        case
            when lines.promotion_id is null then 'none'
            else coalesce(promotions.promotion_code, 'unknown')
        end as promotion_code,
        lines.currency,
        min(promotions.promotion_name) as promotion_name,
        min(promotions.starts_on) as starts_on,
        min(promotions.ends_on) as ends_on,
        count(distinct lines.order_id) as n_orders,
        count(*) as n_lines,
        cast(sum(lines.quantity) as bigint) as n_pieces,
        cast(sum(lines.gross_amount) as decimal(38, 2)) as gross_amount,
        cast(sum(lines.discount) as decimal(38, 2)) as discount,
        cast(sum(lines.net_amount) as decimal(38, 2)) as net_amount,
        cast(sum(lines.discount) as double)
        / nullif(cast(sum(lines.gross_amount) as double), 0) as discount_share
    from lines
    left join promotions
        on lines.promotion_id = promotions.promotion_id
    group by
        case
            when lines.promotion_id is null then 'none'
            else coalesce(promotions.promotion_code, 'unknown')
        end,
        lines.currency

)

select * from final
