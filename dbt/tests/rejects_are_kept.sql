-- Every record that the ledger counts as rejected is kept, and every replay has taken up as many as it says. Raw's own
-- check says the same; here it stands between what is loaded and what is published, however a run was put together.
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

kept as (

    select
        dataset,
        load_id,
        count(*) as n_found
    from {{ ref('stg_ops__rejected_rows') }}
    group by dataset, load_id

),

replayed as (

    select
        dataset,
        replayed_by as load_id,
        count(*) as n_found
    from {{ ref('stg_ops__rejected_rows') }}
    where replayed_by is not null
    group by dataset, replayed_by

),

compared as (

    select
        'rejected' as what,
        loads.dataset,
        loads.load_id,
        loads.rows_rejected as n_expected,
        coalesce(kept.n_found, 0) as n_found
    from loads
    left join kept
        on
            loads.dataset = kept.dataset
            and loads.load_id = kept.load_id
    union all
    select
        'replayed' as what,
        loads.dataset,
        loads.load_id,
        loads.rows_in as n_expected,
        coalesce(replayed.n_found, 0) as n_found
    from loads
    left join replayed
        on
            loads.dataset = replayed.dataset
            and loads.load_id = replayed.load_id
    where loads.parent_load_id is not null

)

select
    what,
    dataset,
    load_id,
    n_expected,
    n_found
from compared
where n_expected != n_found
