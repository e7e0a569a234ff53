{{ config(materialized='ephemeral') }}

with

latest as (

    {{ latest_per_key(
        ref('stg_movielens__ratings'),
        ref('stg_ops__loads'),
        'movielens/ratings',
        key=['user_id', 'movie_id'],
        order_by=['rated_at', '_object_key', 'rating']
    ) }}

)

select
    user_id,
    movie_id,
    rating,
    rated_at,
    _load_id,
    _object_key
from latest
