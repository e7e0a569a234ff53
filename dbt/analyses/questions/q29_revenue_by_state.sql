select
    revenue_rank,
    state_code,
    state_name,
    n_orders,
    revenue_usd,
    revenue_share,
    profit_usd
from {{ ref('mart_revenue_by_state') }}
order by revenue_rank asc nulls last
limit 10
