-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('movielens', 'movies') }}

),

renamed as (

    select
        ---------- ids
        movie_id,

        ---------- text
        title,
        genres,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
