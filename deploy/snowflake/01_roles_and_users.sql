-- 1. Roles and service users of ${env}.
-- Run as: USERADMIN. Needs: nothing.
-- Service users log in with a key and have no password. The empty default_secondary_roles limits each session to one
-- role. Without it, every session would have the privileges of all roles of the user.

use role useradmin;

create role if not exists ${loader_role} comment = 'netflix_assets: loads files into raw and ops';
create role if not exists ${transformer_role} comment = 'netflix_assets: reads raw and ops, builds all other schemas, publishes';
create role if not exists ${reader_role} comment = 'netflix_assets: reads the published tables';

-- The owner of the databases can see and repair everything that these roles create.
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

-- If the service users connect from fixed addresses, allow only those (as SECURITYADMIN):
--   create network policy if not exists netflix_services allowed_ip_list = (...)
--   alter user ${runner_user} set network_policy = netflix_services
