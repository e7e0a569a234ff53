{{ config(cluster_by=["date_trunc('month', ordered_on)"]) }}

with

production_orders as (

    select * from {{ ref('fct_production_orders') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

products as (

    select * from {{ ref('dim_products') }}

),

titles as (

    select * from {{ ref('dim_netflix_titles') }}

),

warehouses as (

    select * from {{ ref('dim_warehouses') }}

),

final as (

    select
        production_orders.production_order_id,
        production_orders.status,
        production_orders.ordered_on,
        cast(date_trunc('month', production_orders.ordered_on) as date) as month_day,
        dates.fiscal_year,
        dates.fiscal_week,
        production_orders.due_on,
        production_orders.received_on,
        production_orders.lead_days,
        production_orders.days_late,
        coalesce(production_orders.days_late > 0, false) as is_late,
        production_orders.product_id,
        products.sku,
        products.product_name,
        products.product_type,
        products.title_id,
        titles.title as title_name,
        production_orders.warehouse_id,
        warehouses.warehouse_code,
        warehouses.warehouse_name,
        warehouses.country_code as warehouse_country_code,
        production_orders.quantity,
        production_orders.scrap_rate,
        production_orders.quantity * (1 - production_orders.scrap_rate) as good_pieces,
        production_orders.unit_cost_usd,
        production_orders.cost_usd
    from production_orders
    left join dates
        on production_orders.ordered_on = dates.date_day
    left join products
        on production_orders.product_id = products.product_id
    left join titles
        on products.title_id = titles.title_id
    left join warehouses
        on production_orders.warehouse_id = warehouses.warehouse_id

)

select * from final
