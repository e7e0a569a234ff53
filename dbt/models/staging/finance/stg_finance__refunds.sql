-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('finance', 'refunds') }}

),

renamed as (

    select
        ---------- ids
        refund_id,
        payment_id,
        order_id,

        ---------- text
        currency,
        reason,

        ---------- numbers
        line_number,
        amount,
        extract_number,

        ---------- flags
        is_deleted,

        ---------- times
        refunded_at,
        updated_at,
        extracted_at,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
