-- The versions of a rating form a history: numbered from 1 without gaps, each ends when the next begins, and only the
-- last is current. Nearly all ratings have a single version, which is checked without a sort.
-- rating_versions_agree_with_ratings tests that exactly one version is current.
with

versions as (

    select * from {{ ref('fct_rating_versions') }}

),

multiple_versions as (

    select
        *,
        lead(valid_from) over (
            partition by user_id, movie_id
            order by valid_from asc nulls last, version_number asc nulls last
        ) as next_valid_from,
        row_number() over (
            partition by user_id, movie_id
            order by valid_from asc nulls last, version_number asc nulls last
        ) as expected_number
    from versions
    where
        not is_current
        or version_number > 1

)

select
    user_id,
    movie_id,
    valid_from
from versions
where is_current != (valid_to is null)

union all

select
    user_id,
    movie_id,
    valid_from
from multiple_versions
where
    valid_to is distinct from next_valid_from
    or valid_to <= valid_from
    or version_number != expected_number
