-- Accounting over genres. A film with three genres counts three times in mart_ratings_by_genre_year, and once, split
-- into parts, in mart_growth_candidates. The shares there add up to 1, or to 0 if no film in a category was rated in
-- the window.
-- It reads several models; `meta.dagster` names the one that shows the test as an asset check.
{{ config(meta={'dagster': {'ref': {'name': 'mart_ratings_by_genre_year'}}}) }}

with

movies as (

    select * from {{ ref('dim_movies') }}
    where release_year is not null

),

stats as (

    select * from {{ ref('int_movies__rating_stats') }}

),

ratings_by_genre_year as (

    select * from {{ ref('mart_ratings_by_genre_year') }}

),

growth_candidates as (

    select * from {{ ref('mart_growth_candidates') }}

),

expected as (

    select
        coalesce(sum(movies.n_genres * stats.n_ratings), 0) as n_ratings,
        coalesce(sum(movies.n_genres), 0) as n_movies
    from movies
    left join stats
        on movies.movie_id = stats.movie_id

),

by_genre_and_year as (

    select
        coalesce(sum(n_ratings), 0) as n_ratings,
        coalesce(sum(n_movies), 0) as n_movies
    from ratings_by_genre_year

),

candidates as (

    select
        coalesce(sum(catalogue_share), 1) as catalogue_share,
        coalesce(sum(demand_share), 1) as demand_share
    from growth_candidates

)

select
    expected.n_ratings as n_expected_ratings,
    expected.n_movies as n_expected_movies,
    by_genre_and_year.n_ratings,
    by_genre_and_year.n_movies,
    candidates.catalogue_share,
    candidates.demand_share
from expected
cross join by_genre_and_year
cross join candidates
where
    expected.n_ratings != by_genre_and_year.n_ratings
    or expected.n_movies != by_genre_and_year.n_movies
    or abs(candidates.catalogue_share - 1) > 1e-9
    or (candidates.demand_share > 0 and abs(candidates.demand_share - 1) > 1e-9)
