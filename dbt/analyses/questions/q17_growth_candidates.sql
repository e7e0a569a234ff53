select
    growth_rank,
    genre,
    decade,
    n_movies,
    avg_rating,
    yoy_growth,
    catalogue_share,
    demand_share,
    is_candidate
from {{ ref('mart_growth_candidates') }}
order by growth_rank asc nulls last, genre asc nulls last, decade asc nulls last
limit 10
