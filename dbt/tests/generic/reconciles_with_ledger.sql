{#- The model has as many rows as the dataset's current loads according to the ledger: nothing was lost or duplicated
    between file and staging. In `dbt build` an error stops everything downstream. For this the tested model must also
    depend on the ledger, because dbt waits for a test only if everything the test reads is upstream. The ledger is read
    as a source, so that a model can be built and tested alone before any other. The test's failure count is the
    difference in rows (mart_data_quality). -#}
{% test reconciles_with_ledger(model, dataset) %}
{{ config(fail_calc='coalesce(sum(abs(n_expected - n_found)), 0)', tags=['reconciliation']) }}

with

ledger as (

    select cast(coalesce(sum(rows_loaded), 0) as bigint) as n_expected
    from {{ source('ops', 'loads') }}
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
