with

titles as (

    select * from {{ ref('int_titles__parsed') }}

),

title_genres as (

    select * from {{ ref('bridge_title_genres') }}

),

title_countries as (

    select * from {{ ref('bridge_title_countries') }}

),

n_genres as (

    select
        title_id,
        count(*) as n_genres
    from title_genres
    group by title_id

),

n_countries as (

    select
        title_id,
        count(*) as n_countries
    from title_countries
    group by title_id

),

final as (

    select
        titles.title_id,
        titles.title,
        titles.production_type,
        titles.description,
        titles.release_year,
        titles.age_certification,
        titles.runtime_min,
        titles.n_seasons,
        titles.genres,
        cast(coalesce(n_genres.n_genres, 0) as integer) as n_genres,
        titles.countries,
        cast(coalesce(n_countries.n_countries, 0) as integer) as n_countries,
        titles.imdb_id,
        titles.imdb_score,
        titles.imdb_votes,
        titles.tmdb_popularity,
        titles.tmdb_score
    from titles
    left join n_genres
        on titles.title_id = n_genres.title_id
    left join n_countries
        on titles.title_id = n_countries.title_id

)

select * from final
