select
    runtime_rank,
    asset,
    materialization,
    n_runs,
    p50_s,
    p95_s,
    tests_total_s,
    share_of_total
from {{ ref('mart_model_runtime') }}
order by runtime_rank asc nulls last, asset asc nulls last
limit 10
