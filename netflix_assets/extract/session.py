"""One read-only transaction on a database: a snapshot that all its tables are read in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.conninfo import conninfo_to_dict

from netflix_assets.extract.errors import BusyError, SourceError, translated
from netflix_assets.settings import DatabaseSettings

CONNECT_TIMEOUT_S = 10
MIN_VERSION = 130_000  # pg_current_snapshot, and pg_control_system for every role
STATEMENT_TIMEOUT_MS = 3_600_000
# The transaction's settings. Values must not depend on the role's defaults: they decide how texts look. Row-level
# security raises an error with row_security = off where it would otherwise hide rows silently. Without
# synchronize_seqscans an unchanged table is read in the same order each time, so that its bytes are the same.
_SETTINGS: Mapping[str, str] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "row_security": "off",
    "synchronize_seqscans": "off",
    "search_path": "pg_catalog, public",
    "client_encoding": "UTF8",
    "idle_in_transaction_session_timeout": "0",  # while an object uploads
}
_LOCK = 7_223_407_118_362_981_001  # "an extract of netflix-assets", in the database's advisory locks


@dataclass(frozen=True)
class Identity:
    """Which history of which server transaction numbers belong to. After a failover or a restore it is another one."""

    system: str
    timeline: int


@dataclass(frozen=True)
class Snapshot:
    """What a transaction sees. ``xmin``, ``xmax``: transaction numbers with their epoch, 64 bits.

    Every transaction below ``xmin`` has ended: committed ones are seen. None from ``xmax`` on is seen.
    ``position``: the log position when it was taken, which orders the snapshots of one history.
    """

    xmin: int
    xmax: int
    position: int
    taken_at: datetime
    identity: Identity
    is_replica: bool


class Session:
    """An open transaction. ``database``: the name in the contracts, for messages."""

    def __init__(self, database: str, connection: psycopg.Connection, snapshot: Snapshot) -> None:
        self.database = database
        self.connection = connection
        self.snapshot = snapshot

    def rows(
        self, query: sql.SQL | sql.Composed, parameters: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises: SourceError, SourceUnavailableError."""
        with translated(self.database):
            return self.connection.execute(query, parameters).fetchall()

    def copy(self, query: sql.Composable) -> Iterator[bytes]:
        """The rows of a query as CSV without a header, one at a time. Raises: SourceError, SourceUnavailableError."""
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
        with translated(self.database), self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            yield from copy  # type: ignore[misc]

    def check_alive(self) -> None:
        """Raise SourceUnavailableError if the transaction, and with it the lock, is gone."""
        self.rows(sql.SQL("SELECT 1"))


@contextmanager
def open_session(database: str, settings: DatabaseSettings | None, *, exclusive: bool = True) -> Iterator[Session]:
    """A session for the length of the block. ``exclusive``: hold the lock that one extract at a time has.

    Raises: SourceError, SourceUnavailableError; BusyError when another extract holds the lock.
    """
    if settings is None:
        raise SourceError(
            f"database '{database}' has no address: set NETFLIX_POSTGRES_{database.upper()} to "
            f"postgresql://<role>@<host>:5432/<database>, and NETFLIX_POSTGRES_{database.upper()}_PASSWORD"
        )
    with _connect(database, settings) as connection:
        with translated(database):
            position, is_replica = _position(connection)
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            timeout = conninfo_to_dict(settings.url).get("options", "")
            for name, value in _SETTINGS.items():
                connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            if "statement_timeout" not in str(timeout):
                connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(STATEMENT_TIMEOUT_MS))
            if exclusive and not _lock(connection):
                raise BusyError(f"database '{database}': another extract is running")
            snapshot = _snapshot(connection, position, is_replica)
        yield Session(database, connection, snapshot)
        connection.rollback()


@contextmanager
def _connect(database: str, settings: DatabaseSettings) -> Iterator[psycopg.Connection]:
    password = settings.password.get_secret_value() if settings.password is not None else None
    with translated(database):
        connection = psycopg.connect(
            settings.url, password=password, connect_timeout=CONNECT_TIMEOUT_S, application_name="netflix-assets"
        )
    try:
        if connection.info.server_version < MIN_VERSION:
            raise SourceError(
                f"database '{database}' is PostgreSQL {connection.info.server_version // 10_000}; use 13+"
            )
        yield connection
    finally:
        connection.close()


def _position(connection: psycopg.Connection) -> tuple[int, bool]:
    """The log position, and whether the server is a replica: asked for before the snapshot, in its own transaction.

    A transaction writes its commit to the log before others see it. So of two snapshots with different rows the later
    one has the higher position.
    """
    row = connection.execute(
        "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END "
        "- '0/0'::pg_lsn)::bigint, pg_is_in_recovery()"
    ).fetchone()
    connection.rollback()
    assert row is not None  # noqa: S101 - for mypy: a SELECT without FROM has one row
    return int(row[0]), bool(row[1])


def _lock(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK]).fetchone()
    return bool(row and row[0])


def _snapshot(connection: psycopg.Connection, position: int, is_replica: bool) -> Snapshot:
    row = connection.execute(
        """
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_snapshot_xmax(pg_current_snapshot())::text,
               now(), system_identifier::text,
               -- right after a failover the last checkpoint still has the old timeline
               CASE WHEN pg_is_in_recovery() THEN timeline_id
                    ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END
        FROM pg_control_system(), pg_control_checkpoint()
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - as above
    identity = Identity(row[3], int(row[4]))
    return Snapshot(int(row[0]), int(row[1]), position, row[2].astimezone(UTC), identity, is_replica)
