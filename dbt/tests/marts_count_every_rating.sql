-- Accounting from fact to marts: both marts count every rating in their period exactly once.
-- It reads three models; `meta.dagster` names the one that shows the test as an asset check.
{{
    config(
        meta={'dagster': {'ref': {'name': 'mart_movie_ratings'}}},
        tags=['reconciliation'],
        fail_calc='coalesce(sum(abs(n_in_facts - n_by_movie) + abs(n_in_facts - n_by_day)), 0)',
    )
}}

with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

movie_ratings as (

    select * from {{ ref('mart_movie_ratings') }}

),

rating_trends as (

    select * from {{ ref('mart_rating_trends') }}

),

facts as (

    select count(*) as n_ratings
    from ratings

),

by_movie as (

    select cast(coalesce(sum(n_ratings), 0) as bigint) as n_ratings
    from movie_ratings

),

by_day as (

    select cast(coalesce(sum(n_ratings), 0) as bigint) as n_ratings
    from rating_trends

)

select
    facts.n_ratings as n_in_facts,
    by_movie.n_ratings as n_by_movie,
    by_day.n_ratings as n_by_day
from facts
cross join by_movie
cross join by_day
where
    facts.n_ratings != by_movie.n_ratings
    or facts.n_ratings != by_day.n_ratings
