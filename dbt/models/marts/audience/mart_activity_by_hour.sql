{{
    config(
        materialized='dynamic_table' if target.type == 'snowflake' else 'table',
        snowflake_warehouse=target.get('warehouse'),
        target_lag='1 hour',
        refresh_mode='FULL',
        initialize='ON_CREATE',
        full_refresh=true,
    )
}}
{#- A dynamic table keeps up with fct_ratings even if only fct_ratings is built. Every build still recreates it
    (full_refresh): dbt-snowflake skips a dynamic table with unchanged settings even if its query has changed, and tests
    and readers would see rows up to an hour old. The table has 168 rows, so a FULL refresh costs as much as a table. An
    incremental refresh would need a change history, which a full refresh of fct_ratings ends.
    dbt does not enforce contracts on dynamic tables. This model's contract is enforced where it is a table. -#}

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

by_hour as (

    select
        {{ iso_day_of_week('rated_on') }} as iso_dow,
        extract(hour from rated_at) as hour_utc,
        count(*) as n_ratings,
        cast(sum(cast(rating * 2 as integer)) as bigint) as sum_half_stars,
        count(distinct user_id) as n_users
    from ratings
    group by {{ iso_day_of_week('rated_on') }}, extract(hour from rated_at)

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
