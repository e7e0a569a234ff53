-- Accounting of the genres: in every segment the shares of demand and of supply add up to 1 and the gaps to 0, 'all' is
-- the sum of the segments, and both marts agree on demand.
-- It reads two models; `meta.dagster` names the one that shows the test as an asset check.
{{ config(meta={'dagster': {'ref': {'name': 'mart_content_gaps'}}}) }}

with

popularity as (

    select * from {{ ref('mart_genre_popularity') }}

),

gaps as (

    select * from {{ ref('mart_content_gaps') }}

),

-- Shares are quotients of whole numbers. As doubles they add up to 1 except for rounding.
sums as (

    select
        segment_name,
        sum(demand_share) as demand_share,
        sum(supply_share) as supply_share,
        sum(gap_score) as gap_score
    from gaps
    group by segment_name

),

segments as (

    select
        genre_key,
        cast(sum(case when segment_name = 'all' then n_ratings else 0 end) as bigint) as n_of_all,
        cast(sum(case when segment_name = 'all' then 0 else n_ratings end) as bigint) as n_of_segments
    from popularity
    group by genre_key

)

select
    segment_name as place,
    'shares' as what
from sums
where
    abs(demand_share - 1) > 1e-9
    or abs(supply_share - 1) > 1e-9
    or abs(gap_score) > 1e-9

union all

select
    genre_key as place,
    'all is not the sum of the segments' as what
from segments
where n_of_all != n_of_segments

union all

select
    coalesce(popularity.segment_name, gaps.segment_name) as place,
    'the marts differ' as what
from popularity
full outer join gaps
    on
        popularity.segment_name = gaps.segment_name
        and popularity.genre_key = gaps.genre_key
where
    popularity.n_ratings is distinct from gaps.n_ratings
    or popularity.share is distinct from gaps.demand_share
