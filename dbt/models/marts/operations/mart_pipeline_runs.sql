with

builds as (

    select * from {{ ref('int_builds__by_run') }}

),

receipts as (

    select * from {{ ref('int_objects__receipts') }}

),

receipts_by_run as (

    select
        run_id,
        min(received_at) as first_received_at,
        cast(sum(case when load_id is not null then 1 else 0 end) as bigint) as n_objects_loaded,
        cast(sum(case when load_id is null then 1 else 0 end) as bigint) as n_objects_refused,
        cast(sum(coalesce(rows_loaded, 0)) as bigint) as n_rows_loaded,
        cast(sum(coalesce(rows_rejected, 0)) as bigint) as n_rows_rejected
    from receipts
    group by run_id

),

final as (

    select
        coalesce(builds.run_id, receipts_by_run.run_id) as run_id,
        coalesce(receipts_by_run.first_received_at, builds.started_at) as started_at,
        builds.finished_at as built_at,
        builds.is_whole,
        builds.has_passed,
        coalesce(builds.n_nodes, 0) as n_nodes,
        coalesce(builds.n_tests, 0) as n_tests,
        coalesce(builds.n_failed, 0) as n_failed,
        builds.problem,
        coalesce(receipts_by_run.n_objects_loaded, 0) as n_objects_loaded,
        coalesce(receipts_by_run.n_objects_refused, 0) as n_objects_refused,
        coalesce(receipts_by_run.n_rows_loaded, 0) as n_rows_loaded,
        coalesce(receipts_by_run.n_rows_rejected, 0) as n_rows_rejected,
        builds.build_s,
        row_number() over (
            order by
                coalesce(receipts_by_run.first_received_at, builds.started_at) desc nulls last,
                coalesce(builds.run_id, receipts_by_run.run_id) asc nulls last
        ) <= {{ var('charted_points') }} as is_charted
    from builds
    full outer join receipts_by_run
        on builds.run_id = receipts_by_run.run_id

)

select * from final
