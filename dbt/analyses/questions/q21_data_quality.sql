select
    date_day,
    layer,
    test_coverage,
    n_tests,
    pass_rate,
    n_rows_rejected,
    reconciliation_difference
from {{ ref('mart_data_quality') }}
order by date_day desc nulls last, layer asc nulls last
limit 10
