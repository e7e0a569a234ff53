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
        load_seconds,

        ---------- state
        is_current,
        loaded_at
    from source

)

select * from renamed
