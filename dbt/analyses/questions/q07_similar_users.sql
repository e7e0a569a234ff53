select
    user_id,
    similarity_rank,
    similar_user_id,
    segment_name,
    cluster_id,
    n_common_likes,
    similarity
from {{ ref('mart_similar_users') }}
order by similarity desc nulls last, user_id asc nulls last, similarity_rank asc nulls last
limit 10
