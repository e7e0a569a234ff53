{{
    config(
        materialized='incremental',
        incremental_strategy='by_digest',
        unique_key=['user_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
    )
}}

with

ratings as (

    select * from {{ ref('fct_ratings') }}

),

digests as (

    select
        user_id,
        {{ row_digest(['movie_id', '_load_id']) }} as _digest
    from ratings
    group by user_id

),

changed_users as (

    {{ changed_keys('digests', ['user_id']) }}

),

changed_ratings as (

    {{ rows_of_changed('ratings', 'changed_users', ['user_id']) }}

),

rating_days as (

    select
        user_id,
        rated_on,
        count(*) as n_ratings,
        cast(sum(cast(rating * 2 as integer)) as bigint) as sum_half_stars,
        min(rated_at) as first_rated_at,
        max(rated_at) as last_rated_at
    from changed_ratings
    group by user_id, rated_on

),

-- A user without ratings gets a null digest here, which tells the strategy to delete the user's rows.
final as (

    select
        changed_users.user_id,
        rating_days.rated_on,
        rating_days.n_ratings,
        rating_days.sum_half_stars,
        rating_days.first_rated_at,
        rating_days.last_rated_at,
        changed_users._digest
    from changed_users
    left join rating_days
        on changed_users.user_id = rating_days.user_id

)

select * from final
