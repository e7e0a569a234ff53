-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'product_prices') }}

),

renamed as (

    select
        ---------- ids
        product_id,
        currency,
        valid_from,

        ---------- numbers
        list_price,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
