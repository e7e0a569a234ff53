with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

movie_genres as (

    select * from {{ ref('bridge_movie_genres') }}

),

genres as (

    select * from {{ ref('dim_genres') }}

),

numbered_genres as (

    select
        *,
        row_number() over (order by n_movies desc nulls last, genre asc nulls last) as genre_number
    from genres

),

-- Numbers instead of text keep the exploded rows small. Weights are in millionths because whole numbers add up to the
-- same total in any order.
genre_of_movie as (

    select
        movie_genres.movie_id,
        numbered_genres.genre_number,
        {{ millionths('movie_genres.weight') }} as weight_micro
    from movie_genres
    inner join numbered_genres
        on movie_genres.genre_key = numbered_genres.genre_key

),

by_user as (

    select
        user_id,
        count(*) as n_ratings,
        cast(sum(cast(rating * 2 as integer)) as bigint) as sum_half_stars
    from ratings
    group by user_id

),

by_user_and_genre as (

    select
        ratings.user_id,
        genre_of_movie.genre_number,
        count(*) as n_ratings,
        cast(sum(genre_of_movie.weight_micro) as bigint) as weighted_ratings_micro,
        cast(sum(cast(ratings.rating * 2 as integer)) as bigint) as sum_half_stars
    from ratings
    inner join genre_of_movie
        on ratings.movie_id = genre_of_movie.movie_id
    group by ratings.user_id, genre_of_movie.genre_number

),

-- preference = sum of (rating - the user's mean) / (number of ratings + shrinkage), in whole numbers up to the
-- division.
final as (

    select
        by_user_and_genre.user_id,
        numbered_genres.genre_key,
        numbered_genres.genre,
        cast(numbered_genres.genre_number as integer) as genre_number,
        by_user_and_genre.n_ratings,
        by_user_and_genre.weighted_ratings_micro,
        by_user_and_genre.sum_half_stars,
        cast(
            by_user_and_genre.sum_half_stars * by_user.n_ratings
            - by_user_and_genre.n_ratings * by_user.sum_half_stars as double
        )
        / (
            2 * by_user.n_ratings
            * (by_user_and_genre.n_ratings + {{ var('genre_preference_shrinkage') }})
        ) as preference
    from by_user_and_genre
    inner join by_user
        on by_user_and_genre.user_id = by_user.user_id
    inner join numbered_genres
        on by_user_and_genre.genre_number = numbered_genres.genre_number

)

select * from final
