-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('movielens', 'tags') }}

),

renamed as (

    select
        ---------- ids
        user_id,
        movie_id,

        ---------- text
        tag,

        ---------- times
        {{ epoch_to_timestamp('tagged_at_epoch_s') }} as tagged_at,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
