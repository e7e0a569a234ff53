with

movies as (

    select * from {{ ref('dim_movies') }}

),

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

as_of as (

    select
        datediff(
            'day',
            cast('1970-01-01' as date),
            {{ as_of_date('cast(last_rated_at as date)', 'stats') }}
        ) as as_of_day

),

overall as (

    select
        cast(sum(sum_half_stars) as double) / 2 / sum(n_ratings) as avg_rating,
        max(n_ratings) as max_ratings
    from stats
    having count(*) > 0

),

factors as (

    select
        stats.movie_id,
        stats.n_ratings,
        stats.n_this_year as n_recent_ratings,
        stats.avg_rating,
        overall.avg_rating as overall_avg_rating,
        (cast(stats.sum_half_stars as double) / 2 + {{ var('promotion_prior_ratings') }} * overall.avg_rating)
        / (stats.n_ratings + {{ var('promotion_prior_ratings') }}) as bayesian_mean,
        ln(cast(1 + stats.n_ratings as double)) / ln(cast(1 + overall.max_ratings as double)) as log_support,
        -- A whole number is divided: the sum of the ages of the ratings.
        cast(stats.n_ratings * as_of.as_of_day - stats.sum_days as double)
        / stats.n_ratings as avg_rating_age_days,
        stats.last_rated_at
    from stats
    cross join as_of
    cross join overall

),

with_recency as (

    select
        *,
        power(cast(0.5 as double), avg_rating_age_days / {{ var('promotion_half_life_days') }}) as recency
    from factors

),

scored as (

    select
        *,
        bayesian_mean - overall_avg_rating as surplus,
        bayesian_mean * log_support * recency as promotion_score
    from with_recency

),

ranked as (

    select
        scored.*,
        movies.title,
        movies.release_year,
        movies.genres,
        row_number() over (
            order by
                scored.promotion_score desc nulls last,
                scored.n_ratings desc nulls last,
                scored.movie_id asc nulls last
        ) as promotion_rank,
        row_number() over (
            partition by
                length(cast(scored.n_ratings as varchar)), substr(cast(scored.n_ratings as varchar), 1, 1)
            order by scored.movie_id asc nulls last
        ) as position_in_stratum
    from scored
    -- A film missing from movies.csv cannot be promoted.
    inner join movies
        on scored.movie_id = movies.movie_id

),

final as (

    select
        movie_id,
        promotion_rank,
        title,
        release_year,
        genres,
        n_ratings,
        n_recent_ratings,
        avg_rating,
        bayesian_mean,
        log_support,
        avg_rating_age_days,
        recency,
        promotion_score,
        case
            when surplus >= {{ var('promotion_min_surplus') }} and log_support >= 0.5
                then 'favourite'
            when surplus >= {{ var('promotion_min_surplus') }} then 'hidden gem'
            when log_support >= 0.5 then 'widely seen'
            else 'marginal'
        end as quadrant,
        last_rated_at,
        -- A few films of every volume of ratings are enough for a chart: see mart_movie_ratings.
        (
            promotion_rank <= {{ var('charted_rows') }}
            or position_in_stratum <= {{ var('charted_movies_per_stratum') }}
        ) as is_charted
    from ranked

)

select * from final
