with

customers as (

    select * from {{ ref('dim_customers') }}

),

lines as (

    select * from {{ ref('fct_order_lines') }}
    where is_sold and customer_id is not null

),

active as (

    select
        cast(date_trunc('month', ordered_on) as date) as month_day,
        count(distinct customer_id) as n_active
    from lines
    group by cast(date_trunc('month', ordered_on) as date)

),

came as (

    select
        cast(date_trunc('month', created_at) as date) as month_day,
        count(*) as n_new
    from customers
    group by cast(date_trunc('month', created_at) as date)

),

gone as (

    select
        cast(date_trunc('month', deleted_at) as date) as month_day,
        count(*) as n_gone
    from customers
    where is_deleted
    group by cast(date_trunc('month', deleted_at) as date)

),

months as (

    select month_day from active
    union
    select month_day from came
    union
    select month_day from gone

),

counted as (

    select
        months.month_day,
        coalesce(came.n_new, 0) as n_new,
        coalesce(gone.n_gone, 0) as n_gone,
        coalesce(active.n_active, 0) as n_active
    from months
    left join came
        on months.month_day = came.month_day
    left join gone
        on months.month_day = gone.month_day
    left join active
        on months.month_day = active.month_day

),

final as (

    select
        month_day,
        n_new,
        n_gone,
        cast(sum(n_new - n_gone) over (order by month_day asc nulls last) as bigint) as n_customers,
        n_active
    from counted

)

select * from final
