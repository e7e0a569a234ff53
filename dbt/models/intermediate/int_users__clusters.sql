{{
    config(
        materialized='incremental',
        incremental_strategy='by_digest',
        unique_key=['user_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}
{#-
    K-means in SQL. The steps are unrolled because neither warehouse can loop within a query. All compared values are
    whole numbers (squared distances, rounded means), and ties go to the lower number. Row order, thread count and
    warehouse therefore do not change any cluster.

    Each step reads the previous one once, so text and cost grow linearly with the number of steps, not exponentially.
-#}
{%- set n_genres = var('segment_max_genres') | int %}
{%- set genres = range(1, n_genres + 1) %}
{%- set genre_columns = [] %}
{%- for number in genres %}{% do genre_columns.append('genre_' ~ number) %}{% endfor %}
{%- set n_clusters = var('segment_n_clusters') | int %}
{%- set n_steps = var('segment_n_steps') | int %}
{%- set merging_step = n_steps // 2 %}

with

all_vectors as (

    select * from {{ ref('int_users__genre_vectors') }}

),

today as (

    select
        {{ row_digest(['user_id'] + genre_columns) }} as _digest,
        max(reflects_load_id) as reflects_load_id
    from all_vectors

),

due as (

    {{ if_made_from_other_rows('today') }}

),

vectors as (

    select all_vectors.*
    from all_vectors
    cross join due

),

-- The average user is at 0 in every genre.
spread as (

    select
        cast(sum(
            {% for number in genres -%}
            {{ '+ ' if not loop.first }}genre_{{ number }} * genre_{{ number }}
            {% endfor %}
        ) as double) / nullif(count(*), 0) as mean_squared_distance
    from vectors

),

-- Start from groups of users with the same favourite genre: the one in which they are furthest above the average user.
favourites as (

    select
        *,
        case greatest(
            {% for number in genres -%}
            genre_{{ number }}{{ ',' if not loop.last }}
            {% endfor %}
        )
            {% for number in genres -%}
            when genre_{{ number }} then {{ number }}
            {% endfor %}
        end as favourite
    from vectors

),

by_favourite as (

    select
        favourites.favourite,
        count(*) as n_users,
        {{ centre_of('favourites') }}
    from favourites
    group by favourites.favourite

),

candidates as (

    select *
    from by_favourite
    where n_users >= {{ var('segment_min_seed_share') }} * (select count(*) from vectors)

),

distances as (

    select
        candidates.favourite,
        origins.favourite as origin_favourite,
        {{ squared_distance('candidates', 'origins') }} as squared_distance -- noqa: LT05
    from candidates
    cross join candidates as origins

),

-- Pick the largest group first, then repeatedly a group that is large and far from all groups picked before.
seeds_0 as (

    select
        favourite,
        n_users,
        cast(null as integer) as cluster_id,
        cast({{ n_genres }} as bigint) * 400000000 as squared_distance
    from candidates

),

{% for step in range(1, n_clusters + 1) -%}
picked_{{ step }} as (

    select
        *,
        first_value(favourite) over (
            order by
                case
                    when cluster_id is null then squared_distance * sqrt(cast(n_users as double))
                end desc nulls last,
                favourite asc nulls last
        ) as picked
    from seeds_{{ step - 1 }}

),

seeds_{{ step }} as (

    select
        seeds.favourite,
        seeds.n_users,
        case
            when seeds.cluster_id is null and seeds.favourite = seeds.picked then {{ step }}
            else seeds.cluster_id
        end as cluster_id,
        least(distances.squared_distance, seeds.squared_distance) as squared_distance
    from picked_{{ step }} as seeds
    inner join distances
        on
            seeds.favourite = distances.favourite
            and seeds.picked = distances.origin_favourite

),

{% endfor -%}

centres_0 as (

    select
        {% for number in genres -%}
        candidates.genre_{{ number }},
        {% endfor -%}
        seeds.cluster_id
    from seeds_{{ n_clusters }} as seeds
    inner join candidates
        on seeds.favourite = candidates.favourite
    where seeds.cluster_id is not null

),

{% for step in range(1, n_steps + 1) -%}
nearest_{{ step }} as (

    {{ nearest_centre('vectors', 'merged' if step - 1 == merging_step else 'centres_' ~ (step - 1)) }}

),

-- A cluster that is nearest to no user disappears.
centres_{{ step }} as (

    select
        nearest.packed % 1000 as cluster_id,
        count(*) as n_users,
        {{ centre_of('vectors') }}
    from vectors
    inner join nearest_{{ step }} as nearest
        on vectors.user_id = nearest.user_id
    group by nearest.packed % 1000

),

{% if step == merging_step -%}
-- Halfway, a cluster close to a larger one is absorbed: the same taste found twice is one cluster.
absorbed as (

    select distinct centres.cluster_id
    from centres_{{ step }} as centres
    cross join centres_{{ step }} as larger
    cross join spread
    where
        (
            larger.n_users > centres.n_users
            or (larger.n_users = centres.n_users and larger.cluster_id < centres.cluster_id)
        )
        and ({{ squared_distance('centres', 'larger') }})
        < {{ var('segment_min_distance') }} * spread.mean_squared_distance

),

merged as (

    select centres.*
    from centres_{{ step }} as centres
    left join absorbed
        on centres.cluster_id = absorbed.cluster_id
    where absorbed.cluster_id is null

),

{% endif -%}
{% endfor -%}

nearest_centre as (

    {{ nearest_centre('vectors', 'centres_' ~ n_steps) }}

),

listed_users as (

    {{ keys_to_replace('nearest_centre', ['user_id'], 'due') }}

),

-- A user who dropped out of the clusters gets a null digest here, which tells the strategy to delete the row.
final as (

    select
        listed_users.user_id,
        cast(nearest_centre.packed % 1000 as integer) as cluster_id,
        cast(floor(cast(nearest_centre.packed as double) / 1000) as bigint) as squared_distance,
        due.reflects_load_id,
        case when nearest_centre.user_id is not null then due._digest end as _digest
    from listed_users
    cross join due
    left join nearest_centre
        on listed_users.user_id = nearest_centre.user_id

)

select * from final
