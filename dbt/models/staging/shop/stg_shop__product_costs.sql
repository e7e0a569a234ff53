-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'product_costs') }}

),

renamed as (

    select
        ---------- ids
        product_id,
        valid_from,

        ---------- numbers
        unit_cost_usd,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
