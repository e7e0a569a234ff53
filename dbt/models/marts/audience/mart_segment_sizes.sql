with

users as (

    select * from {{ ref('mart_user_segments') }}
    where n_ratings > 0

),

counted as (

    select
        segment_name,
        cluster_id,
        activity_level,
        lifecycle,
        count(*) as n_users,
        cast(sum(n_ratings) as bigint) as n_ratings
    from users
    group by segment_name, cluster_id, activity_level, lifecycle

),

final as (

    select
        segment_name,
        cluster_id,
        activity_level,
        lifecycle,
        n_users,
        n_ratings,
        cast(sum(n_users) over (partition by segment_name) as bigint) as segment_n_users,
        cast(sum(n_ratings) over (partition by segment_name) as bigint) as segment_n_ratings,
        cast(n_users as double) / sum(n_users) over () as share_of_users
    from counted

)

select * from final
