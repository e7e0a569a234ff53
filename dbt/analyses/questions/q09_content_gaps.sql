select
    segment_name,
    genre,
    n_movies,
    avg_rating,
    demand_share,
    supply_share,
    gap_score,
    gap_rank
from {{ ref('mart_content_gaps') }}
where gap_rank <= 3
order by
    case when segment_name = 'all' then 0 else 1 end asc nulls last,
    segment_name asc nulls last,
    gap_rank asc nulls last
limit 15
