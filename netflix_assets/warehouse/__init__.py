"""The warehouses behind one protocol."""

import warnings

# Snowflake's connector includes its own copy of requests. On import it warns about today's version of chardet, in the
# middle of a command's output. The connector never asks it to detect an encoding.
warnings.filterwarnings("ignore", ".* doesn't match a supported version!", module="snowflake.connector.vendored")
