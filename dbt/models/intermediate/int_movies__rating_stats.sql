{%- set window = var('growth_window_days') %}

with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

as_of as (

    select {{ as_of_date('rated_on', 'ratings') }} as as_of_date

),

years as (

    select
        {{ add_days('as_of_date', '-1 * ' ~ window) }} as this_year_after,
        {{ add_days('as_of_date', '-2 * ' ~ window) }} as last_year_after
    from as_of

),

-- One pass over the ratings. All later steps work on at most ten rows per film. Days are counted from 1970.
by_movie_and_stars as (

    select
        ratings.movie_id,
        ratings.rating,
        count(*) as n_ratings,
        count(case when ratings.rated_on > years.this_year_after then 1 end) as n_this_year,
        count(case when ratings.rated_on > years.last_year_after then 1 end) as n_both_years,
        cast(sum(datediff('day', cast('1970-01-01' as date), ratings.rated_on)) as bigint) as sum_days,
        min(ratings.rated_at) as first_rated_at,
        max(ratings.rated_at) as last_rated_at
    from ratings
    cross join years
    group by ratings.movie_id, ratings.rating

),

cumulative as (

    select
        *,
        sum(n_ratings) over (partition by movie_id) as n_movie_ratings,
        sum(n_ratings) over (
            partition by movie_id
            order by rating asc nulls last rows between unbounded preceding and current row
        ) as n_cumulative_ratings
    from by_movie_and_stars

),

-- Sums of half stars and of their squares are whole numbers, so the results are the same to the last bit in any row
-- order. A sum of doubles would not be. The median is the mean of the two middle ratings, which are one and the same
-- if the number of ratings is odd.
by_movie as (

    select
        movie_id,
        cast(sum(n_ratings) as bigint) as n_ratings,
        {% for stars in ['0.5', '1.0', '1.5', '2.0', '2.5', '3.0', '3.5', '4.0', '4.5', '5.0'] -%}
        cast(
            sum(case when rating = {{ stars }} then n_ratings else 0 end) as bigint
        ) as n_{{ stars | replace('.', '_') }},
        {% endfor -%}
        cast(sum(n_ratings * cast(rating * 2 as integer)) as bigint) as sum_half_stars,
        cast(sum(n_ratings * cast(rating * rating * 4 as integer)) as bigint) as sum_half_stars_squared,
        cast(
            min(case when 2 * n_cumulative_ratings >= n_movie_ratings then rating end)
            + min(case when 2 * n_cumulative_ratings >= n_movie_ratings + 1 then rating end) as double
        ) / 2 as median_rating,
        cast(sum(n_this_year) as bigint) as n_this_year,
        cast(sum(n_both_years - n_this_year) as bigint) as n_last_year,
        cast(sum(sum_days) as bigint) as sum_days,
        min(first_rated_at) as first_rated_at,
        max(last_rated_at) as last_rated_at
    from cumulative
    group by movie_id

),

final as (

    select
        *,
        cast(sum_half_stars as double) / 2 / n_ratings as avg_rating,
        sqrt(n_ratings * sum_half_stars_squared - sum_half_stars * sum_half_stars)
        / 2 / n_ratings as stddev_rating
    from by_movie

)

select * from final
