-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'order_lines') }}

),

renamed as (

    select
        ---------- ids
        order_id,
        line_number,
        product_id,

        ---------- text
        status,

        ---------- numbers
        quantity,
        unit_price,
        discount,
        extract_number,

        ---------- flags
        is_deleted,

        ---------- times
        updated_at,
        extracted_at,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
