-- 1. Roles and service users of ${env}.
-- Run as: USERADMIN. Needs: nothing before it.
-- A service user has a key and no password. Its sessions have the one role that they name: without the empty
-- default_secondary_roles every session would also have what the other role may do.

use role useradmin;

create role if not exists ${loader_role} comment = 'netflix_assets: loads files into raw and ops';
create role if not exists ${transformer_role} comment = 'netflix_assets: reads raw and ops, builds all other schemas, publishes';
create role if not exists ${reader_role} comment = 'netflix_assets: reads what is published';

-- What the roles make can be seen and repaired by the role that owns the databases.
grant role ${loader_role} to role sysadmin;
grant role ${transformer_role} to role sysadmin;
grant role ${reader_role} to role sysadmin;

create user if not exists ${runner_user} type = service;
alter user ${runner_user} set
    type = service
    rsa_public_key = '${runner_key}'
    default_role = ${loader_role}
    default_warehouse = ${load_warehouse}
    default_secondary_roles = ()
    timezone = 'UTC'
    timestamp_type_mapping = 'TIMESTAMP_NTZ'
    query_tag = '{"project": "netflix_assets", "env": "${env}"}'
    comment = 'netflix_assets: the process that loads and builds';
grant role ${loader_role} to user ${runner_user};
grant role ${transformer_role} to user ${runner_user};

create user if not exists ${bi_user} type = service;
alter user ${bi_user} set
    type = service
    rsa_public_key = '${bi_key}'
    default_role = ${reader_role}
    default_warehouse = ${read_warehouse}
    default_secondary_roles = ()
    timezone = 'UTC'
    timestamp_type_mapping = 'TIMESTAMP_NTZ'
    query_tag = '{"project": "netflix_assets", "env": "${env}", "asset": "bi"}'
    comment = 'netflix_assets: dashboards';
grant role ${reader_role} to user ${bi_user};

-- Where the service users connect from fixed addresses, let them connect from nowhere else (SECURITYADMIN):
--   create network policy if not exists netflix_services allowed_ip_list = (...)
--   alter user ${runner_user} set network_policy = netflix_services
