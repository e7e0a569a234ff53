{{
    config(
        materialized='incremental',
        incremental_strategy='by_digest',
        unique_key=['user_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}
{#- Comparing all pairs of films and of users takes half of the time of all models, and one new like can move any
    result. So these likes, and with them the marts that compare, are chosen again when enough ratings are new: see var
    comparison_min_new_ratings. -#}

with

rating_days as (

    select * from {{ ref('int_users__rating_days') }}

),

ledger as (

    select * from {{ ref('stg_ops__loads') }}
    where
        dataset = 'movielens/ratings'
        and is_current

),

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

user_digests as (

    select
        user_id,
        cast(sum(n_ratings) as bigint) as n_ratings,
        min(_digest) as _digest
    from rating_days
    group by user_id

),

users as (

    select
        {{ row_digest(['user_id', '_digest']) }} as users_digest,
        cast(coalesce(sum(n_ratings), 0) as bigint) as n_ratings
    from user_digests

),

newest_load as (

    select coalesce(max(load_id), 0) as reflects_load_id
    from ledger

),

today as (

    select
        {{ joint_digest(['users.users_digest', 'newest_load.reflects_load_id']) }} as _digest,
        users.n_ratings,
        newest_load.reflects_load_id
    from newest_load
    cross join users

),

{% if is_incremental() -%}

existing as (

    select
        max(_digest) as _digest,
        max(reflects_load_id) as reflects_load_id,
        count(*) as n_likes
    from {{ this }}

),

existing_users as (

    select distinct user_id
    from {{ this }}

),

gone_users as (

    select count(*) as n_gone
    from existing_users
    left join user_digests
        on existing_users.user_id = user_digests.user_id
    where user_digests.user_id is null

),

new_rows as (

    select cast(coalesce(sum(ledger.rows_loaded), 0) as bigint) as n_new
    from ledger
    inner join existing
        on ledger.load_id > existing.reflects_load_id

),

-- No row as long as the likes in the table are recent enough. Nothing below then has a row either.
due as (

    select today.*
    from today
    cross join existing
    cross join gone_users
    cross join new_rows
    where
        today._digest is distinct from existing._digest
        and (
            existing.n_likes <= {{ var('comparison_small_likes') }}
            or new_rows.n_new >= {{ var('comparison_min_new_ratings') }} * today.n_ratings
            or gone_users.n_gone > 0
        )

),

{% else -%}

due as (

    select * from today

),

{% endif -%}

liked as (

    select
        ratings.user_id,
        ratings.movie_id,
        ratings.rating,
        ratings.rated_at
    from ratings
    cross join due
    where ratings.rating >= {{ var('liked_min_rating') }}

),

-- Films are numbered without gaps, so a pair of films packs into one integer and the number of pairs is bounded.
movies as (

    select
        movie_id,
        row_number() over (order by count(*) desc nulls last, movie_id asc nulls last) as movie_number
    from liked
    group by movie_id
    having count(*) >= {{ var('liked_min_likes') }}
    qualify movie_number <= {{ var('liked_max_movies') }}

),

-- MovieLens users rate many films within one second. Ordering those by film ID would keep old films, which have small
-- IDs, and drop new ones. Multiplying by an odd factor modulo 2^32 shuffles without ties, and adding a multiple of the
-- user ID rotates the order, so no film comes first for everyone.
shuffled as (

    select
        liked.user_id,
        liked.movie_id,
        movies.movie_number,
        liked.rating,
        liked.rated_at,
        (cast(liked.movie_id as bigint) * 2654435761 + cast(liked.user_id as bigint) * 40503)
        % 4294967296 as shuffle_key
    from liked
    inner join movies
        on liked.movie_id = movies.movie_id

),

capped as (

    select
        user_id,
        movie_id,
        cast(movie_number as integer) as movie_number
    from shuffled
    qualify
        row_number() over (
            partition by user_id
            order by rating desc nulls last, rated_at desc nulls last, shuffle_key asc nulls last
        ) <= {{ var('liked_max_per_user') }}

),

listed_users as (

    {{ keys_to_replace('capped', ['user_id'], 'due') }}

),

-- A user who has no likes left gets a null digest here, which tells the strategy to delete the user's rows.
final as (

    select
        listed_users.user_id,
        capped.movie_id,
        capped.movie_number,
        due.reflects_load_id,
        case when capped.movie_id is not null then due._digest end as _digest
    from listed_users
    cross join due
    left join capped
        on listed_users.user_id = capped.user_id

)

select * from final
