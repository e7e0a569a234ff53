-- The versions that hold are the rows of fct_ratings: as many, and each one found. fct_ratings has one row per user and film,
-- so this is also the proof that each of them has exactly one version that holds.
-- It reads two models; `dagster` names the one that shows it as an asset check.
{{ config(meta={'dagster': {'ref': {'name': 'fct_rating_versions'}}}, tags=['reconciliation']) }}

with

ratings as (

    select * from {{ ref('fct_ratings') }}

),

holding as (

    select * from {{ ref('fct_rating_versions') }}
    where is_current

),

counts as (

    select
        (select count(*) from ratings) as n_ratings,
        (select count(*) from holding) as n_holding

)

select
    ratings.user_id,
    ratings.movie_id
from ratings
left join holding
    on
        ratings.user_id = holding.user_id
        and ratings.movie_id = holding.movie_id
        and ratings.rating = holding.rating
        and ratings.rated_at = holding.valid_from
        and ratings._load_id = holding._load_id
where holding.user_id is null

union all

-- Of no film in particular.
select
    null as user_id,
    null as movie_id
from counts
where n_ratings != n_holding
