select
    segment_name,
    popularity_rank,
    genre,
    n_ratings,
    share,
    over_index,
    avg_rating
from {{ ref('mart_genre_popularity') }}
where popularity_rank <= 3
order by
    case when segment_name = 'all' then 0 else 1 end asc nulls last,
    segment_name asc nulls last,
    popularity_rank asc nulls last
limit 15
