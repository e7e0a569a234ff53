-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'shipments') }}

),

renamed as (

    select
        ---------- ids
        shipment_id,
        order_id,
        warehouse_id,

        ---------- text
        carrier,

        ---------- numbers
        extract_number,

        ---------- flags
        is_deleted,

        ---------- times
        shipped_at,
        delivered_at,
        updated_at,
        extracted_at,

        ---------- json
        dimensions_cm,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
