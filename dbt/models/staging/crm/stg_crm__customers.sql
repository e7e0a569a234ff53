-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('crm', 'customers') }}

),

renamed as (

    select
        ---------- ids
        customer_id,
        rating_user_id,

        ---------- numbers
        extract_number,

        ---------- flags
        marketing_consent,
        is_deleted,

        ---------- times
        created_at,
        updated_at,
        extracted_at,

        ---------- json
        interests,
        preferences,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
