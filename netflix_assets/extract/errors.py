"""What can go wrong between a database and the bucket."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


class SourceError(RuntimeError):
    """The database cannot be read until someone changes something; the message says what."""


class SourceUnavailableError(ConnectionError):
    """The database is away, busy or just restarting. The next extract reads what this one could not."""


class BusyError(SourceUnavailableError):
    """Another extract of the same database is running."""


class TableRefusedError(SourceError):
    """One table is not extracted, and what it had stays. Others go on."""


# SQLSTATE classes and codes after which the same statement can succeed: connection failures, too few resources, an
# operator's shutdown or cancellation, a conflict with recovery on a replica, a server that ends long transactions.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRANSIENT = ("08", "53", "57", "40", "25P03", "25P04")
# A server that refuses a role does so for good. Connections that fail have a text but often no code.
_REFUSED_LOGIN = re.compile(
    r'authentication failed|no pg_hba\.conf entry|(role|database) ".*" does not exist|no password supplied'
    r"|permission denied for database|Name or service not known"
)


@contextmanager
def translated(database: str) -> Iterator[None]:
    """Raise errors of psycopg as ours, with the database's name. Raises: SourceError, SourceUnavailableError."""
    try:
        yield
    except psycopg.Error as error:
        text = " ".join(str(error).split())
        code = error.sqlstate or ""
        name = f"database '{database}'"
        if code == "57014":
            raise SourceUnavailableError(
                f"{name}: a statement took longer than the timeout, or was cancelled ({text}). Raise "
                "statement_timeout in the address (?options=-cstatement_timeout%3D14400000), or name a replica"
            ) from error
        if code == "42501":
            raise SourceError(f"{name}: {text}. `netflix-assets sources check {database}` shows the GRANT") from error
        if code.startswith(_TRANSIENT) or (
            isinstance(error, psycopg.OperationalError) and not _REFUSED_LOGIN.search(text)
        ):
            raise SourceUnavailableError(f"{name} cannot be reached: {text}") from error
        raise SourceError(f"{name}: {text}") from error
