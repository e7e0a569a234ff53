{{ config(materialized='ephemeral') }}

with

builds as (

    -- Not the one that this is part of: it has not ended yet.
    select * from {{ ref('stg_dbt__builds') }}
    where
        run_id != ''
        and invocation_id != '{{ invocation_id }}'

)

select
    run_id,
    min(started_at) as started_at,
    max(finished_at) as finished_at,
    min(case when is_whole then 1 else 0 end) = 1 as is_whole,
    min(case when has_passed then 1 else 0 end) = 1 as has_passed,
    cast(sum(node_count) as bigint) as n_nodes,
    cast(sum(test_count) as bigint) as n_tests,
    cast(sum(failed_count) as bigint) as n_failed,
    coalesce(
        min(problem),
        min(case when finished_at is null then 'has not ended: it was killed, or goes on' end)
    ) as problem,
    cast(sum(datediff('second', started_at, finished_at)) as double) as build_s
from builds
group by run_id
