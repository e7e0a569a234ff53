with

by_year as (

    select * from {{ ref('mart_ratings_by_genre_year') }}

),

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

overall as (

    select
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars
    from stats

),

-- Recover each year's sum of half stars from its mean. The sum is a whole number, so rounding makes it exact.
by_decade as (

    select
        genre_key,
        genre,
        decade,
        cast(sum(n_movies) as bigint) as n_movies,
        cast(sum(n_rated_movies) as bigint) as n_rated_movies,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(cast(floor(avg_rating * 2 * n_ratings + 0.5) as bigint)) as bigint) as sum_half_stars
    from by_year
    group by genre_key, genre, decade

),

measured as (

    select
        by_decade.genre_key,
        by_decade.genre,
        by_decade.decade,
        by_decade.n_movies,
        by_decade.n_rated_movies,
        by_decade.n_ratings,
        cast(by_decade.sum_half_stars as double) / 2 / nullif(by_decade.n_ratings, 0) as avg_rating,
        cast(by_decade.sum_half_stars as double) / nullif(by_decade.n_ratings, 0)
        / (cast(overall.sum_half_stars as double) / overall.n_ratings) as lift_vs_overall,
        cast(overall.sum_half_stars as double) / 2 / overall.n_ratings as overall_avg_rating
    from by_decade
    cross join overall

),

-- One much-rated film has many ratings, but says little about its genre. Films are added, not ratings.
adjusted as (

    select
        *,
        (n_rated_movies * avg_rating + {{ var('genre_decade_prior_movies') }} * overall_avg_rating)
        / (n_rated_movies + {{ var('genre_decade_prior_movies') }}) as adjusted_avg_rating,
        n_ratings >= {{ var('genre_year_min_ratings') }}
        and n_rated_movies >= {{ var('genre_decade_min_movies') }} as is_charted
    from measured

),

final as (

    select
        genre_key,
        genre,
        decade,
        n_movies,
        n_rated_movies,
        n_ratings,
        avg_rating,
        lift_vs_overall,
        adjusted_avg_rating,
        adjusted_avg_rating / overall_avg_rating as adjusted_lift_vs_overall,
        is_charted
    from adjusted

)

select * from final
