with

source as (

    select * from {{ source('ops', 'refused_objects') }}

),

renamed as (

    select
        ---------- ids
        dataset,
        object_key,
        etag,
        run_id,

        ---------- object
        bucket,
        size_bytes,
        last_modified,

        ---------- outcome
        outcome,
        reason,
        refused_at
    from source

)

select * from renamed
