{{ config(cluster_by=["date_trunc('month', ordered_on)"]) }}

with

lines as (

    select * from {{ ref('fct_order_lines') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

customers as (

    select * from {{ ref('dim_customer_versions') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

titles as (

    select * from {{ ref('dim_netflix_titles') }}

),

promotions as (

    select * from {{ ref('dim_promotions') }}

),

final as (

    select
        lines.order_id,
        lines.line_number,
        lines.order_number,
        lines.order_status,
        lines.line_status,
        lines.outcome,
        lines.is_sold,
        lines.is_returned,
        lines.ordered_at,
        lines.ordered_on,
        lines.week_start,
        cast(date_trunc('month', lines.ordered_on) as date) as month_day,
        dates.fiscal_year,
        dates.fiscal_week,
        lines.customer_id,
        lines.customer_version_number,
        customers.created_at as customer_since,
        customers.country_code as customer_country_code,
        customers.state_code as customer_state_code,
        customers.rating_user_id is not null as customer_rates,
        lines.country_code,
        lines.state_code,
        lines.product_id,
        products.sku,
        products.product_name,
        products.product_type,
        products.title_id,
        titles.title as title_name,
        lines.promotion_id,
        promotions.promotion_code,
        promotions.promotion_name,
        lines.currency,
        lines.quantity,
        lines.list_unit_price,
        lines.unit_price,
        lines.gross_amount,
        lines.discount,
        lines.net_amount,
        lines.rate_to_usd,
        lines.rate_at,
        lines.rate_age_hours,
        lines.unit_cost_usd,
        lines.cost_usd,
        lines.net_usd,
        lines.revenue_usd,
        lines.profit_usd,
        lines.margin,
        lines.refunded_usd,
        lines.cancelled_usd
    from lines
    left join dates
        on lines.ordered_on = dates.date_day
    left join customers
        on
            lines.customer_id = customers.customer_id
            and lines.customer_version_number = customers.version_number
    left join products
        on lines.product_id = products.product_id
    left join titles
        on products.title_id = titles.title_id
    left join promotions
        on lines.promotion_id = promotions.promotion_id

)

select * from final
