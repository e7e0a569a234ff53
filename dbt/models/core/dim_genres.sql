with

movie_genres as (

    select * from {{ ref('bridge_movie_genres') }}

),

final as (

    select
        genre_key,
        genre,
        count(*) as n_movies
    from movie_genres
    group by genre_key, genre

)

select * from final
