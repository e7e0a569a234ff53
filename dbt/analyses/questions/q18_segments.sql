select
    segment_name,
    cluster_id,
    count(*) as n_users,
    sum(n_ratings) as n_ratings,
    count(case when activity_level = 'heavy' then user_id end) as n_heavy,
    count(case when lifecycle = 'active' then user_id end) as n_active
from {{ ref('mart_user_segments') }}
group by segment_name, cluster_id
order by n_users desc nulls last, segment_name asc nulls last
