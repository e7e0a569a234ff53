select
    date_day,
    n_ratings,
    avg_rating,
    rolling_90d_n_ratings,
    rolling_90d_avg
from {{ ref('mart_rating_trends') }}
order by date_day desc nulls last
limit 10
