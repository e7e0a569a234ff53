{{
    config(
        materialized='incremental',
        incremental_strategy='by_digest',
        unique_key=['user_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}

with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

rating_days as (

    select * from {{ ref('int_users__rating_days') }}
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
        movie_genres.genre_key,
        numbered_genres.genre_number,
        {{ millionths('movie_genres.weight') }} as weight_micro
    from movie_genres
    inner join numbered_genres
        on movie_genres.genre_key = numbered_genres.genre_key

),

by_user as (

    select
        user_id,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars,
        min(_digest) as ratings_digest
    from rating_days
    group by user_id

),

-- Films change seldom, and are few. One digest of all of them is enough: if it changes, all users are computed again.
films as (

    select {{ row_digest(['movie_id', 'genre_key', 'genre_number', 'weight_micro']) }} as films_digest
    from genre_of_movie

),

digests as (

    select
        by_user.user_id,
        {{ joint_digest(['by_user.ratings_digest', 'films.films_digest']) }} as _digest
    from by_user
    cross join films

),

changed_users as (

    {{ changed_keys('digests', ['user_id']) }}

),

changed_ratings as (

    {{ rows_of_changed('ratings', 'changed_users', ['user_id']) }}

),

by_user_and_genre as (

    select
        changed_ratings.user_id,
        genre_of_movie.genre_number,
        count(*) as n_ratings,
        cast(sum(genre_of_movie.weight_micro) as bigint) as weighted_ratings_micro,
        cast(sum(cast(changed_ratings.rating * 2 as integer)) as bigint) as sum_half_stars
    from changed_ratings
    inner join genre_of_movie
        on changed_ratings.movie_id = genre_of_movie.movie_id
    group by changed_ratings.user_id, genre_of_movie.genre_number

),

-- preference = sum of (rating - the user's mean) / (number of ratings + shrinkage), in whole numbers up to the
-- division.
stats as (

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
        ) as preference,
        digests._digest
    from by_user_and_genre
    inner join by_user
        on by_user_and_genre.user_id = by_user.user_id
    inner join digests
        on by_user_and_genre.user_id = digests.user_id
    inner join numbered_genres
        on by_user_and_genre.genre_number = numbered_genres.genre_number

),

ranked as (

    select
        *,
        row_number() over (
            partition by user_id
            order by weighted_ratings_micro desc nulls last, genre_number asc nulls last
        ) as watched_rank,
        row_number() over (
            partition by user_id
            order by preference desc nulls last, genre_number asc nulls last
        ) as liked_rank
    from stats

),

-- A user who has rated no film with genres gets a null digest in an incremental build, which tells the strategy to
-- delete the user's rows.
final as (

    select
        changed_users.user_id,
        ranked.genre_key,
        ranked.genre,
        ranked.genre_number,
        ranked.n_ratings,
        ranked.weighted_ratings_micro,
        ranked.sum_half_stars,
        ranked.preference,
        cast(ranked.watched_rank as integer) as watched_rank,
        cast(ranked.liked_rank as integer) as liked_rank,
        ranked._digest
    from changed_users
    {{ 'left' if is_incremental() else 'inner' }} join ranked
        on changed_users.user_id = ranked.user_id

)

select * from final
