{#- Fixed point: values averaged over users are whole multiples of 1/unit, so row order does not change the result. -#}
{%- set unit = 10000 %}
{%- set prior = (var('segment_prior_ratings') | int) * 1000000 %}

with

stats as (

    select * from {{ ref('int_users__genre_stats') }}
    where genre_number <= {{ var('segment_max_genres') }}

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

final as (

    select
        {% for number in range(1, (var('segment_max_genres') | int) + 1) -%}
        cast(
            sum(case when genre_number = {{ number }} then above_average else 0 end) as bigint
        ) as genre_{{ number }},
        {% endfor -%}
        user_id
    from centred
    group by user_id

)

select * from final
