-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('crm', 'addresses') }}

),

renamed as (

    select
        ---------- ids
        address_id,
        customer_id,

        ---------- text
        address_kind,
        city,
        state_code,
        postal_code,
        country_code,

        ---------- numbers
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
