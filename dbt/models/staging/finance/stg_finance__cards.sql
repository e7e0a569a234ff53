-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('finance', 'cards') }}

),

renamed as (

    select
        ---------- ids
        card_id,
        customer_id,

        ---------- text
        brand,

        ---------- numbers
        extract_number,

        ---------- flags
        is_deleted,

        ---------- times
        expires_on,
        updated_at,
        extracted_at,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
