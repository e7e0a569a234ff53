{{
    config(
        materialized='incremental',
        incremental_strategy='by_loads',
        unique_key=['user_id', 'movie_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
        cluster_by=["date_trunc('month', rated_on)", 'movie_id'],
    )
}}
{#- Clustered by what marts and people filter and group by: a period, then a film. By month, because days times films
    would give as many values as rows. -#}

{%- set key = ['user_id', 'movie_id'] %}
{%- set order_by = ['rated_at', '_object_key', 'rating'] %}
{%- set dataset = 'movielens/ratings' %}
{%- set staging = ref('stg_movielens__ratings') %}
{%- set ledger = ref('stg_ops__loads') %}
{%- set all_winners = ref('int_ratings__current') %}

with

{% if is_incremental() -%}

affected_keys as (

    {{ affected_keys(staging, ledger, dataset, key) }}

),

latest as (

    {{ latest_per_key(staging, ledger, dataset, key, order_by, among='affected_keys') }}

),

-- A key without remaining rows gets a null load here, which tells the strategy to delete it.
winners as (

    select
        affected_keys.user_id,
        affected_keys.movie_id,
        latest.rating,
        latest.rated_at,
        latest._load_id
    from affected_keys
    left join latest
        on
            affected_keys.user_id = latest.user_id
            and affected_keys.movie_id = latest.movie_id

),

{% else -%}

winners as (

    select * from {{ all_winners }}

),

{% endif -%}

final as (

    select
        user_id,
        movie_id,
        rating,
        rated_at,
        cast(rated_at as date) as rated_on,
        _load_id
    from winners

)

select * from final
