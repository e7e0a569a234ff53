with

movies as (

    select * from {{ ref('dim_movies') }}

),

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

scored as (

    select
        *,
        cast(4 as double)
        * (n_0_5 + n_1_0 + n_1_5 + n_2_0) / n_ratings
        * (n_4_0 + n_4_5 + n_5_0) / n_ratings as polarization_score,
        percent_rank() over (order by n_ratings asc nulls first) as engagement_percentile
    from stats

),

final as (

    select
        scored.movie_id,
        movies.title,
        movies.release_year,
        movies.genres,
        scored.n_ratings,
        scored.n_0_5,
        scored.n_1_0,
        scored.n_1_5,
        scored.n_2_0,
        scored.n_2_5,
        scored.n_3_0,
        scored.n_3_5,
        scored.n_4_0,
        scored.n_4_5,
        scored.n_5_0,
        scored.avg_rating,
        scored.median_rating,
        scored.stddev_rating,
        scored.polarization_score,
        (
            scored.n_ratings >= {{ var('polarization_min_ratings') }}
            and scored.polarization_score >= {{ var('polarization_min_score') }}
        ) as is_polarized,
        cast(scored.engagement_percentile as double) as engagement_percentile,
        (
            scored.engagement_percentile >= {{ var('high_engagement_min_percentile') }}
            and scored.avg_rating <= {{ var('low_rating_max_avg') }}
        ) as is_high_engagement_low_rating,
        scored.first_rated_at,
        scored.last_rated_at
    from scored
    left join movies
        on scored.movie_id = movies.movie_id

)

select * from final
