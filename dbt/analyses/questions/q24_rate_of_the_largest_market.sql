select
    currency,
    date_day,
    rate_to_usd,
    units_per_usd,
    rate_provider,
    rate_age_hours,
    change_30_days,
    change_365_days
from {{ ref('mart_exchange_rates') }}
where is_largest_market
order by date_day desc nulls last
limit 10
