with

completeness as (

    select * from {{ ref('int_columns__completeness') }}

),

final as (

    select
        dataset,
        object_key,
        etag,
        load_id,
        column_name,
        state,
        received_at,
        n_rows,
        n_missing,
        missing_pct,
        n_rejected,
        approx_distinct,
        min_value,
        max_value,
        reason
    from completeness

)

select * from final
