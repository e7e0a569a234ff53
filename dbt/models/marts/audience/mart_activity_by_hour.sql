with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

digits as (

    select ten.digit
    from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as ten (digit)

),

hours as (

    select tens.digit * 10 + ones.digit as hour_utc
    from digits as tens
    cross join digits as ones
    where tens.digit * 10 + ones.digit <= 23

),

weekdays as (

    select digit as iso_dow
    from digits
    where digit between 1 and 7

),

-- Of each user first: to count the different users of 25 million rows cell by cell would take four times as long.
by_user as (

    select
        user_id,
        {{ iso_day_of_week('rated_on') }} as iso_dow,
        extract(hour from rated_at) as hour_utc,
        count(*) as n_ratings,
        sum(cast(rating * 2 as integer)) as sum_half_stars
    from ratings
    group by user_id, {{ iso_day_of_week('rated_on') }}, extract(hour from rated_at)

),

by_hour as (

    select
        iso_dow,
        hour_utc,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars,
        count(*) as n_users
    from by_user
    group by iso_dow, hour_utc

),

total as (

    select cast(sum(n_ratings) as bigint) as n_ratings
    from by_hour
    having count(*) > 0

),

final as (

    select
        cast(weekdays.iso_dow as integer) as iso_dow,
        cast(hours.hour_utc as integer) as hour_utc,
        weekdays.iso_dow >= 6 as is_weekend,
        cast(coalesce(by_hour.n_ratings, 0) as bigint) as n_ratings,
        cast(coalesce(by_hour.n_users, 0) as bigint) as n_users,
        cast(by_hour.sum_half_stars as double) / 2 / by_hour.n_ratings as avg_rating,
        cast(coalesce(by_hour.n_ratings, 0) as double) / total.n_ratings as share_of_ratings,
        cast(coalesce(by_hour.n_ratings, 0) * 168 as double) / total.n_ratings as index_vs_average
    from total
    cross join weekdays
    cross join hours
    left join by_hour
        on
            weekdays.iso_dow = by_hour.iso_dow
            and hours.hour_utc = by_hour.hour_utc

)

select * from final
