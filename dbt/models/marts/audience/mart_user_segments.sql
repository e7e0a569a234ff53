with

assignments as (

    select * from {{ ref('int_users__cluster_assignments') }}

),

stats as (

    select * from {{ ref('int_users__genre_stats') }}

),

genres_of_user as (

    select
        user_id,
        max(case when by_watched = 1 then genre end) as most_watched_genre,
        max(case when by_liked = 1 then genre end) as best_liked_genre
    from (
        select
            user_id,
            genre,
            row_number() over (
                partition by user_id
                order by weighted_ratings_micro desc nulls last, genre_number asc nulls last
            ) as by_watched,
            row_number() over (
                partition by user_id
                order by preference desc nulls last, genre_number asc nulls last
            ) as by_liked
        from stats
    ) as ranked
    group by user_id

),

today as (

    select {{ as_of_date('cast(last_rated_at as date)', 'assignments') }} as as_of_date

),

placed as (

    select
        assignments.*,
        percent_rank() over (order by assignments.n_ratings asc nulls first) as activity_percentile,
        datediff(
            'day', cast(assignments.first_rated_at as date), today.as_of_date
        ) as days_since_first_rating,
        datediff('day', cast(assignments.last_rated_at as date), today.as_of_date) as days_since_last_rating
    from assignments
    cross join today

),

final as (

    select
        placed.user_id,
        placed.segment_name,
        placed.cluster_id,
        placed.taste,
        case
            when placed.n_ratings = 0 then 'none'
            when placed.activity_percentile >= {{ var('activity_heavy_min_percentile') }} then 'heavy'
            when placed.activity_percentile < {{ var('activity_light_max_percentile') }} then 'light'
            else 'regular'
        end as activity_level,
        case
            when placed.n_ratings = 0 then 'none'
            when placed.days_since_first_rating < {{ var('lifecycle_new_days') }} then 'new'
            when placed.days_since_last_rating < {{ var('lifecycle_active_days') }} then 'active'
            else 'lapsed'
        end as lifecycle,
        genres_of_user.most_watched_genre,
        genres_of_user.best_liked_genre,
        placed.n_ratings,
        cast(placed.sum_half_stars as double) / 2 / nullif(placed.n_ratings, 0) as avg_rating,
        placed.first_rated_at,
        placed.last_rated_at,
        cast(placed.days_since_last_rating as integer) as days_since_last_rating,
        sqrt(cast(placed.squared_distance as double)) / 10000 as distance_to_centre
    from placed
    left join genres_of_user
        on placed.user_id = genres_of_user.user_id

)

select * from final
