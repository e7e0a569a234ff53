with

movies as (

    select * from {{ ref('dim_movies') }}

),

movie_genres as (

    select * from {{ ref('bridge_movie_genres') }}

),

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

overall as (

    select
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars
    from stats

),

-- Join genres with per-film totals instead of ratings: 62 thousand rows instead of 25 million.
by_genre_and_year as (

    select
        movie_genres.genre_key,
        movie_genres.genre,
        movies.release_year,
        count(*) as n_movies,
        count(stats.movie_id) as n_rated_movies,
        cast(coalesce(sum(stats.n_ratings), 0) as bigint) as n_ratings,
        cast(sum(stats.sum_half_stars) as bigint) as sum_half_stars
    from movie_genres
    inner join movies
        on movie_genres.movie_id = movies.movie_id
    left join stats
        on movie_genres.movie_id = stats.movie_id
    where movies.release_year is not null
    group by movie_genres.genre_key, movie_genres.genre, movies.release_year

),

final as (

    select
        by_genre_and_year.genre_key,
        by_genre_and_year.genre,
        by_genre_and_year.release_year,
        cast(floor(cast(by_genre_and_year.release_year as double) / 10) as integer) * 10 as decade,
        by_genre_and_year.n_movies,
        by_genre_and_year.n_rated_movies,
        by_genre_and_year.n_ratings,
        cast(by_genre_and_year.sum_half_stars as double) / 2
        / nullif(by_genre_and_year.n_ratings, 0) as avg_rating,
        -- Both means are in half stars, which cancels out.
        cast(by_genre_and_year.sum_half_stars as double) / nullif(by_genre_and_year.n_ratings, 0)
        / (cast(overall.sum_half_stars as double) / overall.n_ratings) as lift_vs_overall,
        by_genre_and_year.n_ratings >= {{ var('genre_year_min_ratings') }} as has_enough_ratings
    from by_genre_and_year
    cross join overall

)

select * from final
