select
    dataset,
    object_key,
    column_name,
    n_rows,
    n_missing,
    missing_pct,
    n_rejected
from {{ ref('mart_data_completeness') }}
where state = 'current'
order by
    missing_pct desc nulls last,
    dataset asc nulls last,
    object_key asc nulls last,
    column_name asc nulls last
limit 10
