-- Accounting of the segments: every user is in exactly one, and users who rated count in the genre figures of their
-- segment.
-- It reads several models; `meta.dagster` names the one that shows the test as an asset check.
{{ config(meta={'dagster': {'ref': {'name': 'mart_user_segments'}}}) }}

with

all_users as (

    select * from {{ ref('dim_users') }}

),

all_ratings as (

    select * from {{ ref('fct_ratings') }}
    where {{ up_to_as_of_date('rated_on') }}

),

user_segments as (

    select * from {{ ref('mart_user_segments') }}

),

genre_popularity as (

    select * from {{ ref('mart_genre_popularity') }}

),

users as (

    select count(*) as n_users
    from all_users

),

ratings as (

    select count(*) as n_ratings
    from all_ratings

),

segments as (

    select
        count(distinct user_id) as n_users,
        cast(coalesce(sum(n_ratings), 0) as bigint) as n_ratings
    from user_segments

),

-- The segment sizes in mart_genre_popularity, which repeats them for every genre.
sizes as (

    select
        segment_name,
        min(segment_n_users) as min_n_users,
        max(segment_n_users) as max_n_users
    from genre_popularity
    where segment_name != 'all'
    group by segment_name

),

members as (

    select
        segment_name,
        count(*) as n_users
    from user_segments
    where n_ratings > 0
    group by segment_name

)

select
    'every user is in a segment' as what,
    cast(users.n_users as bigint) as expected,
    cast(segments.n_users as bigint) as found
from users
cross join segments
where users.n_users != segments.n_users

union all

select
    'every rating is of a user in a segment' as what,
    cast(ratings.n_ratings as bigint) as expected,
    cast(segments.n_ratings as bigint) as found
from ratings
cross join segments
where ratings.n_ratings != segments.n_ratings

union all

select
    'size of the segment ' || sizes.segment_name as what,
    cast(members.n_users as bigint) as expected,
    cast(sizes.max_n_users as bigint) as found
from sizes
left join members
    on sizes.segment_name = members.segment_name
where
    members.n_users is null
    or members.n_users != sizes.min_n_users
    or members.n_users != sizes.max_n_users
