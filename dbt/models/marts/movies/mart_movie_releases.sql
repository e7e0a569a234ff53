with

movies as (

    select * from {{ ref('dim_movies') }}

),

release_dates as (

    select * from {{ ref('seed_movie_release_dates') }}

),

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

movie_tags as (

    select * from {{ ref('dim_movies_with_tags') }}

),

as_of as (

    select {{ as_of_date('cast(last_rated_at as date)', 'stats') }} as as_of_date

),

final as (

    select
        movies.movie_id,
        movies.title,
        movies.release_year,
        movies.genres,
        release_dates.release_date,
        release_dates.production_year,
        release_dates.distributor,
        release_dates.movie_id is not null as has_release_date,
        cast(
            datediff('day', release_dates.release_date, as_of.as_of_date) as integer
        ) as days_since_release,
        stats.first_rated_at,
        stats.last_rated_at,
        coalesce(stats.n_ratings, 0) as n_ratings,
        stats.avg_rating,
        stats.median_rating,
        movie_tags.top_tags,
        movie_tags.top_genome_tags
    from movies
    -- Comparing the year guards against a catalogue that numbers its films differently from MovieLens.
    left join release_dates
        on
            movies.movie_id = release_dates.movie_id
            and movies.release_year = release_dates.production_year
    left join stats
        on movies.movie_id = stats.movie_id
    left join movie_tags
        on movies.movie_id = movie_tags.movie_id
    cross join as_of

)

select * from final
