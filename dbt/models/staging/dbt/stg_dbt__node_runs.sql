with

source as (

    select * from {{ source('dbt', 'node_runs') }}
    where schema_prefix = '{{ schema_prefix() }}'

),

renamed as (

    select
        ---------- ids
        invocation_id,
        run_id,
        node_id,

        ---------- node
        resource_type,
        layer,
        name,
        materialization,

        ---------- outcome
        status,
        message,

        ---------- numbers
        seconds,
        row_count,

        ---------- times
        started_at
    from source

)

select * from renamed
