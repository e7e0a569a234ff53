-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('crm', 'support_tickets') }}

),

renamed as (

    select
        ---------- ids
        ticket_id,
        customer_id,
        order_id,

        ---------- text
        status,
        subject,

        ---------- numbers
        satisfaction,
        extract_number,

        ---------- flags
        is_deleted,

        ---------- times
        opened_at,
        closed_at,
        updated_at,
        extracted_at,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
