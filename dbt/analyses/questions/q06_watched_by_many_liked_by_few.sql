select
    title,
    release_year,
    n_ratings,
    engagement_percentile,
    avg_rating,
    is_high_engagement_low_rating
from {{ ref('mart_movie_ratings') }}
order by is_high_engagement_low_rating desc nulls last, n_ratings desc nulls last, movie_id asc nulls last
limit 10
