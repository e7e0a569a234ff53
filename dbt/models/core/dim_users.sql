with

rating_days as (

    select * from {{ ref('int_users__rating_days') }}

),

tags as (

    select * from {{ ref('fct_tags') }}

),

ratings_by_user as (

    select
        user_id,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars,
        min(first_rated_at) as first_rated_at,
        max(last_rated_at) as last_rated_at
    from rating_days
    group by user_id

),

tags_by_user as (

    select
        user_id,
        count(*) as n_tags,
        min(tagged_at) as first_tagged_at,
        max(tagged_at) as last_tagged_at
    from tags
    group by user_id

),

activity as (

    select
        user_id,
        first_rated_at as first_at,
        last_rated_at as last_at
    from ratings_by_user
    union all
    select
        user_id,
        first_tagged_at as first_at,
        last_tagged_at as last_at
    from tags_by_user

),

users as (

    select
        user_id,
        min(first_at) as first_active_at,
        max(last_at) as last_active_at
    from activity
    group by user_id

),

final as (

    select
        users.user_id,
        coalesce(ratings_by_user.n_ratings, 0) as n_ratings,
        coalesce(tags_by_user.n_tags, 0) as n_tags,
        cast(ratings_by_user.sum_half_stars as double) / 2 / ratings_by_user.n_ratings as avg_rating,
        users.first_active_at,
        users.last_active_at
    from users
    left join ratings_by_user
        on users.user_id = ratings_by_user.user_id
    left join tags_by_user
        on users.user_id = tags_by_user.user_id

)

select * from final
