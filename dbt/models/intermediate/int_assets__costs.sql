{{ config(materialized='ephemeral') }}

with

costs as (

    select * from {{ ref('stg_ops__asset_costs') }}

)

select
    asset,
    cast(sum(n_statements) as bigint) as n_statements,
    sum(seconds) as warehouse_s,
    sum(credits_compute) as credits_compute
from costs
group by asset
