"""Snowflake's errors: what a client sees when a statement fails.

Every failure must become one of these. The connector treats an HTTP 500 as an outage and retries for minutes.
"""

import duckdb
import snowflake.connector.errors
from sqlglot.errors import SqlglotError


class SQLError(Exception):
    """An error with Snowflake's number and SQL state."""

    def __init__(self, message: str, errno: int, sqlstate: str) -> None:
        super().__init__(message)
        self.errno = errno
        self.sqlstate = sqlstate


def compilation_error(message: str) -> SQLError:
    return SQLError(f"SQL compilation error:\n{message}", 1003, "42000")


def missing(message: str) -> SQLError:
    return SQLError(f"SQL compilation error:\n{message} does not exist or not authorized.", 2003, "42S02")


def unsupported(what: str) -> SQLError:
    """For statements that Snowflake can run and the emulator cannot. They fail instead of being ignored."""
    return SQLError(f"emulator: {what} is not emulated", 2, "0A000")


# The first match counts. Numbers 100000 to 100999 mean bad data.
_DUCKDB = (
    (duckdb.ParserException, 1003, "42000"),
    (duckdb.CatalogException, 2003, "42S02"),
    (duckdb.BinderException, 904, "42000"),
    (duckdb.ConversionException, 100038, "22018"),
    (duckdb.ConstraintException, 100072, "22000"),
    (duckdb.OutOfRangeException, 100046, "22003"),
    (duckdb.InvalidInputException, 100038, "22018"),
    (duckdb.TransactionException, 625, "57014"),
    (duckdb.NotImplementedException, 2, "0A000"),
)


def as_sql_error(error: Exception) -> SQLError:
    """Convert any exception to an error that Snowflake could return."""
    if isinstance(error, SQLError):
        return error
    if isinstance(error.__cause__, duckdb.Error):  # fakesnow translates fewer kinds
        error = error.__cause__
    if isinstance(error, snowflake.connector.errors.Error):
        return SQLError(str(error.raw_msg or error.msg), error.errno or 1, error.sqlstate or "XX000")
    if isinstance(error, SqlglotError):
        return compilation_error(str(error))
    if "MERGE INTO command cannot affect the same target row" in str(error):
        return SQLError("Duplicate row detected during DML action", 100090, "42P18")
    if "Division by zero" in str(error):
        return SQLError("Division by zero", 100051, "22012")
    for kind, errno, sqlstate in _DUCKDB:
        if isinstance(error, kind):
            return SQLError(str(error), errno, sqlstate)
    if isinstance(error, NotImplementedError | AssertionError):
        return unsupported(str(error))
    return SQLError(f"emulator: {type(error).__name__}: {error}", 300002, "XX000")
