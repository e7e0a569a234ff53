-- 3. Warehouses of ${env} and their budget.
-- Run as: SYSADMIN for the warehouses, ACCOUNTADMIN for the resource monitor. Needs: nothing.
-- One warehouse per kind of work: a slow dashboard never delays a load, and each has its own bill. A warehouse costs
-- nothing until a statement starts it. It is then billed for at least a minute and stops after a minute without work.

use role sysadmin;

create warehouse if not exists ${load_warehouse} with initially_suspended = true;
create warehouse if not exists ${transform_warehouse} with initially_suspended = true;
create warehouse if not exists ${read_warehouse} with initially_suspended = true;

alter warehouse ${load_warehouse} set
    warehouse_size = xsmall
    auto_suspend = 60
    auto_resume = true
    statement_timeout_in_seconds = ${statement_timeout}
    statement_queued_timeout_in_seconds = 600
    comment = 'netflix_assets ${env}: loading';
alter warehouse ${transform_warehouse} set
    warehouse_size = xsmall
    auto_suspend = 60
    auto_resume = true
    statement_timeout_in_seconds = ${statement_timeout}
    statement_queued_timeout_in_seconds = 600
    comment = 'netflix_assets ${env}: dbt';
alter warehouse ${read_warehouse} set
    warehouse_size = xsmall
    auto_suspend = 60
    auto_resume = true
    statement_timeout_in_seconds = 300
    statement_queued_timeout_in_seconds = 60
    comment = 'netflix_assets ${env}: dashboards';

use role accountadmin;

-- At 100 % no new statement starts and running ones finish. At 110 % running ones are cancelled.
create resource monitor if not exists ${monitor} with
    credit_quota = ${credits}
    frequency = monthly
    start_timestamp = immediately
    triggers
        on 75 percent do notify
        on 100 percent do suspend
        on 110 percent do suspend_immediate;
alter resource monitor ${monitor} set credit_quota = ${credits};

alter warehouse ${load_warehouse} set resource_monitor = ${monitor};
alter warehouse ${transform_warehouse} set resource_monitor = ${monitor};
alter warehouse ${read_warehouse} set resource_monitor = ${monitor};
