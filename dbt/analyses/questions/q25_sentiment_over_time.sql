select
    date_day,
    n_headlines,
    n_judged,
    n_positive,
    n_negative,
    avg_score,
    avg_score_moving,
    avg_provider_score_moving
from {{ ref('mart_sentiment_by_day') }}
order by date_day desc nulls last
limit 10
