with

source as (

    select * from {{ source('ops', 'loads') }}

),

renamed as (

    select
        ---------- ids
        dataset,
        load_id,
        parent_load_id,
        superseded_by,
        run_id,

        ---------- object
        bucket,
        object_key,
        etag,
        size_bytes,
        last_modified,
        header,

        ---------- numbers
        rows_in,
        rows_loaded,
        rows_rejected,
        coalesce(rows_erased, 0) as rows_erased,
        load_seconds,

        ---------- state
        is_current,
        loaded_at,
        purged_at
    from source

)

select * from renamed
