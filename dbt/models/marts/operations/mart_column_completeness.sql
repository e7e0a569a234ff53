with

loads as (

    select * from {{ ref('mart_data_completeness') }}
    where state = 'current' and column_name != '(whole file)'

),

final as (

    select
        dataset,
        column_name,
        count(*) as n_loads,
        cast(sum(n_rows) as bigint) as n_rows,
        cast(sum(n_missing) as bigint) as n_missing,
        coalesce(cast(100 * sum(n_missing) as double) / nullif(sum(n_rows), 0), 0) as missing_pct,
        cast(sum(n_rejected) as bigint) as n_rejected,
        cast(sum(case when n_missing > 0 then 1 else 0 end) as bigint) as n_loads_with_gaps
    from loads
    group by dataset, column_name

)

select * from final
