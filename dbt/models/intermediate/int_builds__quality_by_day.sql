{{ config(materialized='ephemeral') }}

with

builds as (

    select * from {{ ref('stg_dbt__builds') }}
    where finished_at is not null

),

node_runs as (

    select * from {{ ref('stg_dbt__node_runs') }}

),

test_results as (

    select * from {{ ref('stg_dbt__test_results') }}
    where status != 'skipped'

),

nodes as (

    select
        cast(builds.started_at as date) as date_day,
        node_runs.layer,
        node_runs.node_id,
        node_runs.status
    from node_runs
    inner join builds
        on node_runs.invocation_id = builds.invocation_id

),

results as (

    select
        cast(builds.started_at as date) as date_day,
        test_results.invocation_id,
        test_results.layer,
        test_results.node_id,
        test_results.kind,
        test_results.status,
        test_results.failures
    from test_results
    inner join builds
        on test_results.invocation_id = builds.invocation_id

),

tests_by_build as (

    select
        date_day,
        layer,
        invocation_id,
        count(*) as n_tests,
        sum(case when status = 'pass' then 1 else 0 end) as n_passed,
        sum(case when status = 'warn' then 1 else 0 end) as n_warned,
        sum(case when kind = 'reconciliation' then failures end) as reconciliation_difference
    from results
    group by date_day, layer, invocation_id

),

tests_by_day as (

    select
        date_day,
        layer,
        cast(sum(n_tests) as bigint) as n_tests,
        cast(sum(n_passed) as bigint) as n_passed,
        cast(sum(n_warned) as bigint) as n_warned,
        cast(max(reconciliation_difference) as bigint) as reconciliation_difference
    from tests_by_build
    group by date_day, layer

),

nodes_by_day as (

    select
        nodes.date_day,
        nodes.layer,
        count(distinct nodes.node_id) as n_nodes,
        count(distinct case when nodes.status != 'success' then nodes.node_id end) as n_nodes_failed,
        count(distinct results.node_id) as n_nodes_tested
    from nodes
    left join results
        on
            nodes.date_day = results.date_day
            and nodes.node_id = results.node_id
    group by nodes.date_day, nodes.layer

)

select
    nodes_by_day.date_day,
    nodes_by_day.layer,
    nodes_by_day.n_nodes,
    nodes_by_day.n_nodes_failed,
    nodes_by_day.n_nodes_tested,
    coalesce(tests_by_day.n_tests, 0) as n_tests,
    coalesce(tests_by_day.n_passed, 0) as n_passed,
    coalesce(tests_by_day.n_warned, 0) as n_warned,
    tests_by_day.reconciliation_difference
from nodes_by_day
left join tests_by_day
    on
        nodes_by_day.date_day = tests_by_day.date_day
        and nodes_by_day.layer = tests_by_day.layer
