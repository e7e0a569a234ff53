select
    genre,
    release_year,
    n_rated_movies,
    n_ratings,
    avg_rating,
    lift_vs_overall
from {{ ref('mart_ratings_by_genre_year') }}
where has_enough_ratings
order by lift_vs_overall desc nulls last, genre asc nulls last, release_year asc nulls last
limit 10
