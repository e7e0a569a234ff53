with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

-- One pass over the ratings. All later steps work on at most ten rows per film.
by_movie_and_stars as (

    select
        movie_id,
        rating,
        count(*) as n_ratings,
        min(rated_at) as first_rated_at,
        max(rated_at) as last_rated_at
    from ratings
    group by movie_id, rating

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
