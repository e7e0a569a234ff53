{{
    config(
        materialized='incremental',
        incremental_strategy='by_loads',
        unique_key=['movie_id', 'tag_id'],
        on_schema_change='fail',
        tmp_relation_type='table',
        cluster_by=['movie_id'],
    )
}}

{%- set key = ['movie_id', 'tag_id'] %}
{%- set order_by = ['_object_key', 'relevance'] %}
{%- set dataset = 'movielens/genome_scores' %}
{%- set staging = ref('stg_movielens__genome_scores') %}
{%- set ledger = ref('stg_ops__loads') %}

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
        affected_keys.movie_id,
        affected_keys.tag_id,
        latest.relevance,
        latest._load_id
    from affected_keys
    left join latest
        on
            affected_keys.movie_id = latest.movie_id
            and affected_keys.tag_id = latest.tag_id

),

{% else -%}

winners as (

    {{ latest_per_key(staging, ledger, dataset, key, order_by) }}

),

{% endif -%}

final as (

    select
        movie_id,
        tag_id,
        relevance,
        _load_id
    from winners

)

select * from final
