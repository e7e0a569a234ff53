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
        rows_erased,
        load_seconds,
        run_id,
        reason,
        row_number() over (
            partition by state
            order by
                received_at desc nulls last,
                dataset asc nulls last,
                object_key asc nulls last,
                etag asc nulls last
        ) <= {{ var('charted_points') }} as is_charted
    from receipts

)

select * from final
