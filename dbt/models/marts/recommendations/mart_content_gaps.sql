with

stats as (

    select * from {{ ref('int_genres__segment_stats') }}

),

movie_genres as (

    select * from {{ ref('bridge_movie_genres') }}

),

-- Supply and demand use the same measure: each film, and each rating of it, counts once and is split among the film's
-- genres. Millionths are whole numbers, so sums do not depend on row order.
supply as (

    select
        genre_key,
        count(*) as n_movies,
        cast(sum({{ millionths('weight') }}) as bigint) as weight_micro
    from movie_genres
    group by genre_key

),

total_supply as (

    select cast(sum(weight_micro) as bigint) as weight_micro
    from supply

),

total_demand as (

    select
        segment_name,
        nullif(cast(sum(weighted_ratings_micro) as bigint), 0) as weighted_ratings_micro
    from stats
    group by segment_name

),

shares as (

    select
        stats.segment_name,
        stats.cluster_id,
        stats.genre_key,
        stats.genre,
        stats.n_ratings,
        stats.n_users,
        supply.n_movies,
        cast(stats.sum_half_stars as double) / 2 / nullif(stats.n_ratings, 0) as avg_rating,
        cast(stats.weighted_ratings_micro as double) / total_demand.weighted_ratings_micro as demand_share,
        cast(supply.weight_micro as double) / total_supply.weight_micro as supply_share
    from stats
    inner join total_demand
        on stats.segment_name = total_demand.segment_name
    inner join supply
        on stats.genre_key = supply.genre_key
    cross join total_supply

),

final as (

    select
        segment_name,
        cluster_id,
        genre_key,
        genre,
        n_ratings,
        n_users,
        n_movies,
        avg_rating,
        demand_share,
        supply_share,
        demand_share - supply_share as gap_score,
        demand_share / supply_share as demand_supply_ratio,
        cast(row_number() over (
            partition by segment_name
            order by demand_share - supply_share desc nulls last, genre asc nulls last
        ) as integer) as gap_rank
    from shares

)

select * from final
