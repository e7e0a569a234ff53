-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'products') }}

),

renamed as (

    select
        ---------- ids
        product_id,
        title_id,

        ---------- text
        sku,
        product_type,
        product_name,

        ---------- numbers
        unit_cost_usd,
        weight_kg,
        extract_number,

        ---------- flags
        is_active,
        is_deleted,

        ---------- times
        updated_at,
        extracted_at,

        ---------- json
        attributes,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
