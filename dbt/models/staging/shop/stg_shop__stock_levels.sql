-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'stock_levels') }}

),

renamed as (

    select
        ---------- ids
        warehouse_id,
        product_id,
        counted_on,

        ---------- numbers
        on_hand,
        reorder_point,
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
