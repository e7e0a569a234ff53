-- Films with a known release date, highest mean rating first, with their rank within the decade of release.
-- `dbt compile --select movie_analysis` writes a query that you can paste into any client.
with

releases as (

    select * from {{ ref('mart_movie_releases') }}

),

ratings as (

    select * from {{ ref('mart_movie_ratings') }}

),

final as (

    select
        releases.movie_id,
        releases.title,
        releases.release_date,
        releases.distributor,
        releases.n_ratings,
        releases.avg_rating,
        ratings.polarization_score,
        releases.top_tags,
        rank() over (
            partition by floor(cast(releases.release_year as double) / 10)
            order by releases.avg_rating desc nulls last
        ) as rank_in_decade
    from releases
    inner join ratings
        on releases.movie_id = ratings.movie_id
    where
        releases.has_release_date
        and releases.n_ratings >= {{ var('polarization_min_ratings') }}

)

select * from final
order by avg_rating desc nulls last, movie_id asc nulls last
