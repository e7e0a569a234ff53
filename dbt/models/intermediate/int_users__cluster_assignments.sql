{%- set genres = range(1, (var('segment_max_genres') | int) + 1) %}

with

users as (

    select * from {{ ref('dim_users') }}

),

rating_days as (

    select * from {{ ref('int_users__rating_days') }}
    where {{ up_to_as_of_date('rated_on') }}

),

vectors as (

    select * from {{ ref('int_users__genre_vectors') }}

),

clusters as (

    select * from {{ ref('int_users__clusters') }}

),

genre_stats as (

    select * from {{ ref('int_users__genre_stats') }}

),

genre_names as (

    select distinct
        genre_number,
        genre
    from genre_stats

),

ratings_by_user as (

    select
        user_id,
        cast(sum(n_ratings) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars,
        min(first_rated_at) as first_rated_at,
        max(last_rated_at) as last_rated_at
    from rating_days
    group by user_id

),

centres as (

    select
        clusters.cluster_id,
        {{ centre_of('vectors') }}
    from clusters
    inner join vectors
        on clusters.user_id = vectors.user_id
    group by clusters.cluster_id

),

genres_of_cluster as (

    select
        centres.cluster_id,
        genre_names.genre,
        case genre_names.genre_number
            {%- for number in genres %}
            when {{ number }} then centres.genre_{{ number }}
            {%- endfor %}
        end as above_average,
        genre_names.genre_number
    from centres
    inner join genre_names
        on genre_names.genre_number <= {{ var('segment_max_genres') }}

),

ranked_genres as (

    select
        *,
        row_number() over (
            partition by cluster_id
            order by above_average desc nulls last, genre_number asc nulls last
        ) as genre_rank,
        max(above_average) over (partition by cluster_id) as most_above_average
    from genres_of_cluster

),

-- The second genre is named only if it is at least half as far above the average user as the first.
tastes as (

    select
        cluster_id,
        {{ join_text('genre', ' & ', 'genre_rank asc nulls last') }} as taste
    from ranked_genres
    where
        genre_rank = 1
        or (genre_rank = 2 and 2 * above_average >= most_above_average)
    group by cluster_id

),

usual_activity as (

    select median(cast(ratings_by_user.n_ratings as double)) as median_ratings
    from ratings_by_user
    inner join clusters
        on ratings_by_user.user_id = clusters.user_id

),

activity_of_cluster as (

    select
        clusters.cluster_id,
        median(cast(ratings_by_user.n_ratings as double)) as median_ratings
    from ratings_by_user
    inner join clusters
        on ratings_by_user.user_id = clusters.user_id
    group by clusters.cluster_id

),

described as (

    select
        tastes.cluster_id,
        tastes.taste,
        case
            when
                activity_of_cluster.median_ratings
                >= usual_activity.median_ratings * {{ var('segment_activity_ratio') }}
                then tastes.taste || ', heavy'
            when
                activity_of_cluster.median_ratings * {{ var('segment_activity_ratio') }}
                <= usual_activity.median_ratings
                then tastes.taste || ', light'
            else tastes.taste
        end as segment_name
    from tastes
    inner join activity_of_cluster
        on tastes.cluster_id = activity_of_cluster.cluster_id
    cross join usual_activity

),

named as (

    select
        cluster_id,
        taste,
        case
            when count(*) over (partition by segment_name) > 1
                then segment_name || ' (' || cast(cluster_id as varchar) || ')'
            else segment_name
        end as segment_name
    from described

),

newest_clusters as (

    select max(reflects_load_id) as reflects_load_id
    from clusters

),

final as (

    select
        users.user_id,
        clusters.cluster_id,
        named.taste,
        coalesce(named.segment_name, 'Too few ratings') as segment_name,
        coalesce(ratings_by_user.n_ratings, 0) as n_ratings,
        coalesce(ratings_by_user.sum_half_stars, 0) as sum_half_stars,
        ratings_by_user.first_rated_at,
        ratings_by_user.last_rated_at,
        clusters.squared_distance,
        newest_clusters.reflects_load_id
    from users
    cross join newest_clusters
    left join ratings_by_user
        on users.user_id = ratings_by_user.user_id
    left join clusters
        on users.user_id = clusters.user_id
    left join named
        on clusters.cluster_id = named.cluster_id

)

select * from final
