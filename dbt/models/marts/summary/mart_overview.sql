with

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

rating_days as (

    select * from {{ ref('int_users__rating_days') }}
    where {{ up_to_as_of_date('rated_on') }}

),

tags as (

    select * from {{ ref('fct_tags') }}
    where {{ up_to_as_of_date('tagged_on') }}

),

movies as (

    select * from {{ ref('dim_movies') }}

),

titles as (

    select * from {{ ref('dim_netflix_titles') }}

),

genome_scores as (

    select * from {{ ref('fct_genome_scores') }}

),

rating_totals as (

    select
        count(*) as n_rated_movies,
        cast(coalesce(sum(n_ratings), 0) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars,
        min(first_rated_at) as first_rated_at,
        max(last_rated_at) as last_rated_at
    from stats

),

user_totals as (

    select count(distinct user_id) as n_users
    from rating_days

),

tag_totals as (

    select count(*) as n_tags
    from tags

),

movie_totals as (

    select
        count(*) as n_movies,
        count(case when tmdb_id >= {{ var('sample_min_tmdb_id') }} then 1 end) as n_samples
    from movies

),

title_totals as (

    select
        count(*) as n_titles,
        count(case when title_id like '{{ var("sample_title_id") }}' then 1 end) as n_samples
    from titles

),

genome_totals as (

    select count(*) as n_genome_scores
    from genome_scores

),

final as (

    select
        1 as overview_number,
        rating_totals.n_ratings,
        user_totals.n_users,
        rating_totals.n_rated_movies,
        movie_totals.n_movies,
        tag_totals.n_tags,
        title_totals.n_titles,
        genome_totals.n_genome_scores,
        cast(rating_totals.sum_half_stars as double) / 2 / nullif(rating_totals.n_ratings, 0) as avg_rating,
        cast(rating_totals.n_ratings as double) / nullif(user_totals.n_users, 0) as ratings_per_user,
        rating_totals.first_rated_at,
        rating_totals.last_rated_at,
        movie_totals.n_samples > 0 as has_sample_movies,
        title_totals.n_samples > 0 as has_sample_titles
    from rating_totals
    cross join user_totals
    cross join tag_totals
    cross join movie_totals
    cross join title_totals
    cross join genome_totals

)

select * from final
