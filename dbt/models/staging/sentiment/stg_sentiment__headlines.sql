-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('sentiment', 'headlines') }}

),

renamed as (

    select
        ---------- ids
        url,
        scorer,

        ---------- text
        title,
        language,
        verdict,
        reason,

        ---------- numbers
        score,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
