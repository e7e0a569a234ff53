{{ config(materialized='view') }}

with

loads as (

    select * from {{ ref('stg_ops__loads') }}

),

refused as (

    select * from {{ ref('stg_ops__refused_objects') }}

),

receipts as (

    select
        dataset,
        object_key,
        etag,
        load_id,
        run_id,
        case
            when parent_load_id is not null and is_current then 'replayed'
            when is_current then 'current'
            when superseded_by is not null then 'superseded'
            else 'removed'
        end as state,
        size_bytes,
        last_modified,
        loaded_at as received_at,
        rows_in,
        rows_loaded,
        rows_rejected,
        rows_erased,
        load_seconds,
        cast(null as varchar) as reason
    from loads
    union all
    select
        dataset,
        object_key,
        etag,
        cast(null as integer) as load_id,
        run_id,
        outcome as state,
        size_bytes,
        last_modified,
        refused_at as received_at,
        cast(null as bigint) as rows_in,
        cast(null as bigint) as rows_loaded,
        cast(null as bigint) as rows_rejected,
        cast(null as bigint) as rows_erased,
        cast(null as double) as load_seconds,
        reason
    from refused

)

select * from receipts
