-- Accounting from fact to marts: each mart counts every rating in its period exactly once, and shares of ratings add up
-- to 1.
-- It reads several models; `meta.dagster` names the one that shows the test as an asset check.
{{ config(meta={'dagster': {'ref': {'name': 'mart_user_activity'}}}) }}

with

ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

user_activity as (

    select * from {{ ref('mart_user_activity') }}

),

activity_by_hour as (

    select * from {{ ref('mart_activity_by_hour') }}

),

rating_consistency as (

    select * from {{ ref('mart_rating_consistency') }}

),

rating_seasonality as (

    select * from {{ ref('mart_rating_seasonality') }}

),

facts as (

    select count(*) as n_ratings
    from ratings

),

by_mart as (

    select
        'mart_user_activity' as mart,
        coalesce(sum(n_ratings), 0) as n_ratings,
        sum(share_of_ratings) as share_of_ratings
    from user_activity

    union all

    select
        'mart_activity_by_hour' as mart,
        coalesce(sum(n_ratings), 0) as n_ratings,
        sum(share_of_ratings) as share_of_ratings
    from activity_by_hour

    union all

    select
        'mart_rating_consistency' as mart,
        coalesce(sum(n_ratings), 0) as n_ratings,
        null as share_of_ratings
    from rating_consistency

    union all

    select
        'mart_rating_seasonality' as mart,
        coalesce(sum(n_ratings), 0) as n_ratings,
        null as share_of_ratings
    from rating_seasonality

)

select
    by_mart.mart,
    by_mart.n_ratings,
    by_mart.share_of_ratings,
    facts.n_ratings as n_in_facts
from by_mart
cross join facts
where
    by_mart.n_ratings != facts.n_ratings
    or (facts.n_ratings > 0 and abs(by_mart.share_of_ratings - 1) > 1e-9)
