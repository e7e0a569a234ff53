-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'orders') }}

),

renamed as (

    select
        ---------- ids
        order_id,
        customer_id,
        promotion_id,

        ---------- text
        order_number,
        status,
        currency,
        country_code,
        state_code,

        ---------- numbers
        extract_number,

        ---------- flags
        is_deleted,

        ---------- times
        ordered_at,
        updated_at,
        extracted_at,

        ---------- json
        context,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
