{{
    config(
        materialized='incremental',
        incremental_strategy='by_digest',
        unique_key=['user_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}
{#- Fixed point: values averaged over users are whole multiples of 1/unit, so row order does not change the result. -#}
{%- set unit = 10000 %}
{%- set prior = (var('segment_prior_ratings') | int) * 1000000 %}

with

all_stats as (

    select * from {{ ref('int_users__genre_stats') }}

),

likes as (

    select * from {{ ref('int_ratings__liked_capped') }}

),

user_digests as (

    select distinct
        user_id,
        _digest
    from all_stats

),

genre_numbers as (

    select distinct
        genre_number,
        genre
    from all_stats

),

all_users as (

    select {{ row_digest(['user_id', '_digest']) }} as users_digest
    from user_digests

),

all_genres as (

    select {{ row_digest(['genre_number', 'genre']) }} as genres_digest
    from genre_numbers

),

newest_likes as (

    select
        max(_digest) as likes_digest,
        max(reflects_load_id) as reflects_load_id,
        count(*) as n_likes
    from likes

),

-- Where there are many ratings, users are clustered again only when the likes are chosen again.
today as (

    select
        {{ joint_digest([
            'newest_likes.likes_digest',
            'all_genres.genres_digest',
            'case when newest_likes.n_likes <= ' ~ var('comparison_small_likes') ~ ' then all_users.users_digest end',
        ]) }} as _digest,
        newest_likes.reflects_load_id
    from newest_likes
    cross join all_genres
    cross join all_users

),

due as (

    {{ if_made_from_other_rows('today', users='user_digests') }}

),

stats as (

    select all_stats.*
    from all_stats
    cross join due
    where all_stats.genre_number <= {{ var('segment_max_genres') }}

),

users as (

    select
        user_id,
        cast(sum(weighted_ratings_micro) as bigint) as weighted_ratings_micro
    from stats
    group by user_id
    having sum(weighted_ratings_micro) >= {{ var('segment_min_ratings') }} * 1000000

),

stats_of_users as (

    select stats.*
    from stats
    inner join users
        on stats.user_id = users.user_id

),

by_genre as (

    select
        genre_number,
        cast(sum(weighted_ratings_micro) as bigint) as weighted_ratings_micro
    from stats_of_users
    group by genre_number

),

genres as (

    select
        genre_number,
        cast(weighted_ratings_micro as double) / sum(weighted_ratings_micro) over () as usual_share
    from by_genre

),

-- Every user has every genre. `watched` is the square root of the genre's share, as if the user had rated var
-- segment_prior_ratings more films in the usual shares. Differences of square roots compare shares well, small ones
-- included. `liked` is the preference, weighted by the size of the genre.
measured as (

    select
        users.user_id,
        genres.genre_number,
        cast(floor({{ unit }} * sqrt(
            (coalesce(stats_of_users.weighted_ratings_micro, 0) + {{ prior }} * genres.usual_share)
            / (users.weighted_ratings_micro + {{ prior }})
        ) + 0.5) as bigint) as watched,
        cast(floor(
            {{ unit }} * {{ var('segment_preference_weight') }}
            * sqrt(genres.usual_share) * coalesce(stats_of_users.preference, 0) + 0.5
        ) as bigint) as liked
    from users
    cross join genres
    left join stats_of_users
        on
            users.user_id = stats_of_users.user_id
            and genres.genre_number = stats_of_users.genre_number

),

-- The average user is at 0 in every genre.
by_genre_mean as (

    select
        genre_number,
        cast(floor(cast(sum(watched + liked) as double) / count(*) + 0.5) as bigint) as mean_value
    from measured
    group by genre_number

),

centred as (

    select
        measured.user_id,
        measured.genre_number,
        measured.watched + measured.liked - by_genre_mean.mean_value as above_average
    from measured
    inner join by_genre_mean
        on measured.genre_number = by_genre_mean.genre_number

),

vectors as (

    select
        {% for number in range(1, (var('segment_max_genres') | int) + 1) -%}
        cast(
            sum(case when genre_number = {{ number }} then above_average else 0 end) as bigint
        ) as genre_{{ number }},
        {% endfor -%}
        user_id
    from centred
    group by user_id

),

listed_users as (

    {{ keys_to_replace('vectors', ['user_id'], 'due') }}

),

-- A user who no longer has enough ratings gets a null digest here, which tells the strategy to delete the user's row.
final as (

    select
        {% for number in range(1, (var('segment_max_genres') | int) + 1) -%}
        vectors.genre_{{ number }},
        {% endfor -%}
        listed_users.user_id,
        due.reflects_load_id,
        case when vectors.user_id is not null then due._digest end as _digest
    from listed_users
    cross join due
    left join vectors
        on listed_users.user_id = vectors.user_id

)

select * from final
