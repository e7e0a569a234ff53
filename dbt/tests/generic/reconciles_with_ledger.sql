{#- As many rows as the ledger says that the dataset's current loads have brought: nothing lost and nothing twice on
    the way from file to staging. An error stops everything downstream in `dbt build`. For that the tested model has to
    depend on stg_ops__loads too: dbt waits for a test only where all that the test reads is upstream.
    The test's number of failures is the difference in rows (mart_data_quality). -#}
{% test reconciles_with_ledger(model, dataset) %}
{{ config(fail_calc='coalesce(sum(abs(n_expected - n_found)), 0)', tags=['reconciliation']) }}

with

ledger as (

    select cast(coalesce(sum(rows_loaded), 0) as bigint) as n_expected
    from {{ ref('stg_ops__loads') }}
    where
        dataset = '{{ dataset }}'
        and is_current

),

found as (

    select count(*) as n_found
    from {{ model }}

)

select
    ledger.n_expected,
    found.n_found
from ledger
cross join found
where ledger.n_expected != found.n_found

{% endtest %}
