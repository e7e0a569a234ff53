"""One read-only transaction on a database: a snapshot that all its tables are read in."""

import selectors
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.conninfo import conninfo_to_dict

from netflix_assets.extract.errors import BusyError, SourceError, SourceUnavailableError, translated
from netflix_assets.settings.named import DatabaseSettings, variable_of

CONNECT_TIMEOUT_S = 10
MIN_VERSION = 130_000  # pg_current_snapshot, and pg_control_system for every role
STATEMENT_TIMEOUT_MS = 3_600_000
_BLOCK_BYTES = 2**20
# The transaction's settings, as SQL: a quoted search_path would name one schema. Values must not depend on the role's
# defaults: they decide how texts look. Row-level security raises an error with row_security = off where it would
# otherwise hide rows silently. Without synchronize_seqscans an unchanged table is read in the same order each time, so
# that its bytes are the same.
_SETTINGS: Mapping[str, LiteralString] = {
    "TimeZone": "'UTC'",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "'iso_8601'",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "'C'",
    "row_security": "off",
    "synchronize_seqscans": "off",
    "search_path": "pg_catalog, public",
    "lock_timeout": "'60s'",  # a table that somebody rewrites must not hold up the others
    "client_encoding": "'UTF8'",
    "idle_in_transaction_session_timeout": "0",  # while an object uploads
}
_LOCK = 7_223_407_118_362_981_001  # "an extract of netflix-assets", in the database's advisory locks


@dataclass(frozen=True)
class Identity:
    """The server and its history that transaction numbers belong to. A failover or a restore starts another history.

    ``started``: when the server was started, as text; empty for a replica. Only this shows that a data folder or a
    disk was put back, because nothing in them does.
    """

    system: str
    timeline: int
    started: str = ""

    def is_continued_by(self, other: "Identity") -> bool:
        """Whether what another identity numbers goes on from here."""
        is_same = (self.system, self.timeline) == (other.system, other.timeline)
        return is_same and ("" in (self.started, other.started) or self.started == other.started)


@dataclass(frozen=True)
class Snapshot:
    """What a transaction sees. ``xmin``, ``xmax``: transaction numbers with their epoch, 64 bits.

    Every transaction below ``xmin`` has ended: committed ones are seen. None from ``xmax`` on is seen.
    ``complete_to``: a log position; what was committed up to it is seen. ``position``: what was committed after it is
    not seen. Positions order the snapshots of one history.
    """

    xmin: int
    xmax: int
    complete_to: int
    position: int
    taken_at: datetime
    identity: Identity
    is_replica: bool


Block = tuple[bytes | bytearray, int]  # CSV records, and how many


class Session:
    """An open transaction. ``database``: the name in the contracts, for messages."""

    def __init__(self, database: str, connection: psycopg.Connection, snapshot: Snapshot) -> None:
        self.database = database
        self.connection = connection
        self.snapshot = snapshot
        self._is_durable = snapshot.is_replica  # it replays what is on its own disk

    def rows(
        self, query: sql.SQL | sql.Composed, parameters: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises: SourceError, SourceUnavailableError."""
        with translated(self.database):
            return self.connection.execute(query, parameters).fetchall()

    def copy(self, query: sql.Composable) -> Iterator[Block]:
        """The rows of a query as CSV without a header. Raises: SourceError, SourceUnavailableError."""
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv)").format(query)
        with translated(self.database), self.connection.cursor() as cursor, cursor.copy(statement):
            yield from _blocks(self.connection.pgconn)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Statements whose failure leaves the transaction, its snapshot and its locks as they were before."""
        with translated(self.database), self.connection.transaction():
            yield

    def wait_until_durable(self) -> None:
        """Wait until a crash of the server can no longer undo what was seen. Nothing lands before.

        With synchronous_commit = off, others see a commit before it is on the disk, which takes up to three times
        wal_writer_delay (0.6 s by default). After a crash, its transaction number is given again to another one.
        """
        query = sql.SQL(
            """
            SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn >= {} OR clock_timestamp() > {}::timestamptz
                   + 3.5 * (SELECT setting::int FROM pg_settings WHERE name = 'wal_writer_delay') * interval '1 ms'
            """
        ).format(self.snapshot.position, self.snapshot.taken_at)
        while not self._is_durable:
            self._is_durable = bool(self.rows(query)[0][0])
            if not self._is_durable:
                time.sleep(0.01)

    def check_not_emptied(self, oids: Sequence[int]) -> None:
        """Raise SourceUnavailableError if tables that were read were truncated or rewritten since the snapshot.

        They look empty then. A role that may read some columns only cannot lock them against it.
        """
        query = sql.SQL(
            "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class WHERE oid = ANY(%(oids)s::bigint[]::oid[]) "
            "AND pg_relation_filenode(oid) <> relfilenode"
        )
        if emptied := self.rows(query, {"oids": [*oids]})[0][0]:
            raise SourceUnavailableError(
                f"database '{self.database}': {emptied} was truncated or rewritten during the extract; the next one "
                "reads it"
            )

    def check_alive(self) -> None:
        """Raise SourceUnavailableError if the transaction, and with it the lock, is gone."""
        self.rows(sql.SQL("SELECT 1"))


def _blocks(pgconn: psycopg.pq.abc.PGconn) -> Iterator[Block]:
    """What a COPY sends. psycopg's own iterator yields row by row, which takes three times the CPU."""
    block = bytearray()
    count = 0
    with selectors.DefaultSelector() as selector:
        selector.register(pgconn.socket, selectors.EVENT_READ)
        while True:
            length, record = pgconn.get_copy_data(1)
            if length > 0:
                block += record
                count += 1
                if len(block) >= _BLOCK_BYTES:
                    yield block, count
                    block, count = bytearray(), 0
            elif length == 0:  # nothing has arrived
                selector.select()
                pgconn.consume_input()
            else:
                break
    for result in [*iter(pgconn.get_result, None)]:  # all of them, or the connection takes no further statement
        if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(result)
    yield block, count


def no_address(database: str) -> str:
    """What to set for a database without an address."""
    variable = variable_of("databases", database)
    return (
        f"database '{database}' has no address. Set {variable} to postgresql://<role>@<host>:5432/<database>, and "
        f"{variable}_PASSWORD"
    )


@contextmanager
def open_session(
    database: str,
    settings: DatabaseSettings | None,
    *,
    exclusive: bool = True,
    relations: Sequence[tuple[str, str]] = (),
) -> Iterator[Session]:
    """A session for the length of the block. ``exclusive``: hold the lock that one extract at a time has.

    ``relations``: schemas and names of tables that cannot be truncated or rewritten meanwhile. Otherwise an
    older snapshot would see them as empty.

    Raises: SourceError, SourceUnavailableError; BusyError when another extract holds the lock.
    """
    if settings is None:
        raise SourceError(no_address(database))
    with _connect(database, settings) as connection:
        with translated(database):
            complete_to, is_replica = _position(connection)
            connection.rollback()
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            timeout = conninfo_to_dict(settings.url).get("options", "")
            for name, value in _SETTINGS.items():
                connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), sql.SQL(value)))
            if "statement_timeout" not in str(timeout):
                connection.execute(sql.SQL("SET LOCAL statement_timeout = {}").format(STATEMENT_TIMEOUT_MS))
            for relation in relations:
                _keep(connection, relation)
            # The first statement that takes the transaction's snapshot. LOCK TABLE takes none.
            if exclusive and not _lock(connection):
                raise BusyError(f"database '{database}': another extract is running")
            snapshot = _snapshot(connection, complete_to, is_replica)
        yield Session(database, connection, snapshot)


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
    """The log position, and whether the server is a replica.

    A transaction writes its commit to the log before others see it. So a snapshot sees no commit after the position
    that is asked for next, and a replica's snapshot sees all commits up to the position that was asked for before.
    """
    row = connection.execute(
        "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END "
        "- '0/0'::pg_lsn)::bigint, pg_is_in_recovery()"
    ).fetchone()
    assert row is not None  # noqa: S101 - for mypy: a SELECT without FROM has one row
    return int(row[0]), bool(row[1])


def _keep(connection: psycopg.Connection, relation: tuple[str, str]) -> None:
    # What is wrong with a table is reported when it is read. Foreign tables and materialized views have no lock.
    errors = psycopg.errors
    cannot = (
        errors.UndefinedTable,
        errors.InvalidSchemaName,
        errors.InsufficientPrivilege,
        errors.WrongObjectType,
        errors.LockNotAvailable,
    )
    with suppress(*cannot), connection.transaction():
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier(*relation)))


def _lock(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK]).fetchone()
    return bool(row and row[0])


def _snapshot(connection: psycopg.Connection, complete_to: int, is_replica: bool) -> Snapshot:
    row = connection.execute(
        """
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_snapshot_xmax(pg_current_snapshot())::text,
               statement_timestamp(), system_identifier::text,
               -- right after a failover the last checkpoint still has the old timeline
               CASE WHEN pg_is_in_recovery()
                    THEN greatest(timeline_id, min_recovery_end_timeline,
                                  (SELECT max(received_tli) FROM pg_stat_wal_receiver))
                    ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END,
               CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_postmaster_start_time()::text END
        FROM pg_control_system(), pg_control_checkpoint(), pg_control_recovery()
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - as above
    position, _ = _position(connection)
    identity = Identity(row[3], int(row[4]), row[5])
    return Snapshot(int(row[0]), int(row[1]), complete_to, position, row[2].astimezone(UTC), identity, is_replica)
