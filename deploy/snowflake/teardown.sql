-- Drops everything that the setup of ${env} created, with all data in it. The bucket is not changed.
-- Run as: SYSADMIN, ACCOUNTADMIN and USERADMIN, as set below. Needs: no query running in ${database}.
-- `undrop database` restores a dropped database within its retention time.

use role sysadmin;

drop database if exists ${serving_database};
drop database if exists ${database};
drop warehouse if exists ${load_warehouse};
drop warehouse if exists ${transform_warehouse};
drop warehouse if exists ${read_warehouse};

use role accountadmin;

drop storage integration if exists ${integration};
drop resource monitor if exists ${monitor};

use role useradmin;

drop user if exists ${runner_user};
drop user if exists ${bi_user};
drop role if exists ${loader_role};
drop role if exists ${transformer_role};
drop role if exists ${reader_role};
