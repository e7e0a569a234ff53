{%- set prior = var('growth_prior_ratings') %}

with

movies as (

    select * from {{ ref('dim_movies') }}

),

movie_genres as (

    select * from {{ ref('bridge_movie_genres') }}

),

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

-- A film with three genres counts as a third of a film in each, so that shares add up to 1. Millionths are whole
-- numbers, so sums do not depend on row order. A film without a year or a genre is in no category, and its ratings do
-- not count as demand.
weighted as (

    select
        movie_genres.genre_key,
        movie_genres.genre,
        cast(floor(cast(movies.release_year as double) / 10) as integer) * 10 as decade,
        {{ millionths('movie_genres.weight') }} as weight,
        coalesce(stats.n_this_year, 0) as n_this_year,
        coalesce(stats.n_last_year, 0) as n_last_year,
        coalesce(stats.n_ratings, 0) as n_ratings,
        coalesce(stats.sum_half_stars, 0) as sum_half_stars
    from movie_genres
    inner join movies
        on movie_genres.movie_id = movies.movie_id
    left join stats
        on movie_genres.movie_id = stats.movie_id
    where movies.release_year is not null

),

categories as (

    select
        genre_key,
        genre,
        decade,
        count(*) as n_movies,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars,
        cast(sum(weight) as bigint) as supply,
        cast(sum(weight * n_this_year) as bigint) as demand,
        cast(sum(weight * n_last_year) as bigint) as demand_last_year
    from weighted
    group by genre_key, genre, decade

),

totals as (

    select
        cast(sum(supply) as bigint) as supply,
        cast(sum(demand) as bigint) as demand,
        cast(sum(demand_last_year) as bigint) as demand_last_year
    from categories
    having sum(n_ratings) > 0

),

measured as (

    select
        categories.genre_key,
        categories.genre,
        categories.decade,
        categories.n_movies,
        categories.n_ratings,
        cast(categories.sum_half_stars as double) / 2 / nullif(categories.n_ratings, 0) as avg_rating,
        cast(categories.demand as double) / 1000000 as ratings_this_year,
        cast(categories.demand_last_year as double) / 1000000 as ratings_last_year,
        cast(categories.supply as double) / totals.supply as catalogue_share,
        coalesce(cast(categories.demand as double) / nullif(totals.demand, 0), 0) as demand_share,
        cast(categories.demand as double) / nullif(categories.demand_last_year, 0) - 1 as yoy_growth,
        -- This year's expected ratings if demand followed the catalogue, and if it had grown like total demand.
        cast(totals.demand as double) / 1000000
        * (cast(categories.supply as double) / totals.supply) as expected_from_catalogue,
        coalesce(
            cast(categories.demand_last_year as double) / 1000000
            * (cast(totals.demand as double) / nullif(totals.demand_last_year, 0)),
            cast(categories.demand as double) / 1000000
        ) as expected_from_growth
    from categories
    cross join totals

),

scored as (

    select
        *,
        demand_share / catalogue_share as demand_index,
        (ratings_this_year + {{ prior }}) / (expected_from_catalogue + {{ prior }}) as surplus,
        (ratings_this_year + {{ prior }}) / (expected_from_growth + {{ prior }}) as momentum
    from measured

),

final as (

    select
        genre_key,
        genre,
        decade,
        row_number() over (
            order by
                surplus * momentum desc nulls last,
                ratings_this_year desc nulls last,
                genre asc nulls last,
                decade asc nulls last
        ) as growth_rank,
        n_movies,
        n_ratings,
        avg_rating,
        ratings_this_year,
        ratings_last_year,
        yoy_growth,
        catalogue_share,
        demand_share,
        demand_index,
        momentum,
        surplus * momentum as growth_score,
        (
            ratings_this_year >= {{ var('growth_min_ratings') }}
            and surplus > 1
            and momentum > 1
        ) as is_candidate
    from scored

)

select * from final
