-- 4. The way to the bucket of ${env}, and the stages.
-- Run as: ACCOUNTADMIN for the integration, SYSADMIN for the stages. Needs: 02_databases.sql.
-- The AWS role need not exist yet: nothing is read here. Never `or replace` an integration: it would get a new external
-- id, which the trust policy of the AWS role does not know.

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
    comment = 'netflix_assets ${env}: reads the landing bucket, nothing outside the prefix';
grant usage on integration ${integration} to role sysadmin;

use role sysadmin;

-- No file format: COPY says all of it, so that there is one place that does.
create stage if not exists ${database}.RAW.LANDING
    url = 's3://${bucket}/${prefix}'
    storage_integration = ${integration};
alter stage ${database}.RAW.LANDING set
    url = 's3://${bucket}/${prefix}'
    storage_integration = ${integration};

-- For files that the gate had to write anew (other encodings, line ends). Emptied after each load.
create stage if not exists ${database}.RAW.NORMALISED encryption = (type = 'SNOWFLAKE_SSE');
