select
    segment_name,
    customer_group,
    n_customers,
    revenue_usd,
    revenue_share,
    revenue_per_customer_usd
from {{ ref('mart_revenue_by_segment') }}
order by revenue_rank asc nulls last
limit 10
