{{ config(materialized='ephemeral') }}

with

builds as (

    select * from {{ ref('stg_dbt__builds') }}
    where run_id != ''

),

-- The last of several attempts has the combined result of all of them.
retried as (

    select distinct retry_of as invocation_id
    from builds
    where retry_of is not null

),

attempts as (

    select
        builds.*,
        retried.invocation_id is null as is_last_attempt
    from builds
    left join retried
        on builds.invocation_id = retried.invocation_id

)

select
    run_id,
    min(started_at) as started_at,
    max(finished_at) as finished_at,
    min(case when is_whole or not is_last_attempt then 1 else 0 end) = 1 as is_whole,
    min(case when has_passed or not is_last_attempt then 1 else 0 end) = 1 as has_passed,
    cast(sum(case when is_last_attempt then node_count else 0 end) as bigint) as n_nodes,
    cast(sum(case when is_last_attempt then test_count else 0 end) as bigint) as n_tests,
    cast(sum(case when is_last_attempt then failed_count else 0 end) as bigint) as n_failed,
    coalesce(
        min(case when is_last_attempt then problem end),
        min(case when finished_at is null then 'has not ended: it is running or was killed' end)
    ) as problem,
    cast(sum(datediff('second', started_at, finished_at)) as double) as build_s
from attempts
group by run_id
