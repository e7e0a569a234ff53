select
    title,
    release_year,
    n_ratings,
    n_0_5,
    n_1_0,
    n_1_5,
    n_2_0,
    n_2_5,
    n_3_0,
    n_3_5,
    n_4_0,
    n_4_5,
    n_5_0,
    polarization_score,
    is_polarized
from {{ ref('mart_movie_ratings') }}
order by is_polarized desc nulls last, polarization_score desc nulls last, movie_id asc nulls last
limit 10
