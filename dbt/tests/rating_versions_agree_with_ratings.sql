-- The current versions are the rows of fct_ratings: the same number, and each one matches. fct_ratings has one row per
-- user and film, so this also proves that each user and film has exactly one current version.
-- It reads two models; `meta.dagster` names the one that shows the test as an asset check.
{{ config(meta={'dagster': {'ref': {'name': 'fct_rating_versions'}}}, tags=['reconciliation']) }}

with

ratings as (

    select * from {{ ref('fct_ratings') }}

),

current_versions as (

    select * from {{ ref('fct_rating_versions') }}
    where is_current

),

counts as (

    select
        (select count(*) from ratings) as n_ratings,
        (select count(*) from current_versions) as n_current_versions

)

select
    ratings.user_id,
    ratings.movie_id
from ratings
left join current_versions
    on
        ratings.user_id = current_versions.user_id
        and ratings.movie_id = current_versions.movie_id
        and ratings.rating = current_versions.rating
        and ratings.rated_at = current_versions.valid_from
        and ratings._load_id = current_versions._load_id
where current_versions.user_id is null

union all

-- A difference in number does not belong to a particular film.
select
    null as user_id,
    null as movie_id
from counts
where n_ratings != n_current_versions
