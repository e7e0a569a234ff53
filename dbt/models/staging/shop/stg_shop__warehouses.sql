-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('shop', 'warehouses') }}

),

renamed as (

    select
        ---------- ids
        warehouse_id,

        ---------- text
        warehouse_code,
        warehouse_name,
        country_code,
        time_zone,

        ---------- times
        opened_on,
        updated_at,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
