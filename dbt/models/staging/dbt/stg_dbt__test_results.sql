with

source as (

    select * from {{ source('dbt', 'test_results') }}
    where schema_prefix = '{{ schema_prefix() }}'

),

renamed as (

    select
        ---------- ids
        invocation_id,
        run_id,
        test_id,
        node_id,

        ---------- test
        test_name,
        kind,
        layer,
        name,

        ---------- outcome
        status,
        failures,
        message,

        ---------- numbers
        seconds,

        ---------- times
        started_at
    from source

)

select * from renamed
