select
    promotion_rank,
    title,
    n_ratings,
    bayesian_mean,
    log_support,
    recency,
    promotion_score,
    quadrant
from {{ ref('mart_movie_promotions') }}
order by promotion_rank asc nulls last, movie_id asc nulls last
limit 10
