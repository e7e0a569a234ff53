with

built as (

    select * from {{ ref('int_builds__quality_by_day') }}

),

receipts as (

    select * from {{ ref('int_objects__receipts') }}

),

received as (

    select
        cast(received_at as date) as date_day,
        count(distinct dataset) as n_nodes,
        cast(sum(coalesce(rows_in, 0)) as bigint) as n_rows_in,
        cast(sum(coalesce(rows_loaded, 0)) as bigint) as n_rows_loaded,
        cast(sum(coalesce(rows_rejected, 0)) as bigint) as n_rows_rejected,
        cast(sum(coalesce(rows_erased, 0)) as bigint) as n_rows_erased,
        cast(sum(case when state = 'refused' then 1 else 0 end) as bigint) as n_objects_refused,
        cast(
            sum(abs(rows_in - rows_loaded - rows_rejected - rows_erased)) as bigint
        ) as reconciliation_difference
    from receipts
    group by cast(received_at as date)

),

final as (

    select
        date_day,
        'raw' as layer,
        n_nodes,
        cast(null as bigint) as n_nodes_failed,
        cast(null as bigint) as n_nodes_tested,
        cast(null as double) as test_coverage,
        cast(null as bigint) as n_tests,
        cast(null as bigint) as n_passed,
        cast(null as bigint) as n_warned,
        cast(null as bigint) as n_failed,
        cast(null as double) as pass_rate,
        n_rows_in,
        n_rows_loaded,
        n_rows_rejected,
        n_rows_erased,
        cast(n_rows_loaded as double) / nullif(n_rows_in - n_rows_erased, 0) as valid_row_share,
        n_objects_refused,
        coalesce(reconciliation_difference, 0) as reconciliation_difference
    from received
    union all
    select
        date_day,
        layer,
        n_nodes,
        n_nodes_failed,
        n_nodes_tested,
        cast(n_nodes_tested as double) / n_nodes as test_coverage,
        n_tests,
        n_passed,
        n_warned,
        n_tests - n_passed - n_warned as n_failed,
        cast(n_passed as double) / nullif(n_tests, 0) as pass_rate,
        cast(null as bigint) as n_rows_in,
        cast(null as bigint) as n_rows_loaded,
        cast(null as bigint) as n_rows_rejected,
        cast(null as bigint) as n_rows_erased,
        cast(null as double) as valid_row_share,
        cast(null as bigint) as n_objects_refused,
        reconciliation_difference
    from built

)

select * from final
