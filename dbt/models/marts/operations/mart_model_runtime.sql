with

runtimes as (

    select * from {{ ref('int_assets__runtimes') }}

),

costs as (

    select * from {{ ref('int_assets__costs') }}

),

numbered as (

    select
        *,
        row_number() over (
            partition by asset
            order by started_at desc nulls last, run_id desc nulls last
        ) as recency
    from runtimes

),

by_asset as (

    select
        asset,
        min(kind) as kind,
        min(layer) as layer,
        min(case when recency = 1 then materialization end) as materialization,
        count(*) as n_runs,
        max(started_at) as last_run_at,
        min(case when recency = 1 then seconds end) as last_s,
        percentile_cont(0.5) within group (order by seconds asc nulls last) as p50_s,
        percentile_cont(0.95) within group (order by seconds asc nulls last) as p95_s,
        sum(seconds) + sum(test_seconds) as total_s,
        cast(min(case when recency = 1 then n_tests end) as integer) as n_tests,
        cast(sum(test_seconds) as double) as tests_total_s,
        cast(min(case when recency = 1 then row_count end) as bigint) as n_rows
    from numbered
    group by asset

),

final as (

    select
        by_asset.*,
        by_asset.total_s / nullif(sum(by_asset.total_s) over (), 0) as share_of_total,
        cast(row_number() over (
            order by by_asset.total_s desc nulls last, by_asset.asset asc nulls last
        ) as integer) as runtime_rank,
        costs.n_statements,
        costs.warehouse_s,
        costs.credits_compute
    from by_asset
    left join costs
        on by_asset.asset = costs.asset

)

select * from final
