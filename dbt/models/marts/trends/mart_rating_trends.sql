with

rating_days as (

    select * from {{ ref('int_users__rating_days') }}
    where {{ up_to_as_of_date('rated_on') }}

),

movie_stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

by_day as (

    select
        rated_on as date_day,
        cast(sum(n_ratings) as bigint) as n_ratings,
        count(*) as n_users,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars
    from rating_days
    group by rated_on

),

span as (

    select
        min(date_day) as first_day,
        {{ as_of_date('date_day', 'by_day') }} as last_day
    from by_day

),

new_movies_by_day as (

    select
        cast(first_rated_at as date) as date_day,
        count(*) as new_movies
    from movie_stats
    group by cast(first_rated_at as date)

),

-- Days without ratings have a row too: an outage shows up as missing ratings.
every_day as (

    select
        dates.date_day,
        coalesce(by_day.n_ratings, 0) as n_ratings,
        coalesce(by_day.n_users, 0) as n_users,
        coalesce(by_day.sum_half_stars, 0) as sum_half_stars,
        coalesce(new_movies_by_day.new_movies, 0) as new_movies
    from dates
    inner join span
        on dates.date_day between span.first_day and span.last_day
    left join by_day
        on dates.date_day = by_day.date_day
    left join new_movies_by_day
        on dates.date_day = new_movies_by_day.date_day

),

rolling as (

    select
        *,
        cast(sum(n_ratings) over (
            order by date_day asc nulls last rows between 89 preceding and current row
        ) as bigint) as rolling_90d_n_ratings,
        cast(sum(sum_half_stars) over (
            order by date_day asc nulls last rows between 89 preceding and current row
        ) as bigint) as rolling_90d_sum_half_stars
    from every_day

),

-- A day is compared with the 90 days before it.
baseline_days as (

    select
        every_day.date_day,
        earlier.n_ratings as baseline_n_ratings
    from every_day
    inner join every_day as earlier
        on
            {{ add_days('every_day.date_day', -90) }} <= earlier.date_day
            and every_day.date_day > earlier.date_day

),

baseline as (

    select
        date_day,
        count(*) as n_baseline_days,
        median(cast(baseline_n_ratings as double)) as baseline_median
    from baseline_days
    group by date_day
    having count(*) >= {{ var('anomaly_min_baseline_days') }}

),

-- The spread in units of a standard deviation: 1.4826 times the median absolute deviation. If more than half of the
-- days are equal, that is zero, and 1.2533 times the mean absolute deviation is used instead.
spread as (

    select
        baseline.date_day,
        baseline.baseline_median,
        coalesce(
            nullif(1.4826 * median(abs(baseline_days.baseline_n_ratings - baseline.baseline_median)), 0),
            nullif(1.2533 * avg(abs(baseline_days.baseline_n_ratings - baseline.baseline_median)), 0)
        ) as baseline_spread
    from baseline
    inner join baseline_days
        on baseline.date_day = baseline_days.date_day
    group by baseline.date_day, baseline.baseline_median

),

scored as (

    select
        rolling.*,
        spread.baseline_median,
        spread.baseline_spread,
        row_number() over (order by rolling.date_day asc nulls last) as day_number,
        greatest(
            1, cast(floor(cast(count(*) over () as double) / {{ var('charted_points') }}) as bigint)
        ) as charted_step,
        cast(rolling.n_ratings - spread.baseline_median as double) / spread.baseline_spread as robust_z
    from rolling
    left join spread
        on rolling.date_day = spread.date_day

),

flagged as (

    select
        date_day,
        n_ratings,
        n_users,
        cast(sum_half_stars as double) / 2 / nullif(n_ratings, 0) as avg_rating,
        rolling_90d_n_ratings,
        cast(rolling_90d_sum_half_stars as double) / 2 / nullif(rolling_90d_n_ratings, 0) as rolling_90d_avg,
        baseline_median,
        -- Not greatest() alone, which ignores nulls on DuckDB.
        case
            when baseline_spread is not null
                then greatest(baseline_median - {{ var('anomaly_min_robust_z') }} * baseline_spread, 0)
        end as usual_min,
        baseline_median + {{ var('anomaly_min_robust_z') }} * baseline_spread as usual_max,
        robust_z,
        coalesce(
            abs(robust_z) >= {{ var('anomaly_min_robust_z') }}
            and (
                n_ratings >= {{ var('anomaly_min_ratings') }} and n_users >= {{ var('anomaly_min_users') }}
                or baseline_median >= {{ var('anomaly_min_ratings') }}
            ),
            false
        ) as is_anomalous,
        new_movies,
        -- A step of whole weeks would show the same day of the week only.
        day_number % (charted_step + case when charted_step % 7 = 0 then 1 else 0 end) = 0 as is_nth_day
    from scored

),

final as (

    select
        date_day,
        n_ratings,
        n_users,
        avg_rating,
        rolling_90d_n_ratings,
        rolling_90d_avg,
        baseline_median,
        usual_min,
        usual_max,
        robust_z,
        is_anomalous,
        new_movies,
        is_anomalous or is_nth_day as is_charted
    from flagged

)

select * from final
