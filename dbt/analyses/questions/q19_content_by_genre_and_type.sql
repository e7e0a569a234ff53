select
    genre,
    production_type,
    n_titles,
    share_of_type,
    share_of_genre,
    weighted_imdb_score
from {{ ref('mart_content_mix') }}
where genre != 'all'
order by n_titles desc nulls last, genre asc nulls last, production_type asc nulls last
limit 10
