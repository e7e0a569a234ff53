{{
    config(
        materialized='incremental',
        incremental_strategy='by_loads',
        unique_key=['user_id', 'movie_id', 'valid_from'],
        on_schema_change='fail',
        tmp_relation_type='table',
        cluster_by=["date_trunc('month', valid_from)", 'movie_id'],
    )
}}
{#- Not a snapshot: a snapshot records what builds have seen, in the order they saw it. A version that arrives late, or
    together with its correction, would be missing or have the wrong time. -#}

{%- set key = ['user_id', 'movie_id'] %}
{%- set order_by = ['rated_at', '_object_key', 'rating'] %}
{%- set dataset = 'movielens/ratings' %}
{%- set staging = ref('stg_movielens__ratings') %}
{%- set ledger = ref('stg_ops__loads') %}

with

{% if is_incremental() -%}

affected_keys as (

    {{ affected_keys(staging, ledger, dataset, key) }}

),

current_versions as (

    {{ versions_per_key(staging, ledger, dataset, key, order_by, among='affected_keys') }}

),

affected_versions as (

    select
        user_id,
        movie_id,
        rated_at as valid_from
    from current_versions

    union

    select
        existing_rows.user_id,
        existing_rows.movie_id,
        existing_rows.valid_from
    from {{ this }} as existing_rows
    inner join affected_keys
        on
            existing_rows.user_id = affected_keys.user_id
            and existing_rows.movie_id = affected_keys.movie_id

),

-- A version that no longer exists gets a null load here, which tells the strategy to delete it.
versions as (

    select
        affected_versions.user_id,
        affected_versions.movie_id,
        current_versions.version_number,
        current_versions.rating,
        affected_versions.valid_from,
        current_versions.valid_to,
        current_versions._load_id
    from affected_versions
    left join current_versions
        on
            affected_versions.user_id = current_versions.user_id
            and affected_versions.movie_id = current_versions.movie_id
            and affected_versions.valid_from = current_versions.rated_at

),

{% else -%}

current_versions as (

    {{ versions_per_key(staging, ledger, dataset, key, order_by) }}

),

versions as (

    select
        user_id,
        movie_id,
        version_number,
        rating,
        rated_at as valid_from,
        valid_to,
        _load_id
    from current_versions

),

{% endif -%}

final as (

    select
        user_id,
        movie_id,
        cast(version_number as integer) as version_number,
        rating,
        valid_from,
        valid_to,
        valid_to is null as is_current,
        _load_id
    from versions

)

select * from final
