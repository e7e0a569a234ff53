-- 2. Databases and schemas of ${env}.
-- Run as: SYSADMIN, which then owns them. Needs: nothing.
-- With managed access, only the owner of a schema can grant access to its tables. The owner of a table cannot.

use role sysadmin;

-- Retention for Time Travel. More than one day needs the Enterprise edition.
create database if not exists ${database};
alter database ${database} set
    data_retention_time_in_days = ${retention_days}
    comment = 'netflix_assets ${env}: loaded and built tables';

create schema if not exists ${database}.RAW with managed access;
create schema if not exists ${database}.OPS with managed access;
create schema if not exists ${database}.STAGING with managed access;
create schema if not exists ${database}.INTERMEDIATE with managed access;
create schema if not exists ${database}.CORE with managed access;
create schema if not exists ${database}.MARTS with managed access;
create schema if not exists ${database}.SNAPSHOTS with managed access;
create schema if not exists ${database}.SEEDS with managed access;

-- Builds can recreate these schemas, so they keep no history and cost nothing for it.
alter schema ${database}.STAGING set data_retention_time_in_days = 0;
alter schema ${database}.INTERMEDIATE set data_retention_time_in_days = 0;
alter schema ${database}.CORE set data_retention_time_in_days = 0;
alter schema ${database}.MARTS set data_retention_time_in_days = 0;
alter schema ${database}.SEEDS set data_retention_time_in_days = 0;

create database if not exists ${serving_database};
alter database ${serving_database} set
    data_retention_time_in_days = ${retention_days}
    comment = 'netflix_assets ${env}: published tables, all tests passed';

-- The next version is created in CORE_NEXT and MARTS_NEXT, which are then swapped with CORE and MARTS.
create schema if not exists ${serving_database}.CORE with managed access;
create schema if not exists ${serving_database}.MARTS with managed access;
create schema if not exists ${serving_database}.CORE_NEXT with managed access;
create schema if not exists ${serving_database}.MARTS_NEXT with managed access;
