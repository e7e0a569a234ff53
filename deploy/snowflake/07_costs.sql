-- 7. Costs of ${env} by run and by asset, as views in ops.
-- Run as: ACCOUNTADMIN, which can read the account usage. Needs: 02 and 05.
-- ACCOUNTADMIN owns the views, so that no other role needs access to the statements of the whole account. Through them,
-- the transformer and SYSADMIN see the statements of this environment. Replacing a view loses no data.
--
-- Every statement carries a QUERY_TAG: {"project", "env", "run", "asset"} from the loader, and also "node" from dbt.
-- The account usage is delayed: query_history by up to 45 minutes, warehouse_metering_history by up to 3 hours,
-- query_attribution_history by up to 8 hours. Credits are null until then, and stay null for statements of 100 ms and
-- less. Idle time of a warehouse is not attributed to statements: see cost_of_warehouses. The views cover 90 days,
-- because reading the history of a whole account costs credits too.

use role accountadmin;

create or replace view ${database}.OPS.COST_OF_STATEMENTS
    comment = 'One row per statement of this environment, with its tag and its cost'
as
select
    history.query_id,
    nullif(history.tag:run::varchar, '') as run_id,
    history.tag:asset::varchar as asset,
    history.tag:node::varchar as node,
    history.warehouse_name,
    history.query_type,
    history.execution_status,
    convert_timezone('UTC', history.start_time)::timestamp_ntz as started_at,
    convert_timezone('UTC', history.end_time)::timestamp_ntz as ended_at,
    history.total_elapsed_time / 1000 as seconds,
    history.bytes_scanned,
    attribution.credits_attributed_compute as credits_compute,
    history.credits_used_cloud_services as credits_cloud_services
from (
    select
        query_id,
        try_parse_json(query_tag) as tag,
        warehouse_name,
        query_type,
        execution_status,
        start_time,
        end_time,
        total_elapsed_time,
        bytes_scanned,
        credits_used_cloud_services
    from snowflake.account_usage.query_history
    where start_time >= dateadd('day', -90, current_timestamp())
) as history
left join snowflake.account_usage.query_attribution_history as attribution
    on history.query_id = attribution.query_id
where
    history.tag:project::varchar = 'netflix_assets'
    and history.tag:env::varchar = '${env}';

-- Columns are qualified, because a sum has the same name as the column it sums up. Unqualified, it would be a sum of sums.
create or replace view ${database}.OPS.COST_OF_RUNS
    comment = 'One row per run. Cloud services are free up to 10 % of the compute credits of a day'
as
select
    statements.run_id,
    min(statements.started_at) as started_at,
    max(statements.ended_at) as ended_at,
    count(*) as n_statements,
    sum(statements.seconds) as seconds,
    sum(statements.credits_compute) as credits_compute,
    sum(statements.credits_cloud_services) as credits_cloud_services
from ${database}.OPS.COST_OF_STATEMENTS as statements
where statements.run_id is not null
group by statements.run_id;

create or replace view ${database}.OPS.COST_OF_ASSETS
    comment = 'One row per asset (raw/movielens/ratings, core/fct_ratings) and dbt node, which is the model or one of its tests'
as
select
    statements.asset,
    statements.node,
    count(distinct statements.run_id) as n_runs,
    count(*) as n_statements,
    sum(statements.seconds) as seconds,
    sum(statements.credits_compute) as credits_compute,
    sum(statements.credits_compute) / nullif(count(distinct statements.run_id), 0) as credits_compute_per_run,
    max(statements.ended_at) as last_ended_at
from ${database}.OPS.COST_OF_STATEMENTS as statements
where statements.asset is not null
group by statements.asset, statements.node;

create or replace view ${database}.OPS.COST_OF_WAREHOUSES
    comment = 'One row per day and warehouse: credits billed, used by statements and idle'
as
select
    convert_timezone('UTC', start_time)::date as metered_on,
    warehouse_name,
    sum(credits_used) as credits_billed,
    sum(credits_attributed_compute_queries) as credits_of_statements,
    sum(credits_used_compute) - sum(credits_attributed_compute_queries) as credits_idle
from snowflake.account_usage.warehouse_metering_history
where
    start_time >= dateadd('day', -90, current_timestamp())
    and warehouse_name in ('${load_warehouse}', '${transform_warehouse}', '${read_warehouse}')
group by metered_on, warehouse_name;
