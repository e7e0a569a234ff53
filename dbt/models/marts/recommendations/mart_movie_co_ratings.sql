{{
    config(
        materialized='incremental',
        incremental_strategy='by_digest',
        unique_key=['movie_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}
{#- One more than the highest movie_number. A pair packs into the integer first * base + second: grouping by one integer
    takes half the time and memory of grouping by two. -#}
{%- set base = (var('liked_max_movies') | int) + 1 %}

with

likes as (

    select * from {{ ref('int_ratings__liked_capped') }}

),

movies as (

    select * from {{ ref('dim_movies') }}

),

films as (

    select {{ row_digest(['movie_id', 'title', 'release_year', 'genres']) }} as films_digest
    from movies

),

newest_likes as (

    select
        max(_digest) as likes_digest,
        max(reflects_load_id) as reflects_load_id
    from likes

),

today as (

    select
        {{ joint_digest(['newest_likes.likes_digest', 'films.films_digest']) }} as _digest,
        cast(newest_likes.reflects_load_id as integer) as reflects_load_id
    from films
    cross join newest_likes

),

-- No row as long as the table was made from the same likes and films. Nothing below then has a row either.
due as (

    {{ if_made_from_other_rows('today') }}

),

liked as (

    select likes.*
    from likes
    cross join due

),

by_movie as (

    select
        movie_number,
        movie_id,
        count(*) as n_likes
    from liked
    group by movie_number, movie_id

),

n_users as (

    select count(distinct user_id) as n_users
    from liked

),

-- Each pair appears once. The cap on each user's likes bounds the number of pairs.
pairs as (

    select
        cast(first_liked.movie_number as bigint) * {{ base }} + second_liked.movie_number as packed,
        count(*) as n_co_likes
    from liked as first_liked
    inner join liked as second_liked
        on
            first_liked.user_id = second_liked.user_id
            and first_liked.movie_number < second_liked.movie_number
    group by cast(first_liked.movie_number as bigint) * {{ base }} + second_liked.movie_number
    having count(*) >= {{ var('co_rating_min_co_likes') }}

),

unpacked as (

    select
        cast(floor(cast(packed as double) / {{ base }}) as bigint) as first_number,
        packed % {{ base }} as second_number,
        n_co_likes
    from pairs

),

scored as (

    select
        first_movies.movie_id as first_movie_id,
        second_movies.movie_id as second_movie_id,
        first_movies.n_likes as first_n_likes,
        second_movies.n_likes as second_n_likes,
        unpacked.n_co_likes,
        cast(unpacked.n_co_likes as double)
        / sqrt(cast(first_movies.n_likes * second_movies.n_likes as double))
        * (
            cast(unpacked.n_co_likes as double)
            / (unpacked.n_co_likes + {{ var('co_rating_shrinkage') }})
        ) as score,
        cast(unpacked.n_co_likes * n_users.n_users as double)
        / (first_movies.n_likes * second_movies.n_likes) as lift
    from unpacked
    inner join by_movie as first_movies
        on unpacked.first_number = first_movies.movie_number
    inner join by_movie as second_movies
        on unpacked.second_number = second_movies.movie_number
    cross join n_users

),

mirrored as (

    select
        first_movie_id as movie_id,
        second_movie_id as liked_movie_id,
        first_n_likes as n_likes,
        second_n_likes as liked_n_likes,
        n_co_likes,
        score,
        lift
    from scored
    union all
    select
        second_movie_id as movie_id,
        first_movie_id as liked_movie_id,
        second_n_likes as n_likes,
        first_n_likes as liked_n_likes,
        n_co_likes,
        score,
        lift
    from scored

),

ranked as (

    select
        *,
        row_number() over (
            partition by movie_id
            order by score desc nulls last, n_co_likes desc nulls last, liked_movie_id asc nulls last
        ) as rank_for_movie
    from mirrored
    qualify rank_for_movie <= {{ var('co_rating_n_per_movie') }}

),

listed_movies as (

    {{ keys_to_replace('ranked', ['movie_id'], 'due') }}

),

-- A film that dropped out of the comparison gets a null digest here, which tells the strategy to delete its rows.
final as (

    select
        listed_movies.movie_id,
        movies.title,
        movies.release_year,
        cast(ranked.rank_for_movie as integer) as rank_for_movie,
        ranked.liked_movie_id,
        liked_movies.title as liked_title,
        liked_movies.release_year as liked_release_year,
        liked_movies.genres as liked_genres,
        ranked.n_co_likes,
        ranked.n_likes,
        ranked.liked_n_likes,
        ranked.score,
        ranked.lift,
        (
            dense_rank() over (order by ranked.n_likes desc nulls last, ranked.movie_id asc nulls last)
            <= {{ var('charted_picks') }}
            and ranked.rank_for_movie <= {{ var('charted_rows_per_pick') }}
        ) as is_charted,
        due.reflects_load_id,
        case when ranked.movie_id is not null then due._digest end as _digest
    from listed_movies
    cross join due
    left join ranked
        on listed_movies.movie_id = ranked.movie_id
    left join movies
        on ranked.movie_id = movies.movie_id
    left join movies as liked_movies
        on ranked.liked_movie_id = liked_movies.movie_id

)

select * from final
