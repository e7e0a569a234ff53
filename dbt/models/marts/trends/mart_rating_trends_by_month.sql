with

rating_days as (

    select * from {{ ref('int_users__rating_days') }}
    where {{ up_to_as_of_date('rated_on') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

ratings_by_month as (

    select
        cast(date_trunc('month', rated_on) as date) as month_day,
        cast(sum(n_ratings) as bigint) as n_ratings,
        count(distinct user_id) as n_users,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars
    from rating_days
    group by cast(date_trunc('month', rated_on) as date)

),

span as (

    select
        min(rated_on) as first_day,
        {{ as_of_date('rated_on', 'rating_days') }} as last_day
    from rating_days

),

-- Months without ratings have a row too. The first and the last month may be incomplete.
months as (

    select
        cast(date_trunc('month', dates.date_day) as date) as month_day,
        cast(extract(year from dates.date_day) as integer) as year_number,
        cast(extract(month from dates.date_day) as integer) as month_number,
        count(*) as n_days
    from dates
    inner join span
        on dates.date_day between span.first_day and span.last_day
    group by
        cast(date_trunc('month', dates.date_day) as date),
        cast(extract(year from dates.date_day) as integer),
        cast(extract(month from dates.date_day) as integer)

),

every_month as (

    select
        months.*,
        coalesce(ratings_by_month.n_ratings, 0) as n_ratings,
        coalesce(ratings_by_month.n_users, 0) as n_users,
        coalesce(ratings_by_month.sum_half_stars, 0) as sum_half_stars
    from months
    left join ratings_by_month
        on months.month_day = ratings_by_month.month_day

),

rolling as (

    select
        *,
        cast(sum(n_ratings) over (
            order by month_day asc nulls last rows between 11 preceding and current row
        ) as bigint) as rolling_12m_n_ratings,
        cast(sum(sum_half_stars) over (
            order by month_day asc nulls last rows between 11 preceding and current row
        ) as bigint) as rolling_12m_sum_half_stars,
        cast(sum(n_ratings) over (partition by year_number) as bigint) as year_n_ratings,
        cast(sum(n_days) over (partition by year_number) as bigint) as year_n_days
    from every_month

),

final as (

    select
        month_day,
        year_number,
        month_number,
        cast(n_days as integer) as n_days,
        n_ratings,
        n_users,
        cast(sum_half_stars as double) / 2 / nullif(n_ratings, 0) as avg_rating,
        cast(rolling_12m_sum_half_stars as double) / 2 / nullif(rolling_12m_n_ratings, 0) as rolling_12m_avg,
        cast(n_ratings as double) / n_days
        / nullif(cast(year_n_ratings as double) / year_n_days, 0) as index_in_year
    from rolling

)

select * from final
