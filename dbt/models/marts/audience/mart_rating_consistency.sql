with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

movie_stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

-- Compare each rating with the others' mean rating of the film. The user's own rating must not count: for a film with
-- two ratings it would be half of the mean it is compared with. A film that nobody else rated says nothing about the
-- user. Deviations are in ten-thousandths of a star: whole numbers, so sums do not depend on row order.
compared as (

    select
        ratings.user_id,
        cast(ratings.rating * 2 as integer) as half_stars,
        case
            when movie_stats.n_ratings > 1
                then cast(
                    floor(
                        5000 * (
                            cast(cast(ratings.rating * 2 as integer) as double)
                            - cast(movie_stats.sum_half_stars - cast(ratings.rating * 2 as integer) as double)
                            / (movie_stats.n_ratings - 1)
                        ) + 0.5
                    ) as bigint
                )
        end as deviation
    from ratings
    inner join movie_stats
        on ratings.movie_id = movie_stats.movie_id

),

by_user as (

    select
        user_id,
        count(*) as n_ratings,
        cast(sum(half_stars) as bigint) as sum_half_stars,
        cast(sum(half_stars * half_stars) as bigint) as sum_half_stars_squared,
        count(deviation) as n_compared,
        cast(sum(deviation) as bigint) as sum_deviation,
        cast(sum(deviation * deviation) as bigint) as sum_deviation_squared,
        cast(sum(abs(deviation)) as bigint) as sum_absolute_deviation,
        count(
            case when abs(deviation) <= 10000 * {{ var('agreement_max_deviation') }} then 1 end
        ) as n_agreeing
    from compared
    group by user_id

),

measured as (

    select
        *,
        cast(sum_half_stars as double) / 2 / n_ratings as avg_rating,
        sqrt(n_ratings * sum_half_stars_squared - sum_half_stars * sum_half_stars)
        / 2 / n_ratings as stddev,
        cast(sum_deviation as double) / 10000 / nullif(n_compared, 0) as user_bias,
        cast(sum_absolute_deviation as double) / 10000 / nullif(n_compared, 0) as mean_deviation,
        cast(sum_deviation_squared as double) / 100000000 / nullif(n_compared, 0) as mean_square_deviation,
        cast(n_agreeing as double) / nullif(n_compared, 0) as movie_agreement
    from by_user

),

final as (

    select
        user_id,
        n_ratings,
        avg_rating,
        stddev,
        n_compared,
        user_bias,
        mean_deviation,
        -- Rounding can make this difference negative if all deviations are equal.
        case
            when mean_square_deviation > user_bias * user_bias
                then sqrt(mean_square_deviation - user_bias * user_bias)
            when n_compared > 0 then 0
        end as stddev_of_deviation,
        movie_agreement,
        case
            when n_compared < {{ var('consistency_min_ratings') }} then null
            when user_bias >= {{ var('rater_min_bias') }} then 'generous'
            when user_bias <= -{{ var('rater_min_bias') }} then 'harsh'
            else 'balanced'
        end as rater_type
    from measured

)

select * from final
