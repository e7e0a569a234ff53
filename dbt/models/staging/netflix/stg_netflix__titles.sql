-- The ledger decides which rows the source has, so it must be upstream. The test reconciles_with_ledger reads it.
-- depends_on: {{ source('ops', 'loads') }}
with

source as (

    select * from {{ source('netflix', 'titles') }}

),

renamed as (

    select
        ---------- ids
        title_id,
        imdb_id,

        ---------- text
        title,
        production_type,
        description,
        age_certification,
        genres,
        production_countries,

        ---------- numbers
        release_year,
        runtime_min,
        cast(n_seasons as integer) as n_seasons,
        imdb_score,
        cast(imdb_votes as bigint) as imdb_votes,
        tmdb_popularity,
        tmdb_score,

        ---------- load
        _load_id,
        _object_key
    from source

)

select * from renamed
