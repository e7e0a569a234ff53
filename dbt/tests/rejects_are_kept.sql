-- Every record that the ledger counts as rejected is kept, and every replay took as many records as the ledger says.
-- The check of the raw asset verifies the same. This test guards publishing too, whatever assets a run includes.
{{
    config(
        meta={'dagster': {'ref': {'name': 'stg_ops__rejected_rows'}}},
        tags=['reconciliation'],
        fail_calc='coalesce(sum(abs(n_expected - n_found)), 0)',
    )
}}

with

loads as (

    select * from {{ ref('stg_ops__loads') }}

),

rejected_rows as (

    select * from {{ ref('stg_ops__rejected_rows') }}

),

rejected as (

    select
        dataset,
        load_id,
        count(*) as n_found
    from rejected_rows
    group by dataset, load_id

),

replayed as (

    select
        dataset,
        replayed_by as load_id,
        count(*) as n_found
    from rejected_rows
    where replayed_by is not null
    group by dataset, replayed_by

),

compared as (

    select
        'rejected' as what,
        loads.dataset,
        loads.load_id,
        loads.rows_rejected as n_expected,
        coalesce(rejected.n_found, 0) as n_found
    from loads
    left join rejected
        on
            loads.dataset = rejected.dataset
            and loads.load_id = rejected.load_id
    where loads.purged_at is null
    union all
    select
        'replayed' as what,
        loads.dataset,
        loads.load_id,
        loads.rows_loaded as n_expected,
        coalesce(replayed.n_found, 0) as n_found
    from loads
    left join replayed
        on
            loads.dataset = replayed.dataset
            and loads.load_id = replayed.load_id
    where
        loads.parent_load_id is not null
        and loads.purged_at is null

)

select
    what,
    dataset,
    load_id,
    n_expected,
    n_found
from compared
where n_expected != n_found
