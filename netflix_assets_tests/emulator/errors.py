"""Snowflake's errors: what a client sees when a statement fails.

Whatever goes wrong must become one of these: the connector takes an HTTP 500 for an outage and tries again for minutes.
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
    """Snowflake can do it, the emulator cannot: said rather than passed over."""
    return SQLError(f"emulator: {what} is not emulated", 2, "0A000")


# The first that fits; numbers of 100000 to 100999 say that the data are at fault.
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
    """Any exception as an error that Snowflake could have answered with."""
    if isinstance(error, SQLError):
        return error
    if isinstance(error.__cause__, duckdb.Error):  # fakesnow's own translation knows fewer kinds
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
