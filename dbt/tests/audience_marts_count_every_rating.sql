-- Accounting from fact to marts: each of them counts every rating that it looks at exactly once, and shares of ratings add up
-- to 1. It reads several models; `dagster` names the one that shows it as an asset check.
{{ config(meta={'dagster': {'ref': {'name': 'mart_user_activity'}}}) }}

with

facts as (

    select count(*) as n_ratings
    from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

counted as (

    select
        'mart_user_activity' as mart,
        coalesce(sum(n_ratings), 0) as n_ratings,
        sum(share_of_ratings) as share_of_ratings
    from {{ ref('mart_user_activity') }}

    union all

    select
        'mart_activity_by_hour' as mart,
        coalesce(sum(n_ratings), 0) as n_ratings,
        sum(share_of_ratings) as share_of_ratings
    from {{ ref('mart_activity_by_hour') }}

    union all

    select
        'mart_rating_consistency' as mart,
        coalesce(sum(n_ratings), 0) as n_ratings,
        null as share_of_ratings
    from {{ ref('mart_rating_consistency') }}

    union all

    select
        'mart_rating_seasonality' as mart,
        coalesce(sum(n_ratings), 0) as n_ratings,
        null as share_of_ratings
    from {{ ref('mart_rating_seasonality') }}

)

select
    counted.mart,
    counted.n_ratings,
    counted.share_of_ratings,
    facts.n_ratings as n_in_facts
from counted
cross join facts
where
    counted.n_ratings != facts.n_ratings
    or (facts.n_ratings > 0 and abs(counted.share_of_ratings - 1) > 1e-9)
