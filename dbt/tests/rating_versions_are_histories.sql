-- The versions of a rating follow one another: numbered from 1 without a gap, each ends when the next begins, and the last
-- one, only, holds. A version that is the only one of its user and film, as nearly all are, is judged without a sort; that
-- there is exactly one that holds is what rating_versions_agree_with_ratings says.
with

versions as (

    select * from {{ ref('fct_rating_versions') }}

),

of_several as (

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
from of_several
where
    valid_to is distinct from next_valid_from
    or valid_to <= valid_from
    or version_number != expected_number
