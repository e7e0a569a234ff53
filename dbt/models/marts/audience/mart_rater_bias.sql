with

users as (

    select * from {{ ref('mart_rating_consistency') }}
    where rater_type is not null

),

counted as (

    select
        cast(floor(user_bias * 4 + 0.5) as double) / 4 as bias_stars,
        rater_type,
        count(*) as n_users,
        cast(sum(n_ratings) as bigint) as n_ratings
    from users
    group by cast(floor(user_bias * 4 + 0.5) as double) / 4, rater_type

),

final as (

    select
        bias_stars,
        rater_type,
        n_users,
        n_ratings,
        cast(n_users as double) / sum(n_users) over () as share_of_users
    from counted

)

select * from final
