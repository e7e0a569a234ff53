select
    month_day,
    is_last_complete_month,
    revenue_usd,
    profit_usd,
    margin,
    revenue_vs_month_before,
    revenue_vs_year_before,
    profit_vs_month_before,
    profit_vs_year_before
from {{ ref('mart_revenue_by_month') }}
where is_complete
order by month_day desc nulls last
limit 10
