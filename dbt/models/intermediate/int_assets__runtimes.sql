{{ config(materialized='ephemeral') }}

with

node_runs as (

    select * from {{ ref('stg_dbt__node_runs') }}
    where status not in ('skipped', 'error')

),

test_results as (

    select * from {{ ref('stg_dbt__test_results') }}
    where status != 'skipped'

),

loads as (

    select * from {{ ref('stg_ops__loads') }}

),

tests_by_node as (

    select
        invocation_id,
        node_id,
        count(*) as n_tests,
        sum(seconds) as test_seconds
    from test_results
    group by invocation_id, node_id

)

select
    node_runs.layer || '/' || node_runs.name as asset,
    node_runs.resource_type as kind,
    node_runs.layer,
    node_runs.materialization,
    node_runs.run_id,
    node_runs.started_at,
    node_runs.seconds,
    coalesce(tests_by_node.n_tests, 0) as n_tests,
    coalesce(tests_by_node.test_seconds, 0) as test_seconds,
    node_runs.row_count
from node_runs
left join tests_by_node
    on
        node_runs.invocation_id = tests_by_node.invocation_id
        and node_runs.node_id = tests_by_node.node_id

union all

-- All objects of a dataset loaded by one run count as one load.
select
    'raw/' || dataset as asset,
    'load' as kind,
    'raw' as layer,
    'raw table' as materialization,
    run_id,
    min(loaded_at) as started_at,
    sum(load_seconds) as seconds,
    0 as n_tests,
    0 as test_seconds,
    cast(sum(rows_loaded) as bigint) as row_count
from loads
group by dataset, run_id
