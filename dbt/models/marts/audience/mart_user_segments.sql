with

assignments as (

    select * from {{ ref('int_users__cluster_assignments') }}

),

stats as (

    select * from {{ ref('int_users__genre_stats') }}

),

favourite_genres as (

    select
        user_id,
        max(case when watched_rank = 1 then genre end) as most_watched_genre,
        max(case when liked_rank = 1 then genre end) as best_liked_genre
    from stats
    where
        watched_rank = 1
        or liked_rank = 1
    group by user_id

),

as_of as (

    select {{ as_of_date('cast(last_rated_at as date)', 'assignments') }} as as_of_date

),

with_recency as (

    select
        assignments.*,
        percent_rank() over (order by assignments.n_ratings asc nulls first) as activity_percentile,
        datediff(
            'day', cast(assignments.first_rated_at as date), as_of.as_of_date
        ) as days_since_first_rating,
        datediff('day', cast(assignments.last_rated_at as date), as_of.as_of_date) as days_since_last_rating
    from assignments
    cross join as_of

),

final as (

    select
        with_recency.user_id,
        with_recency.segment_name,
        with_recency.cluster_id,
        with_recency.taste,
        case
            when with_recency.n_ratings = 0 then 'none'
            when with_recency.activity_percentile >= {{ var('activity_heavy_min_percentile') }} then 'heavy'
            when with_recency.activity_percentile < {{ var('activity_light_max_percentile') }} then 'light'
            else 'regular'
        end as activity_level,
        case
            when with_recency.n_ratings = 0 then 'none'
            when with_recency.days_since_first_rating < {{ var('lifecycle_new_days') }} then 'new'
            when with_recency.days_since_last_rating < {{ var('lifecycle_active_days') }} then 'active'
            else 'lapsed'
        end as lifecycle,
        favourite_genres.most_watched_genre,
        favourite_genres.best_liked_genre,
        with_recency.n_ratings,
        cast(with_recency.sum_half_stars as double) / 2 / nullif(with_recency.n_ratings, 0) as avg_rating,
        with_recency.first_rated_at,
        with_recency.last_rated_at,
        cast(with_recency.days_since_last_rating as integer) as days_since_last_rating,
        sqrt(cast(with_recency.squared_distance as double)) / 10000 as distance_to_centre,
        with_recency.reflects_load_id
    from with_recency
    left join favourite_genres
        on with_recency.user_id = favourite_genres.user_id

)

select * from final
