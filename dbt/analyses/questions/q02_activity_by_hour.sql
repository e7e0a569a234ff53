select
    iso_dow,
    hour_utc,
    n_ratings,
    n_users,
    share_of_ratings,
    index_vs_average
from {{ ref('mart_activity_by_hour') }}
order by n_ratings desc nulls last, iso_dow asc nulls last, hour_utc asc nulls last
limit 10
