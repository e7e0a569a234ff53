with

source as (

    select * from {{ source('ops', 'profiles') }}

),

renamed as (

    select
        ---------- ids
        dataset,
        load_id,
        column_name,

        ---------- rows
        row_count,
        sampled_rows,

        ---------- values
        null_share,
        approx_distinct,
        min_value,
        max_value,
        mean,
        p25,
        p50,
        p75
    from source

)

select * from renamed
