with

rating_days as (

    select * from {{ ref('int_users__rating_days') }}
    where {{ up_to_as_of_date('rated_on') }}

),

tags as (

    select * from {{ ref('fct_tags') }}
    where {{ up_to_as_of_date('tagged_on') }}

),

tags_by_day as (

    select
        user_id,
        tagged_on,
        count(*) as n_tags,
        min(tagged_at) as first_tagged_at,
        max(tagged_at) as last_tagged_at
    from tags
    group by user_id, tagged_on

),

ratings_by_user as (

    select
        user_id,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars,
        count(*) as n_days,
        min(first_rated_at) as first_rated_at,
        max(last_rated_at) as last_rated_at
    from rating_days
    group by user_id

),

-- Days on which the user also rated are counted there.
tags_by_user as (

    select
        tags_by_day.user_id,
        cast(sum(tags_by_day.n_tags) as bigint) as n_tags,
        count(case when rating_days.user_id is null then 1 end) as n_days,
        min(tags_by_day.first_tagged_at) as first_tagged_at,
        max(tags_by_day.last_tagged_at) as last_tagged_at
    from tags_by_day
    left join rating_days
        on
            tags_by_day.user_id = rating_days.user_id
            and tags_by_day.tagged_on = rating_days.rated_on
    group by tags_by_day.user_id

),

by_user as (

    select
        coalesce(ratings_by_user.user_id, tags_by_user.user_id) as user_id,
        coalesce(ratings_by_user.n_ratings, 0) as n_ratings,
        coalesce(ratings_by_user.sum_half_stars, 0) as sum_half_stars,
        coalesce(tags_by_user.n_tags, 0) as n_tags,
        coalesce(ratings_by_user.n_days, 0) + coalesce(tags_by_user.n_days, 0) as n_active_days,
        least(
            coalesce(ratings_by_user.first_rated_at, tags_by_user.first_tagged_at),
            coalesce(tags_by_user.first_tagged_at, ratings_by_user.first_rated_at)
        ) as first_active_at,
        greatest(
            coalesce(ratings_by_user.last_rated_at, tags_by_user.last_tagged_at),
            coalesce(tags_by_user.last_tagged_at, ratings_by_user.last_rated_at)
        ) as last_active_at
    from ratings_by_user
    full outer join tags_by_user
        on ratings_by_user.user_id = tags_by_user.user_id

),

as_of as (

    select {{ as_of_date('cast(last_active_at as date)', 'by_user') }} as as_of_date

),

ranked as (

    select
        *,
        row_number() over (
            order by n_ratings desc nulls last, n_tags desc nulls last, user_id asc nulls last
        ) as activity_rank,
        count(*) over () as n_users,
        sum(n_ratings) over () as total_n_ratings
    from by_user

),

cumulative as (

    select
        *,
        sum(n_ratings) over (
            order by activity_rank asc nulls last rows between unbounded preceding and current row
        ) as cumulative_n_ratings
    from ranked

),

final as (

    select
        cumulative.user_id,
        cumulative.activity_rank,
        cumulative.n_ratings,
        cumulative.n_tags,
        cumulative.n_active_days,
        cast(cumulative.n_ratings as double) / cumulative.n_active_days as ratings_per_active_day,
        cast(cumulative.sum_half_stars as double) / 2 / nullif(cumulative.n_ratings, 0) as avg_rating,
        cumulative.first_active_at,
        cumulative.last_active_at,
        cast(
            datediff('day', cast(cumulative.last_active_at as date), as_of.as_of_date) as integer
        ) as days_since_active,
        cast(cumulative.activity_rank as double) / cumulative.n_users as cumulative_share_of_users,
        coalesce(
            cast(cumulative.n_ratings as double) / nullif(cumulative.total_n_ratings, 0), 0
        ) as share_of_ratings,
        coalesce(
            cast(cumulative.cumulative_n_ratings as double) / nullif(cumulative.total_n_ratings, 0), 0
        ) as cumulative_share,
        (
            cumulative.activity_rank <= {{ var('charted_rows') }}
            or cumulative.activity_rank = cumulative.n_users
            or cumulative.activity_rank % greatest(
                1, cast(floor(cast(cumulative.n_users as double) / {{ var('charted_points') }}) as bigint)
            ) = 0
        ) as is_charted
    from cumulative
    cross join as_of

)

select * from final
