select
    activity_rank,
    user_id,
    n_ratings,
    n_active_days,
    avg_rating,
    last_active_at,
    cumulative_share
from {{ ref('mart_user_activity') }}
order by activity_rank asc nulls last, user_id asc nulls last
limit 10
