-- 4. Access to the bucket of ${env}, and the stages.
-- Run as: ACCOUNTADMIN for the integration, SYSADMIN for the stages. Needs: 02_databases.sql.
-- The AWS role need not exist yet, because nothing is read here. Never use `or replace` on an integration: it would get a
-- new external id, and the trust policy of the AWS role would no longer match.

use role accountadmin;

create storage integration if not exists ${integration}
    type = external_stage
    storage_provider = 'S3'
    enabled = true
    storage_aws_role_arn = '${aws_role}'
    storage_allowed_locations = ('s3://${bucket}/${prefix}');
alter storage integration ${integration} set
    enabled = true
    storage_aws_role_arn = '${aws_role}'
    storage_allowed_locations = ('s3://${bucket}/${prefix}')
    comment = 'netflix_assets ${env}: reads the landing bucket under the prefix';
grant usage on integration ${integration} to role sysadmin;

use role sysadmin;

-- The stages have no file format: COPY sets all of its options, so there is only one place to look.
create stage if not exists ${database}.RAW.LANDING
    url = 's3://${bucket}/${prefix}'
    storage_integration = ${integration};
alter stage ${database}.RAW.LANDING set
    url = 's3://${bucket}/${prefix}'
    storage_integration = ${integration};

-- For files that had to be rewritten during validation (other encodings, line ends). Emptied after each load.
create stage if not exists ${database}.RAW.NORMALISED encryption = (type = 'SNOWFLAKE_SSE');
