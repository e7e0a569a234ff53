with

receipts as (

    select * from {{ ref('int_objects__receipts') }}

),

final as (

    select
        dataset,
        object_key,
        etag,
        load_id,
        state,
        size_bytes,
        last_modified,
        received_at,
        rows_in,
        rows_loaded,
        rows_rejected,
        load_seconds,
        run_id,
        reason
    from receipts

)

select * from final
