with

rates as (

    select * from {{ ref('fct_exchange_rates') }}

),

lines as (

    select * from {{ ref('fct_order_lines') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

span as (

    select
        min(cast(valid_from as date)) as first_day,
        max(cast(valid_from as date)) as newest_day
    from rates

),

currencies as (

    select distinct currency from rates

),

last_of_day as (

    select
        currency,
        cast(valid_from as date) as date_day,
        max(valid_from) as valid_from
    from rates
    group by currency, cast(valid_from as date)

),

-- Days without a rate keep the last one.
every_day as (

    select
        currencies.currency,
        dates.date_day,
        max(last_of_day.valid_from) over (
            partition by currencies.currency
            order by dates.date_day asc nulls last
            rows between unbounded preceding and current row
        ) as rate_at
    from dates
    cross join span
    cross join currencies
    left join last_of_day
        on
            dates.date_day = last_of_day.date_day
            and currencies.currency = last_of_day.currency
    where dates.date_day between span.first_day and span.newest_day

),

markets as (

    select
        currency,
        count(distinct case when outcome = 'kept' then order_id end) as n_orders,
        cast(coalesce(sum(revenue_usd), 0) as decimal(38, 4)) as revenue_usd
    from lines
    group by currency

),

ranked as (

    select
        currencies.currency,
        coalesce(markets.n_orders, 0) as n_orders,
        coalesce(markets.revenue_usd, 0) as revenue_usd,
        row_number() over (
            order by coalesce(markets.revenue_usd, 0) desc nulls last, currencies.currency asc nulls last
        ) as market_rank
    from currencies
    left join markets
        on currencies.currency = markets.currency

),

joined as (

    select
        every_day.currency,
        every_day.date_day,
        rates.rate_to_usd,
        rates.rate_provider,
        every_day.rate_at,
        ranked.market_rank,
        ranked.n_orders,
        ranked.revenue_usd,
        span.newest_day,
        {{ add_days('every_day.date_day', 1) }} as next_day
    from every_day
    inner join rates
        on
            every_day.currency = rates.currency
            and every_day.rate_at = rates.valid_from
    inner join ranked
        on every_day.currency = ranked.currency
    cross join span

),

with_others as (

    select
        *,
        lag(cast(rate_to_usd as double), 30) over (
            partition by currency order by date_day asc nulls last
        ) as rate_month_before,
        lag(cast(rate_to_usd as double), 365) over (
            partition by currency order by date_day asc nulls last
        ) as rate_year_before
    from joined

),

final as (

    select
        currency,
        date_day,
        date_day = newest_day as is_newest_day,
        rate_to_usd,
        1 / nullif(cast(rate_to_usd as double), 0) as units_per_usd,
        rate_provider,
        rate_at,
        cast(datediff('second', rate_at, cast(next_day as timestamp)) as double) / 3600 as rate_age_hours,
        cast(rate_to_usd as double) / rate_month_before - 1 as change_30_days,
        cast(rate_to_usd as double) / rate_year_before - 1 as change_365_days,
        cast(market_rank as integer) as market_rank,
        market_rank = 1 as is_largest_market,
        n_orders as n_orders_of_currency,
        cast(revenue_usd as decimal(38, 4)) as revenue_usd_of_currency
    from with_others

)

select * from final
