with

source as (

    select * from {{ source('dbt', 'builds') }}
    where schema_prefix = '{{ schema_prefix() }}'

),

renamed as (

    select
        ---------- ids
        invocation_id,
        run_id,
        retry_of,

        ---------- state
        is_whole,
        has_passed,
        problem,

        ---------- numbers
        node_count,
        test_count,
        failed_count,
        coalesce(reused_count, 0) as reused_count,

        ---------- times
        started_at,
        finished_at
    from source

)

select * from renamed
