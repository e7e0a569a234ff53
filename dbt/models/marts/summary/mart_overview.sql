with

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

ratings as (

    select
        count(*) as n_rated_movies,
        cast(coalesce(sum(n_ratings), 0) as bigint) as n_ratings,
        cast(sum(sum_half_stars) as bigint) as sum_half_stars,
        min(first_rated_at) as first_rated_at,
        max(last_rated_at) as last_rated_at
    from stats

),

users as (

    select count(distinct user_id) as n_users
    from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

tags as (

    select count(*) as n_tags
    from {{ ref('fct_tags') }}
    where {{ up_to_as_of_date('tagged_on') }}

),

movies as (

    select
        count(*) as n_movies,
        count(case when tmdb_id >= {{ var('sample_min_tmdb_id') }} then 1 end) as n_samples
    from {{ ref('dim_movies') }}

),

titles as (

    select
        count(*) as n_titles,
        count(case when title_id like '{{ var("sample_title_id") }}' then 1 end) as n_samples
    from {{ ref('dim_netflix_titles') }}

),

genome as (

    select count(*) as n_genome_scores
    from {{ ref('fct_genome_scores') }}

),

final as (

    select
        1 as overview_number,
        ratings.n_ratings,
        users.n_users,
        ratings.n_rated_movies,
        movies.n_movies,
        tags.n_tags,
        titles.n_titles,
        genome.n_genome_scores,
        cast(ratings.sum_half_stars as double) / 2 / nullif(ratings.n_ratings, 0) as avg_rating,
        cast(ratings.n_ratings as double) / nullif(users.n_users, 0) as ratings_per_user,
        ratings.first_rated_at,
        ratings.last_rated_at,
        movies.n_samples > 0 as has_sample_movies,
        titles.n_samples > 0 as has_sample_titles
    from ratings
    cross join users
    cross join tags
    cross join movies
    cross join titles
    cross join genome

)

select * from final
