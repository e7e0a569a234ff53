"""The warehouses behind one protocol. Knows no Dagster."""

import warnings

# Snowflake's connector brings its own copy of requests, which knows no chardet of today and says so whenever it is
# imported, in the middle of what a command prints. It works: the connector asks it for no encoding.
warnings.filterwarnings("ignore", ".* doesn't match a supported version!", module="snowflake.connector.vendored")
