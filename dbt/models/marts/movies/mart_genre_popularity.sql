with

stats as (

    select * from {{ ref('int_genres__segment_stats') }}

),

totals as (

    select
        segment_name,
        nullif(cast(sum(weighted_ratings_micro) as bigint), 0) as weighted_ratings_micro
    from stats
    group by segment_name

),

shares as (

    select
        stats.*,
        cast(stats.weighted_ratings_micro as double) / totals.weighted_ratings_micro as share -- noqa: RF04
    from stats
    inner join totals
        on stats.segment_name = totals.segment_name

),

final as (

    select
        shares.segment_name,
        shares.cluster_id,
        shares.genre_key,
        shares.genre,
        shares.segment_n_users,
        shares.n_users,
        shares.n_ratings,
        cast(shares.sum_half_stars as double) / 2 / nullif(shares.n_ratings, 0) as avg_rating,
        shares.share,
        cast(row_number() over (
            partition by shares.segment_name
            order by shares.weighted_ratings_micro desc nulls last, shares.genre asc nulls last
        ) as integer) as popularity_rank,
        shares.share / nullif(all_users.share, 0) as over_index
    from shares
    inner join shares as all_users
        on
            shares.genre_key = all_users.genre_key
            and all_users.segment_name = 'all'

)

select * from final
