select
    title,
    release_date,
    distributor,
    first_rated_at,
    n_ratings,
    avg_rating,
    top_tags
from {{ ref('mart_movie_releases') }}
order by release_date desc nulls last, n_ratings desc nulls last, movie_id asc nulls last
limit 10
