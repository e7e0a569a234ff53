select
    product_type,
    n_orders,
    n_pieces,
    revenue_usd,
    revenue_share,
    profit_usd,
    margin
from {{ ref('mart_sales_by_product_type') }}
order by revenue_rank asc nulls last
limit 10
