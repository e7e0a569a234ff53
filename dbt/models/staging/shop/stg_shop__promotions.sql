-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'promotions') }}

),

renamed as (

    select
        ---------- ids
        promotion_id,

        ---------- text
        promotion_code,
        promotion_name,
        product_type,

        ---------- numbers
        discount_percent,

        ---------- times
        starts_on,
        ends_on,
        updated_at,

        ---------- json
        countries,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
