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

flagged as (

    select
        *,
        n_ratings >= {{ var('polarization_min_ratings') }}
        and polarization_score >= {{ var('polarization_min_score') }} as is_polarized,
        engagement_percentile >= {{ var('high_engagement_min_percentile') }}
        and avg_rating <= {{ var('low_rating_max_avg') }} as is_high_engagement_low_rating
    from scored

),

-- A chart of all films needs only some of them. Films are grouped by the first digit and the number of digits of
-- n_ratings, and each group gives the same number of films, so that every volume of ratings is represented.
ranked as (

    select
        *,
        row_number() over (
            partition by is_polarized
            order by polarization_score desc nulls last, n_ratings desc nulls last, movie_id asc nulls last
        ) as polarization_position,
        row_number() over (
            partition by is_high_engagement_low_rating
            order by n_ratings desc nulls last, movie_id asc nulls last
        ) as low_rating_position,
        row_number() over (
            partition by length(cast(n_ratings as varchar)), substr(cast(n_ratings as varchar), 1, 1)
            order by movie_id asc nulls last
        ) as position_in_stratum
    from flagged

),

final as (

    select
        ranked.movie_id,
        movies.title,
        movies.release_year,
        movies.genres,
        ranked.n_ratings,
        ranked.n_0_5,
        ranked.n_1_0,
        ranked.n_1_5,
        ranked.n_2_0,
        ranked.n_2_5,
        ranked.n_3_0,
        ranked.n_3_5,
        ranked.n_4_0,
        ranked.n_4_5,
        ranked.n_5_0,
        ranked.avg_rating,
        ranked.median_rating,
        ranked.stddev_rating,
        ranked.polarization_score,
        ranked.is_polarized,
        cast(ranked.engagement_percentile as double) as engagement_percentile,
        ranked.is_high_engagement_low_rating,
        ranked.first_rated_at,
        ranked.last_rated_at,
        case
            when ranked.is_polarized then cast(ranked.polarization_position as integer)
        end as polarization_rank,
        (
            ranked.is_polarized and ranked.polarization_position <= {{ var('charted_rows') }}
            or ranked.is_high_engagement_low_rating
            and ranked.low_rating_position <= {{ var('charted_points') }}
            or ranked.position_in_stratum <= {{ var('charted_movies_per_stratum') }}
        ) as is_charted
    from ranked
    left join movies
        on ranked.movie_id = movies.movie_id

)

select * from final
