-- 2. Databases and schemas of ${env}.
-- Run as: SYSADMIN, which owns them from then on. Needs: nothing before it.
-- Managed access: a role that owns a table cannot give others access to it, only the owner of the schema can.

use role sysadmin;

-- How far back a table can be brought (Time Travel). More than one day needs the Enterprise edition.
create database if not exists ${database};
alter database ${database} set
    data_retention_time_in_days = ${retention_days}
    comment = 'netflix_assets ${env}: what is loaded and built';

create schema if not exists ${database}.RAW with managed access;
create schema if not exists ${database}.OPS with managed access;
create schema if not exists ${database}.STAGING with managed access;
create schema if not exists ${database}.INTERMEDIATE with managed access;
create schema if not exists ${database}.CORE with managed access;
create schema if not exists ${database}.MARTS with managed access;
create schema if not exists ${database}.SNAPSHOTS with managed access;
create schema if not exists ${database}.SEEDS with managed access;

-- What a build makes anew needs no history, and pays for none.
alter schema ${database}.STAGING set data_retention_time_in_days = 0;
alter schema ${database}.INTERMEDIATE set data_retention_time_in_days = 0;
alter schema ${database}.CORE set data_retention_time_in_days = 0;
alter schema ${database}.MARTS set data_retention_time_in_days = 0;
alter schema ${database}.SEEDS set data_retention_time_in_days = 0;

create database if not exists ${serving_database};
alter database ${serving_database} set
    data_retention_time_in_days = ${retention_days}
    comment = 'netflix_assets ${env}: what passed its tests and is published';

-- Two pairs: the next set is made in CORE_NEXT and MARTS_NEXT, which then change names with CORE and MARTS.
create schema if not exists ${serving_database}.CORE with managed access;
create schema if not exists ${serving_database}.MARTS with managed access;
create schema if not exists ${serving_database}.CORE_NEXT with managed access;
create schema if not exists ${serving_database}.MARTS_NEXT with managed access;
