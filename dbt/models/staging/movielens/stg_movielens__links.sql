-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('movielens', 'links') }}

),

renamed as (

    select
        ---------- ids
        movie_id,
        imdb_id,
        tmdb_id,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
