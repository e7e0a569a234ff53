select
    user_id,
    n_ratings,
    stddev,
    user_bias,
    movie_agreement,
    rater_type
from {{ ref('mart_rating_consistency') }}
where rater_type is not null
order by abs(user_bias) desc nulls last, user_id asc nulls last
limit 10
