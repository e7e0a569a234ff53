-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('finance', 'production_orders') }}

),

renamed as (

    select
        ---------- ids
        production_order_id,
        product_id,
        warehouse_id,

        ---------- text
        status,

        ---------- numbers
        quantity,
        unit_cost_usd,
        scrap_rate,
        extract_number,

        ---------- flags
        is_deleted,

        ---------- times
        ordered_on,
        due_on,
        received_on,
        updated_at,
        extracted_at,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
