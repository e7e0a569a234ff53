"""An environment in which every tool of a run has been told to do something else."""

NOWHERE = "http://127.0.0.1:9"

# By tool, because each must not see those of the others either.
DBT = {
    "DBT_EMPTY": "true", "DBT_SAMPLE": "1 day", "DBT_FULL_REFRESH": "true", "DBT_QUIET": "true",
    "DBT_LOG_LEVEL": "none", "DBT_LOG_LEVEL_FILE": "none", "DBT_LOG_FORMAT": "text", "DBT_USE_COLORS": "true",
    "DBT_WRITE_JSON": "false", "DBT_PROFILE": "another", "DBT_TARGET": "another", "DBT_TARGET_PATH": "/nowhere",
    "DBT_LOG_PATH": "/nowhere", "DBT_PROJECT_DIR": "/nowhere", "DBT_PROFILES_DIR": "/nowhere",
    "DBT_STATE": "/nowhere", "DBT_DEFER": "true", "DBT_FAVOR_STATE": "true", "DBT_FAIL_FAST": "true",
    "DBT_WARN_ERROR": "true", "DBT_RESOURCE_TYPES": "test", "DBT_EXCLUDE_RESOURCE_TYPES": "model",
    "DBT_INDIRECT_SELECTION": "empty", "DBT_STORE_FAILURES": "true", "DBT_SEND_ANONYMOUS_USAGE_STATS": "true",
    "DBT_VERSION_CHECK": "true", "DBT_CACHE_SELECTED_ONLY": "true", "DBT_ENGINE_EMPTY": "true",
    "DBT_ENGINE_QUIET": "true", "DBT_ENGINE_FULL_REFRESH": "true", "DBT_ENV_SECRET_TOKEN": "canary-dbt",
}  # fmt: skip
RCLONE = {
    "RCLONE_READ_ONLY": "true", "RCLONE_RC": "true", "RCLONE_RC_NO_AUTH": "true", "RCLONE_CONFIG": "/nowhere",
    "RCLONE_BUFFER_SIZE": "0", "RCLONE_EXCLUDE": "*", "RCLONE_DRY_RUN": "true",
}  # fmt: skip
AWS = {
    "AWS_PROFILE": "nobody", "AWS_DEFAULT_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": "AKIANOBODY",
    "AWS_SECRET_ACCESS_KEY": "canary-aws", "AWS_SESSION_TOKEN": "canary-session", "AWS_REGION": "nowhere-1",
    "AWS_DEFAULT_REGION": "nowhere-1", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_ENDPOINT_URL": NOWHERE, "AWS_ENDPOINT_URL_S3": NOWHERE, "AWS_SKIP_SIGNATURE": "true",
    "AWS_S3_EXPRESS": "true", "AWS_CONDITIONAL_PUT": "never", "AWS_SERVER_SIDE_ENCRYPTION": "never",
    "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip
DAGSTER = {
    "DAGSTER_HOME": "/nowhere", "DAGSTER_GRPC_PORT": "9", "DAGSTER_GRPC_HOST": "nowhere",
    "DAGSTER_GRPC_SOCKET": "/no", "DAGSTER_WEBSERVER_PORT": "9", "DAGSTER_WEBSERVER_READ_ONLY": "true",
    "DAGSTER_EVENT_BATCH_SIZE": "many", "DAGSTER_DEFAULT_IO_MANAGER_MODULE": "nowhere",
    "DAGSTER_DEFAULT_IO_MANAGER_ATTRIBUTE": "nothing", "DAGSTER_REDACT_USER_CODE_ERRORS": "true",
    "DAGSTER_PROJECT_ENV_FILE_PATHS": "not json",
}  # fmt: skip
PYTHON = {
    "PYTHONWARNINGS": "error", "PYTHONSTARTUP": "/nowhere", "PYTHONUSERBASE": "/nowhere", "PYTHONUTF8": "0",
    "PIP_USER": "1",
}  # fmt: skip
MACHINE = {
    "LC_ALL": "C", "LANG": "tr_TR", "TZ": "Asia/Kolkata", "FORCE_COLOR": "1", "GIT_DIR": "/nowhere",
    "MAKEFLAGS": "k", "SNOWFLAKE_PASSWORD": "canary-snowflake", "GITHUB_TOKEN": "canary-github",
}  # fmt: skip
PROXIES = {name: NOWHERE for each in ("http", "https", "all") for name in (f"{each}_proxy", f"{each}_proxy".upper())}

HOSTILE = {**DBT, **RCLONE, **AWS, **DAGSTER, **PYTHON, **MACHINE, **PROXIES, "no_proxy": "example.com"}
