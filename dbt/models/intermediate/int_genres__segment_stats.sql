with

stats as (

    select * from {{ ref('int_users__genre_stats') }}

),

assignments as (

    select * from {{ ref('int_users__cluster_assignments') }}

),

genres as (

    select * from {{ ref('dim_genres') }}

),

segments as (

    select
        segment_name,
        cluster_id,
        count(*) as segment_n_users
    from assignments
    where n_ratings > 0
    group by segment_name, cluster_id

),

by_segment as (

    select
        assignments.segment_name,
        stats.genre_key,
        count(*) as n_users,
        cast(sum(stats.n_ratings) as bigint) as n_ratings,
        cast(sum(stats.weighted_ratings_micro) as bigint) as weighted_ratings_micro,
        cast(sum(stats.sum_half_stars) as bigint) as sum_half_stars
    from stats
    inner join assignments
        on stats.user_id = assignments.user_id
    group by assignments.segment_name, stats.genre_key

),

-- Every segment has every genre, with zeros for genres without ratings.
every_genre as (

    select
        segments.segment_name,
        segments.cluster_id,
        segments.segment_n_users,
        genres.genre_key,
        genres.genre,
        coalesce(by_segment.n_users, 0) as n_users,
        coalesce(by_segment.n_ratings, 0) as n_ratings,
        coalesce(by_segment.weighted_ratings_micro, 0) as weighted_ratings_micro,
        coalesce(by_segment.sum_half_stars, 0) as sum_half_stars
    from segments
    cross join genres
    left join by_segment
        on
            segments.segment_name = by_segment.segment_name
            and genres.genre_key = by_segment.genre_key

),

final as (

    select * from every_genre
    union all
    select
        'all' as segment_name,
        cast(null as integer) as cluster_id,
        cast(sum(segment_n_users) as bigint) as segment_n_users,
        genre_key,
        genre,
        cast(sum(n_users) as bigint) as n_users,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(weighted_ratings_micro) as bigint) as weighted_ratings_micro,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars
    from every_genre
    group by genre_key, genre

)

select * from final
