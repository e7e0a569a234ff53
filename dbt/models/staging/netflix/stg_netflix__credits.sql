-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('netflix', 'credits') }}

),

renamed as (

    select
        ---------- ids
        title_id,
        person_id,

        ---------- text
        role,
        person_name,
        character_name,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
