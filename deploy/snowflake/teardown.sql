-- Drops everything that the setup of ${env} has made, and all data in it. The bucket is not touched.
-- Run as: SYSADMIN, ACCOUNTADMIN, USERADMIN, as said below. Needs: nobody who still uses ${database}.
-- A dropped database can be brought back with `undrop database` for as long as its retention says.

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
