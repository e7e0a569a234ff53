-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('finance', 'payments') }}

),

renamed as (

    select
        ---------- ids
        payment_id,
        order_id,
        card_id,

        ---------- text
        payment_method,
        status,
        currency,

        ---------- numbers
        amount,
        extract_number,

        ---------- flags
        is_recurring,
        is_deleted,

        ---------- times
        paid_at,
        updated_at,
        extracted_at,

        ---------- json
        provider_response,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
