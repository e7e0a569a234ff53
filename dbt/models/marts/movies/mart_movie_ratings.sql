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

judged as (

    select
        *,
        n_ratings >= {{ var('polarization_min_ratings') }}
        and polarization_score >= {{ var('polarization_min_score') }} as is_polarized,
        engagement_percentile >= {{ var('high_engagement_min_percentile') }}
        and avg_rating <= {{ var('low_rating_max_avg') }} as is_high_engagement_low_rating
    from scored

),

-- A picture of all films needs few of them: of those whose number of ratings has the same first digit and as many digits
-- as many each, so that all volumes are there.
placed as (

    select
        *,
        row_number() over (
            partition by is_polarized
            order by polarization_score desc nulls last, n_ratings desc nulls last, movie_id asc nulls last
        ) as polarization_place,
        row_number() over (
            partition by is_high_engagement_low_rating
            order by n_ratings desc nulls last, movie_id asc nulls last
        ) as disappointment_place,
        row_number() over (
            partition by length(cast(n_ratings as varchar)), substr(cast(n_ratings as varchar), 1, 1)
            order by movie_id asc nulls last
        ) as place_in_stratum
    from judged

),

final as (

    select
        placed.movie_id,
        movies.title,
        movies.release_year,
        movies.genres,
        placed.n_ratings,
        placed.n_0_5,
        placed.n_1_0,
        placed.n_1_5,
        placed.n_2_0,
        placed.n_2_5,
        placed.n_3_0,
        placed.n_3_5,
        placed.n_4_0,
        placed.n_4_5,
        placed.n_5_0,
        placed.avg_rating,
        placed.median_rating,
        placed.stddev_rating,
        placed.polarization_score,
        placed.is_polarized,
        cast(placed.engagement_percentile as double) as engagement_percentile,
        placed.is_high_engagement_low_rating,
        placed.first_rated_at,
        placed.last_rated_at,
        case
            when placed.is_polarized then cast(placed.polarization_place as integer)
        end as polarization_rank,
        (
            placed.is_polarized and placed.polarization_place <= {{ var('charted_rows') }}
            or placed.is_high_engagement_low_rating
            and placed.disappointment_place <= {{ var('charted_points') }}
            or placed.place_in_stratum <= {{ var('charted_movies_per_stratum') }}
        ) as is_charted
    from placed
    left join movies
        on placed.movie_id = movies.movie_id

)

select * from final
