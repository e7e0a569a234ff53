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

all_likes as (

    select * from {{ ref('int_ratings__liked_capped') }}

),

assignments as (

    select * from {{ ref('int_users__cluster_assignments') }}

),

clusters as (

    select {{ row_digest(['user_id', 'cluster_id', 'segment_name']) }} as clusters_digest
    from assignments

),

newest_likes as (

    select
        max(_digest) as likes_digest,
        max(reflects_load_id) as reflects_load_id,
        count(*) as n_likes
    from all_likes

),

-- Where there are many likes, new clusters alone do not make the comparison due: each build moves some users.
today as (

    select
        {{ joint_digest([
            'newest_likes.likes_digest',
            'case when newest_likes.n_likes <= ' ~ var('comparison_small_likes') ~ ' then clusters.clusters_digest end',
        ]) }} as _digest,
        cast(newest_likes.reflects_load_id as integer) as reflects_load_id
    from clusters
    cross join newest_likes

),

-- No row as long as the table was made from the same likes. Nothing below then has a row either.
due as (

    {{ if_made_from_other_rows('today', users='assignments') }}

),

likes as (

    select all_likes.*
    from all_likes
    cross join due

),

cluster_likes as (

    select
        assignments.cluster_id,
        likes.user_id,
        likes.movie_number,
        count(*) over (partition by assignments.cluster_id, likes.movie_number) as n_likers
    from likes
    inner join assignments
        on likes.user_id = assignments.user_id
    where assignments.cluster_id is not null

),

-- Each user's least-known films that someone else in the cluster likes too. If more users than var
-- similar_users_max_group like a film, they are split by user ID into groups of at most about that size. The number of
-- groups is a power of two, so users who share a group for one film also share a group for every less-known film.
film_groups as (

    select
        cluster_id,
        user_id,
        movie_number,
        user_id % case
            {%- for power in range(20) %}
            when n_likers <= {{ (var('similar_users_max_group') | int) * 2 ** power }} then {{ 2 ** power }}
            {%- endfor %}
            else {{ 2 ** 20 }}
        end as group_number
    from cluster_likes
    where n_likers > 1
    qualify
        row_number() over (
            partition by user_id
            order by n_likers asc nulls last, movie_number asc nulls last
        ) <= {{ var('similar_users_max_films') }}

),

-- A pair of users packs into one integer. Pairs that share too few groups met by chance and are dropped.
pairs as (

    select
        cast(one.user_id as bigint) * 2147483648 + other.user_id as packed,
        count(*) as n_shared_groups
    from film_groups as one
    inner join film_groups as other
        on
            one.cluster_id = other.cluster_id
            and one.movie_number = other.movie_number
            and one.group_number = other.group_number
            and one.user_id < other.user_id
    group by cast(one.user_id as bigint) * 2147483648 + other.user_id
    having count(*) >= {{ var('similar_users_min_common') }}

),

unpacked as (

    select
        -- Subtracting the remainder leaves a multiple of 2^31, which is exact as a double. The whole pair may not be.
        cast(floor(cast(packed - packed % 2147483648 as double) / 2147483648) as bigint) as first_user_id,
        packed % 2147483648 as second_user_id,
        n_shared_groups
    from pairs

),

candidates as (

    select
        first_user_id,
        second_user_id
    from unpacked
    qualify
        row_number() over (
            partition by first_user_id
            order by n_shared_groups desc nulls last, second_user_id asc nulls last
        ) <= {{ var('similar_users_max_candidates') }}
        or row_number() over (
            partition by second_user_id
            order by n_shared_groups desc nulls last, first_user_id asc nulls last
        ) <= {{ var('similar_users_max_candidates') }}

),

-- Count all common likes of the candidates, not only films for which they share a group.
compared as (

    select
        candidates.first_user_id,
        candidates.second_user_id,
        count(*) as n_common_likes
    from candidates
    inner join likes as first_likes
        on candidates.first_user_id = first_likes.user_id
    inner join likes as second_likes
        on
            candidates.second_user_id = second_likes.user_id
            and first_likes.movie_number = second_likes.movie_number
    group by candidates.first_user_id, candidates.second_user_id

),

mirrored as (

    select
        first_user_id as user_id,
        second_user_id as similar_user_id,
        n_common_likes
    from compared
    union all
    select
        second_user_id as user_id,
        first_user_id as similar_user_id,
        n_common_likes
    from compared

),

n_likes as (

    select
        user_id,
        count(*) as n_likes
    from likes
    group by user_id

),

scored as (

    select
        mirrored.user_id,
        mirrored.similar_user_id,
        mirrored.n_common_likes,
        user_likes.n_likes,
        similar_user_likes.n_likes as similar_n_likes,
        cast(mirrored.n_common_likes as double)
        / sqrt(cast(user_likes.n_likes * similar_user_likes.n_likes as double))
        * (
            cast(mirrored.n_common_likes as double)
            / (mirrored.n_common_likes + {{ var('similar_users_shrinkage') }})
        ) as similarity
    from mirrored
    inner join n_likes as user_likes
        on mirrored.user_id = user_likes.user_id
    inner join n_likes as similar_user_likes
        on mirrored.similar_user_id = similar_user_likes.user_id

),

ranked as (

    select
        *,
        row_number() over (
            partition by user_id
            order by
                similarity desc nulls last,
                n_common_likes desc nulls last,
                similar_user_id asc nulls last
        ) as similarity_rank
    from scored
    qualify similarity_rank <= {{ var('similar_users_n_per_user') }}

),

listed_users as (

    {{ keys_to_replace('ranked', ['user_id'], 'due') }}

),

-- A user who dropped out of the comparison gets a null digest here, which tells the strategy to delete the rows.
final as (

    select
        cast(listed_users.user_id as integer) as user_id,
        cast(ranked.similarity_rank as integer) as similarity_rank,
        cast(ranked.similar_user_id as integer) as similar_user_id,
        assignments.segment_name,
        assignments.cluster_id,
        ranked.n_common_likes,
        ranked.n_likes,
        ranked.similar_n_likes,
        ranked.similarity,
        (
            dense_rank() over (order by ranked.n_likes desc nulls last, ranked.user_id asc nulls last)
            <= {{ var('charted_picks') }}
            and ranked.similarity_rank <= {{ var('charted_rows_per_pick') }}
        ) as is_charted,
        due.reflects_load_id,
        case when ranked.user_id is not null then due._digest end as _digest
    from listed_users
    cross join due
    left join ranked
        on listed_users.user_id = ranked.user_id
    left join assignments
        on ranked.user_id = assignments.user_id

)

select * from final
