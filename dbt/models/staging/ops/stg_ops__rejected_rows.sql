with

source as (

    select * from {{ source('ops', 'rejected_rows') }}

),

renamed as (

    select
        ---------- ids
        dataset,
        load_id,
        record_number,

        ---------- location
        object_key,
        line_number,

        ---------- problem
        column_name,
        reason,

        ---------- state
        replayed_by
    from source

)

select * from renamed
