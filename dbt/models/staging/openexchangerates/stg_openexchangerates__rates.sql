-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('openexchangerates', 'rates') }}

),

renamed as (

    select
        ---------- ids
        base,
        rate_at,
        currency,

        ---------- numbers
        rate,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
