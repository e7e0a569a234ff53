{{ config(materialized='ephemeral') }}

with

receipts as (

    select * from {{ ref('int_objects__receipts') }}

),

profiles as (

    select * from {{ ref('stg_ops__profiles') }}

),

rejected_rows as (

    select * from {{ ref('stg_ops__rejected_rows') }}

),

rejected as (

    select
        dataset,
        load_id,
        column_name as column_names,
        count(*) as n_rejected
    from rejected_rows
    group by dataset, load_id, column_name

),

-- A record can be invalid in several columns. It counts for each of them.
rejected_by_column as (

    select
        profiles.dataset,
        profiles.load_id,
        profiles.column_name,
        cast(sum(rejected.n_rejected) as bigint) as n_rejected
    from profiles
    inner join rejected
        on
            profiles.dataset = rejected.dataset
            and profiles.load_id = rejected.load_id
            and ', ' || rejected.column_names || ', ' like '%, ' || profiles.column_name || ', %'
    group by profiles.dataset, profiles.load_id, profiles.column_name

)

select
    receipts.dataset,
    receipts.object_key,
    receipts.etag,
    receipts.load_id,
    receipts.state,
    receipts.received_at,
    receipts.reason,
    coalesce(profiles.column_name, '(whole file)') as column_name,
    coalesce(profiles.row_count, 0) as n_rows,
    coalesce(cast(floor(profiles.null_share * profiles.row_count + 0.5) as bigint), 0) as n_missing,
    case
        when profiles.column_name is null then coalesce(receipts.rows_rejected, 0)
        else coalesce(rejected_by_column.n_rejected, 0)
    end as n_rejected,
    case
        when profiles.column_name is not null then 100 * profiles.null_share
        when receipts.load_id is null then 100
        else 0
    end as missing_pct,
    profiles.approx_distinct,
    profiles.min_value,
    profiles.max_value
from receipts
left join profiles
    on
        receipts.dataset = profiles.dataset
        and receipts.load_id = profiles.load_id
left join rejected_by_column
    on
        profiles.dataset = rejected_by_column.dataset
        and profiles.load_id = rejected_by_column.load_id
        and profiles.column_name = rejected_by_column.column_name
