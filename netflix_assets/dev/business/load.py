"""Put the sample rows into a PostgreSQL, and play days of activity on it as real transactions."""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from datetime import date, datetime
from importlib.resources import files
from typing import Any

from psycopg import Connection, Cursor, Error, sql

from netflix_assets.dev.business import make_world
from netflix_assets.dev.business.days import make_day
from netflix_assets.dev.business.world import (
    KEY_OF,
    KEYS,
    Change,
    Event,
    Insert,
    Row,
    Transaction,
    Update,
    World,
    events,
)
from netflix_assets.dev.postgres import READER, Postgres, PostgresError

SCALE, SEED = 0.1, 1

# Columns that the reader is not granted, because the pipeline does not need them: `left_out` in the contracts. It is
# granted every other column, and those by which extracts find changes: who wrote a row, and in which partition it is.
_SYSTEM_COLUMNS = ["xmin", "tableoid"]
WITHHELD = {
    "customers": ("public_id", "full_name", "email", "birth_date"),
    "addresses": ("street",),
    "support_tickets": ("body", "screenshot"),
    "orders": ("note",),
    "shipments": ("tracking_code",),
    "cards": ("card_number", "holder"),
    "payments": ("card_number",),
}

# Which sample the databases have, and which transactions of its activity are done. Not for the reader.
_SIMULATION = """
create schema simulation;
create table simulation.scenario (scale double precision not null, seed bigint not null);
create table simulation.transactions (day integer, number integer, primary key (day, number));
"""


def load(server: Postgres, scale: float | None = None, seed: int | None = None) -> World | None:
    """Create the tables and load the history into databases that have none; each one as a whole or not at all.

    ``scale`` and ``seed`` are those of the databases that are loaded, or ``SCALE`` and ``SEED``, if not given.

    Returns the rows, or None when all databases were loaded before.

    Raises: ValueError, for the scale or the seed; PostgresError when the databases have another sample.
    """
    loaded = {database: found for database in KEYS if (found := scenario(server, database))}
    chosen = next(iter(loaded.values()), (SCALE, SEED))
    chosen = (chosen[0] if scale is None else scale, chosen[1] if seed is None else seed)
    for database, found in loaded.items():
        if found != chosen:
            raise PostgresError(
                f"{database} has the sample of scale {found[0]:g} and seed {found[1]}. For another one, stop the "
                f"server, remove {server.folder} and start again"
            )
    missing = [database for database in KEYS if database not in loaded]
    if not missing:
        return None
    world = make_world(*chosen)
    for database in missing:
        with server.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(files(__package__).joinpath(f"{database}.sql").read_bytes())
            for table in KEYS[database]:
                _copy(cursor, table, world.rows(table))
                _grant(cursor, table)
            cursor.execute(_SIMULATION)
            cursor.execute("insert into simulation.scenario values (%s, %s)", chosen)
        with server.connect(database, autocommit=True) as connection:
            connection.execute("analyze")
    return world


def scenario(server: Postgres, database: str) -> tuple[float, int] | None:
    """The scale and the seed of a database's sample; None if it has no sample."""
    with server.connect(database) as connection:
        if connection.execute("select to_regclass('simulation.scenario')").fetchone() == (None,):
            return None
        return connection.execute("select scale, seed from simulation.scenario").fetchone()


def play_days(server: Postgres, days: int, on_event: Callable[[Event, World], None] | None = None) -> tuple[World, int]:
    """Play the next days of activity, after completing one that was interrupted.

    ``on_event`` is called after every begin (its statements are done) and end of a transaction, with the rows that are
    committed then.

    Returns: The rows as the databases should have them, and the number of the last day.

    Raises: PostgresError when no sample is loaded, or a statement fails.
    """
    scenarios = [scenario(server, database) for database in KEYS]
    if (found := scenarios[0]) is None or None in scenarios:
        raise PostgresError("the databases have no complete sample yet; load it: netflix-assets dev postgres")
    done = {database: _done(server, database) for database in KEYS}
    last = max((day for each in done.values() for day, _ in each), default=0)
    world = make_world(*found)

    def apply(event: Event) -> None:
        if event[0] == "end":
            world.apply(event[1])
        if on_event:
            on_event(event, world)

    for day in range(1, last + days + 1):
        transactions = make_day(world, found[1], day)
        before = [each for each in transactions if day < last or (day, each.number) in done[each.database]]
        for moment, transaction in events(before):
            if moment == "end":
                world.apply(transaction)
        numbers = {each.number for each in before}
        play(server, [each for each in transactions if each.number not in numbers], apply)
    return world, last + days


def play(server: Postgres, transactions: Iterable[Transaction], on_event: Callable[[Event], None]) -> None:
    """Execute transactions of one day, several at the same time where some commit late."""
    with ExitStack() as stack:
        idle: dict[str, list[Connection]] = {database: [] for database in KEYS}
        busy: dict[int, Connection] = {}
        for event in events(transactions):
            moment, transaction = event
            if moment == "begin":
                connections = idle[transaction.database]
                if not connections:
                    connections.append(stack.enter_context(closing(server.connect(transaction.database))))
                busy[transaction.number] = connections.pop()
                try:
                    _execute(busy[transaction.number], transaction)
                except Error as error:  # rows that somebody changed by hand, or holds
                    reason = str(error).partition("\n")[0]
                    raise PostgresError(
                        f"day {transaction.day}, {transaction.kind}: {reason}. What is done of the day is kept; "
                        "the next call goes on from here"
                    ) from error
            else:
                connection = busy.pop(transaction.number)
                if transaction.ends == "rollback":
                    connection.rollback()
                    _record(connection, transaction)
                connection.commit()
                idle[transaction.database].append(connection)
            on_event(event)


def _execute(connection: Connection, transaction: Transaction) -> None:
    for change in transaction.changes:
        connection.execute(*_statement(change))
    for changes, end in (
        (transaction.nested, "release savepoint inner_part"),
        (transaction.undone, "rollback to savepoint inner_part"),
    ):
        if changes:
            connection.execute("savepoint inner_part")
            for change in changes:
                connection.execute(*_statement(change))
            connection.execute(end)
    _record(connection, transaction)


def _record(connection: Connection, transaction: Transaction) -> None:
    """Note that a transaction is done, within itself; of one that is rolled back, afterwards."""
    done = (transaction.day, transaction.number)
    connection.execute("insert into simulation.transactions values (%s, %s)", done)


def _statement(change: Change) -> tuple[sql.Composed, list[str | None]]:
    table = sql.Identifier(change.table)
    if isinstance(change, Insert):
        columns = sql.SQL(", ").join(map(sql.Identifier, change.row))
        places = sql.SQL(", ").join([sql.Placeholder()] * len(change.row))
        insert = sql.SQL("insert into {} ({}) values ({})").format(table, columns, places)
        return insert, [text_of(value) for value in change.row.values()]
    where = sql.SQL(" and ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in KEY_OF[change.table])
    key = [text_of(value) for value in change.key]
    if isinstance(change, Update):
        assignments = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in change.values)
        update = sql.SQL("update {} set {} where {}").format(table, assignments, where)
        return update, [*(text_of(value) for value in change.values.values()), *key]
    return sql.SQL("delete from {} where {}").format(table, where), key


def text_of(value: Any) -> str | None:
    """A value as PostgreSQL reads it for a column of its type."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "{" + ",".join(_quoted(text_of(each)) for each in value) + "}"
    return str(value)


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _copy(cursor: Cursor, table: str, rows: list[Row]) -> None:
    if not rows:
        return
    columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
    with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), columns)) as copy:
        for row in rows:
            copy.write_row([text_of(value) for value in row.values()])


def _grant(cursor: Cursor, table: str) -> None:
    """Let the reader read a table, without the columns that it does not need."""
    cursor.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped", (table,)
    )
    columns = [name for (name,) in cursor.fetchall() if name not in WITHHELD.get(table, ())]
    columns += _SYSTEM_COLUMNS
    listed = sql.SQL(" ({})").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    granted = listed if table in WITHHELD else sql.SQL("")
    statement = sql.SQL("grant select{} on {} to {}")
    cursor.execute(statement.format(granted, sql.Identifier(table), sql.Identifier(READER)))


def _done(server: Postgres, database: str) -> set[tuple[int, int]]:
    with server.connect(database) as connection:
        return set(connection.execute("select day, number from simulation.transactions").fetchall())
