select
    title,
    rank_for_movie,
    liked_title,
    n_co_likes,
    score,
    lift
from {{ ref('mart_movie_co_ratings') }}
where rank_for_movie <= 3
order by n_likes desc nulls last, movie_id asc nulls last, rank_for_movie asc nulls last
limit 12
