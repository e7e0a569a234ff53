with

movies as (

    select * from {{ ref('int_movies__parsed') }}

),

links as (

    select * from {{ ref('stg_movielens__links') }}

),

movie_genres as (

    select * from {{ ref('bridge_movie_genres') }}

),

one_link_per_movie as (

    select
        movie_id,
        imdb_id,
        tmdb_id
    from links
    qualify
        row_number() over (
            partition by movie_id
            order by imdb_id desc nulls last, tmdb_id desc nulls last
        ) = 1

),

n_genres as (

    select
        movie_id,
        count(*) as n_genres
    from movie_genres
    group by movie_id

),

final as (

    select
        movies.movie_id,
        movies.title,
        movies.original_title,
        movies.release_year,
        movies.genres,
        cast(coalesce(n_genres.n_genres, 0) as integer) as n_genres,
        one_link_per_movie.imdb_id,
        one_link_per_movie.tmdb_id
    from movies
    left join n_genres
        on movies.movie_id = n_genres.movie_id
    left join one_link_per_movie
        on movies.movie_id = one_link_per_movie.movie_id

)

select * from final
