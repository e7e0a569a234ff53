{{ config(materialized='ephemeral') }}

with

builds as (

    -- Not the one that this is part of: it has not ended yet.
    select * from {{ ref('stg_dbt__builds') }}
    where
        run_id != ''
        and invocation_id != '{{ invocation_id }}'

),

-- Of several attempts the last one tells what all of them have come to.
retried as (

    select distinct retry_of as invocation_id from builds
    where retry_of is not null

),

judged as (

    select
        builds.*,
        retried.invocation_id is null as counts
    from builds
    left join retried
        on builds.invocation_id = retried.invocation_id

)

select
    run_id,
    min(started_at) as started_at,
    max(finished_at) as finished_at,
    min(case when is_whole or not counts then 1 else 0 end) = 1 as is_whole,
    min(case when has_passed or not counts then 1 else 0 end) = 1 as has_passed,
    cast(sum(case when counts then node_count else 0 end) as bigint) as n_nodes,
    cast(sum(case when counts then test_count else 0 end) as bigint) as n_tests,
    cast(sum(case when counts then failed_count else 0 end) as bigint) as n_failed,
    coalesce(
        min(case when counts then problem end),
        min(case when finished_at is null then 'has not ended: it was killed, or goes on' end)
    ) as problem,
    cast(sum(datediff('second', started_at, finished_at)) as double) as build_s
from judged
group by run_id
