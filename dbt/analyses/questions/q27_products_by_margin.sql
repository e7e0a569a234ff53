select
    margin_rank,
    product_name,
    product_type,
    n_lines,
    revenue_usd,
    profit_usd,
    margin
from {{ ref('mart_product_margins') }}
where margin_rank is not null
order by margin_rank asc nulls last
limit 10
