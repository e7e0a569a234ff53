select
    published_at,
    title,
    news_source,
    verdict,
    score,
    provider_label,
    reason
from {{ ref('mart_headlines') }}
order by recency_rank asc nulls last
limit 10
