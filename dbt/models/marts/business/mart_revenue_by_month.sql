with

lines as (

    select
        *,
        cast(date_trunc('month', ordered_on) as date) as month_day
    from {{ ref('fct_order_lines') }}
    where outcome != 'cart'

),

dates as (

    select * from {{ ref('dim_dates') }}

),

span as (

    select
        min(ordered_on) as first_day,
        max(ordered_on) as newest_day
    from lines

),

-- Every month, also one without orders, so that the month before is always the row before.
months as (

    select
        dates.month_start as month_day,
        min(dates.date_day) >= span.first_day and max(dates.date_day) < span.newest_day as is_complete
    from dates
    cross join span
    where
        dates.month_start >= cast(date_trunc('month', span.first_day) as date)
        and dates.month_start <= span.newest_day
    group by dates.month_start, span.first_day, span.newest_day

),

by_month as (

    select
        lines.month_day,
        {{ sales_measures('lines') }},
        max(lines.rate_age_hours) as max_rate_age_hours
    from lines
    group by lines.month_day

),

filled as (

    select
        months.month_day,
        months.is_complete,
        coalesce(by_month.n_orders, 0) as n_orders,
        coalesce(by_month.n_lines, 0) as n_lines,
        coalesce(by_month.n_pieces, 0) as n_pieces,
        coalesce(by_month.n_lines_without_rate, 0) as n_lines_without_rate,
        coalesce(by_month.n_lines_without_cost, 0) as n_lines_without_cost,
        coalesce(by_month.revenue_usd, 0) as revenue_usd,
        coalesce(by_month.cost_usd, 0) as cost_usd,
        coalesce(by_month.profit_usd, 0) as profit_usd,
        by_month.margin,
        coalesce(by_month.refunded_usd, 0) as refunded_usd,
        coalesce(by_month.cancelled_usd, 0) as cancelled_usd,
        by_month.max_rate_age_hours
    from months
    left join by_month
        on months.month_day = by_month.month_day

),

-- Only complete months are compared.
compared as (

    select
        *,
        case when is_complete then cast(revenue_usd as double) end as full_revenue,
        case when is_complete then cast(profit_usd as double) end as full_profit
    from filled

),

with_others as (

    select
        *,
        lag(full_revenue) over (order by month_day asc nulls last) as month_before_revenue,
        lag(full_profit) over (order by month_day asc nulls last) as month_before_profit,
        lag(full_revenue, 12) over (order by month_day asc nulls last) as year_before_revenue,
        lag(full_profit, 12) over (order by month_day asc nulls last) as year_before_profit,
        max(case when is_complete then month_day end) over () as last_complete_month
    from compared

),

final as (

    select
        month_day,
        is_complete,
        coalesce(month_day = last_complete_month, false) as is_last_complete_month,
        n_orders,
        n_lines,
        n_pieces,
        n_lines_without_rate,
        n_lines_without_cost,
        cast(revenue_usd as decimal(38, 4)) as revenue_usd,
        cast(cost_usd as decimal(38, 4)) as cost_usd,
        cast(profit_usd as decimal(38, 4)) as profit_usd,
        margin,
        cast(refunded_usd as decimal(38, 4)) as refunded_usd,
        cast(cancelled_usd as decimal(38, 4)) as cancelled_usd,
        max_rate_age_hours,
        full_revenue / nullif(month_before_revenue, 0) - 1 as revenue_vs_month_before,
        full_revenue / nullif(year_before_revenue, 0) - 1 as revenue_vs_year_before,
        -- A change from a loss has no percentage.
        case
            when month_before_profit > 0 then full_profit / month_before_profit - 1
        end as profit_vs_month_before,
        case
            when year_before_profit > 0 then full_profit / year_before_profit - 1
        end as profit_vs_year_before
    from with_others

)

select * from final
