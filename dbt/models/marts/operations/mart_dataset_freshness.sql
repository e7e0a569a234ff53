with

receipts as (

    select * from {{ ref('int_objects__receipts') }}

),

builds as (

    select * from {{ ref('int_builds__by_run') }}

),

last_build as (

    select max(started_at) as built_at
    from builds

),

by_dataset as (

    select
        dataset,
        max(case when load_id is not null then received_at end) as last_loaded_at,
        max(case when state = 'current' then last_modified end) as newest_object_at,
        cast(sum(case when state = 'current' then 1 else 0 end) as bigint) as n_objects,
        cast(sum(case when state in ('current', 'replayed') then rows_loaded else 0 end) as bigint) as n_rows,
        cast(sum(case when state = 'refused' then 1 else 0 end) as bigint) as n_objects_refused
    from receipts
    group by dataset

),

final as (

    select
        by_dataset.dataset,
        by_dataset.newest_object_at,
        by_dataset.last_loaded_at,
        last_build.built_at,
        cast(
            datediff('second', by_dataset.newest_object_at, last_build.built_at) as double
        ) / 86400 as age_days,
        by_dataset.n_objects,
        by_dataset.n_rows,
        by_dataset.n_objects_refused
    from by_dataset
    cross join last_build

)

select * from final
