select
    date_day,
    n_ratings,
    n_users,
    baseline_median,
    robust_z,
    is_anomalous,
    new_movies
from {{ ref('mart_rating_trends') }}
order by is_anomalous desc nulls last, abs(robust_z) desc nulls last, date_day asc nulls last
limit 10
