with

rating_days as (

    select * from {{ ref('int_users__rating_days') }}
    where {{ up_to_as_of_date('rated_on') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

by_day as (

    select
        rated_on as date_day,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars
    from rating_days
    group by rated_on

),

span as (

    select
        min(date_day) as first_day,
        {{ as_of_date('date_day', 'by_day') }} as last_day
    from by_day
    having count(*) > 0

),

by_month as (

    select
        dates.month_start,
        dates.month_number,
        count(*) as n_days,
        cast(coalesce(sum(by_day.n_ratings), 0) as bigint) as n_ratings,
        cast(coalesce(sum(by_day.sum_half_stars), 0) as bigint) as sum_half_stars,
        min(dates.date_day) >= span.first_day and max(dates.date_day) <= span.last_day as is_complete
    from dates
    cross join span
    left join by_day
        on dates.date_day = by_day.date_day
    group by dates.month_start, dates.month_number, span.first_day, span.last_day

),

-- The year around a month is half of the month six months before, the eleven months between, and half of the month six
-- months after. Each month of the year then has the same weight, and growth cancels out because it raises one half as
-- much as it lowers the other. All counts are doubled so that halves are whole numbers.
complete_months as (

    select
        *,
        sum(n_ratings) over (
            order by month_start asc nulls last rows between 6 preceding and 6 following
        ) + sum(n_ratings) over (
            order by month_start asc nulls last rows between 5 preceding and 5 following
        ) as double_year_n_ratings,
        sum(n_days) over (
            order by month_start asc nulls last rows between 6 preceding and 6 following
        ) + sum(n_days) over (
            order by month_start asc nulls last rows between 5 preceding and 5 following
        ) as double_year_n_days,
        count(*) over (
            order by month_start asc nulls last rows between 6 preceding and 6 following
        ) as n_months_in_window
    from by_month
    where is_complete

),

ratios as (

    select
        month_number,
        cast(n_ratings as double) / n_days
        / (cast(double_year_n_ratings as double) / double_year_n_days) as ratio
    from complete_months
    where
        n_months_in_window = 13
        and double_year_n_ratings >= 2 * {{ var('seasonality_min_ratings') }}
        and double_year_n_ratings > 0

),

-- The median keeps one week of a single unusual year from making a season. Millionths are whole numbers, so sums do not
-- depend on row order.
unscaled as (

    select
        month_number,
        count(*) as n_years,
        {{ millionths('median(ratio)') }} as index_in_millionths,
        min(ratio) as least_index,
        max(ratio) as greatest_index
    from ratios
    group by month_number

),

-- Scale the twelve indices to a mean of 1, which the indices of a single year have. Until all twelve are known, nothing
-- is scaled.
scale as (

    select
        case
            when count(*) = 12 and sum(index_in_millionths) > 0
                then cast(sum(index_in_millionths) as double) / 12
            else cast(1000000 as double)
        end as mean_in_millionths
    from unscaled

),

by_month_number as (

    select
        month_number,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars
    from by_month
    group by month_number

),

final as (

    select
        by_month_number.month_number,
        by_month_number.n_ratings,
        cast(by_month_number.sum_half_stars as double) / 2
        / nullif(by_month_number.n_ratings, 0) as avg_rating,
        cast(coalesce(unscaled.n_years, 0) as integer) as n_years,
        unscaled.index_in_millionths / scale.mean_in_millionths as seasonal_index,
        unscaled.least_index,
        unscaled.greatest_index
    from by_month_number
    cross join scale
    left join unscaled
        on by_month_number.month_number = unscaled.month_number

)

select * from final
