"""Random concurrent transactions on three tables, with extracts, syncs and crashes between them.

Each table is extracted in another mode. What an extract must give is read in its own transaction, so from its very
snapshot. Beside it, a cursor reads the first table as most tools do.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from netflix_assets.contracts.model import Dataset
from netflix_assets.extract import run as run_module
from netflix_assets.extract.errors import BusyError, SourceUnavailableError
from netflix_assets.extract.run import Extracted
from netflix_assets.extract.session import Session
from netflix_assets.extract.state import State, number_of, read_state
from netflix_assets.storage.objects import ObjectStore, ObjectVersion, objects_of
from netflix_assets_tests.extract.database import Database, dataset

STEPS = 60
KEYS = 40
CHANGES, CURSOR, SNAPSHOT = "changes", "cursor", "snapshot"
COLUMNS = [
    {"name": "id", "type": "bigint", "description": "Id."},
    {"name": "amount", "type": "decimal(14,2)", "description": "Amount."},
    {"name": "note", "type": "text", "nullable": True, "description": "Note."},
    {"name": "changed_at", "type": "timestamp", "description": "When the row was changed."},
]
TABLE = """
create table {table} (
    id integer primary key, amount numeric(12,2) not null, note varchar(40), changed_at timestamptz default now()
)
"""
WIDER = (
    "alter table {table} alter column id type bigint",
    "alter table {table} alter column amount type numeric(14,2)",
    "alter table {table} alter column note type text",
)
MAINTENANCE = (
    "vacuum {table}",
    "vacuum (freeze) {table}",
    "vacuum full {table}",
    "cluster {table} using {table}_pkey",
    "analyze {table}",
)

Row = tuple[Any, ...]
Rows = Mapping[int, Row]


class Killed(BaseException):
    """The extracting process ends here. What follows would not happen."""


@dataclass
class Taken:
    """An extract that has ended: what it returned, and the table at its snapshot."""

    outcome: Extracted
    rows: Rows
    before: State | None


@dataclass
class Store:
    """The bucket. ``puts_left``: how many uploads come before the process is killed; after a half it has uploaded."""

    real: ObjectStore
    bucket: str = ""
    puts_left: float | None = None
    visible: set[str] | None = None

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        found = self.real.list(key_prefix)
        return [each for each in found if self.visible is None or each.key in self.visible]

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        return self.real.read(listed)

    def put(self, key: str, path: Path) -> None:
        if self.puts_left is not None and self.puts_left <= 0:
            raise Killed(f"before {key}")
        self.real.put(key, path)
        if self.puts_left is not None:
            self.puts_left -= 1
            if self.puts_left <= 0 and self.puts_left % 1:
                raise Killed(f"after {key}")


@dataclass
class Cursor:
    """Rows above the highest value so far, as dlt's sql_database reads them by default.

    The start of the range is closed, and rows with the highest value that were read before are recognised and left out.
    """

    rows: dict[int, Row] = field(default_factory=dict)
    highest: datetime | None = None
    boundary: set[Row] = field(default_factory=set)

    def read(self, found: Rows) -> None:
        news = [
            row
            for row in found.values()
            if (self.highest is None or row[3] >= self.highest) and row not in self.boundary
        ]
        self.rows |= {row[0]: row for row in news}
        if news:
            highest = max(row[3] for row in news)
            if highest != self.highest:
                self.highest, self.boundary = highest, set()
            self.boundary |= {row for row in news if row[3] == highest}


class Sequence:
    """One sequence of steps. ``sync`` loads what the given store shows."""

    def __init__(
        self, seed: int, database: Database, real: ObjectStore, sync: Callable[..., Any], done: Counter[str]
    ) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - no secret
        self.database = database
        self.sync_one = sync
        self.done = done
        self.store = Store(real, real.bucket)
        self.tables = {mode: f"{mode}{seed}" for mode in (CHANGES, CURSOR, SNAPSHOT)}
        self.datasets = {mode: self._dataset(mode, table) for mode, table in self.tables.items()}
        self.taken: dict[str, list[Taken]] = {mode: [] for mode in self.tables}
        self.cursor = Cursor()
        self.wider = {table: [*WIDER] for table in self.tables.values()}
        self.visible: set[str] = set()
        self.open: list[psycopg.Connection] = []
        database.execute(*(TABLE.format(table=table) for table in self.tables.values()))
        fill = f"insert into {{}} select i, i / 4.0, 'note ' || i, now() from generate_series(1, {KEYS}, 2) i"
        database.execute(*(fill.format(table) for table in self.tables.values()))

    @staticmethod
    def _dataset(mode: str, table: str) -> Dataset:
        extract: dict[str, Any] = {"table": table, "mode": mode}
        if mode == CURSOR:
            extract |= {"cursor": "changed_at", "lag_minutes": 0}
        ingest = "overwrite" if mode == SNAPSHOT else "upsert"
        return dataset(name=table, mode=ingest, key=["id"], columns=COLUMNS, extract=extract)

    # ------------------------------------------------------------ the application

    def transact(self) -> None:
        """A statement in one of the transactions that are open, or in a new one."""
        if len(self.open) < 4 and self.dice.random() < 0.4:
            link = self.database.connect()
            link.execute("set lock_timeout = '5ms'")
            link.commit()
            self.open.append(link)
        if not self.open:
            return
        link = self.dice.choice(self.open)
        table = self.dice.choice([*self.tables.values()])
        is_guarded = self.dice.random() < 0.3
        try:
            if is_guarded:
                link.execute("savepoint s")
            self._write(link, table)
            if is_guarded:
                ending = self.dice.choice(["release", "release", "rollback to"])
                link.execute(f"{ending} savepoint s")
                self.done[f"{ending} savepoint"] += 1
        except psycopg.Error as error:  # a lock that another transaction holds, or a key that is there already
            self.done[type(error).__name__] += 1
            link.rollback()

    def _write(self, link: psycopg.Connection, table: str) -> None:
        kind = self.dice.choice(["insert", "insert", "update", "update", "update", "delete", "key", "silent", "swap"])
        one, other = self.dice.randrange(KEYS), self.dice.randrange(KEYS)
        where = f"id between {one} and {one + self.dice.randrange(3)}"
        note = self.dice.choice(["null", "''", "'a'", "'\"b\", c'", "E'd\\ne'", "'é'"])
        # One time for a whole transaction: what others write meanwhile is later, and may be seen before.
        statement = {
            "insert": f"insert into {table} select i, {one} + i / 4.0, {note}, now() from "
            f"generate_series({other}, {other + self.dice.randrange(3)}) i on conflict do nothing",
            "update": f"update {table} set amount = amount + 1, note = {note}, changed_at = now() where {where}",
            "delete": f"delete from {table} where {where}",
            "key": f"update {table} set id = {other}, changed_at = now() where id = {one}",
            # Only a cursor minds that the application forgets the time.
            "silent": f"update {table} set amount = amount + 1 where {where}",
            "swap": f"with gone as (delete from {table} where id = {one} returning amount) "
            f"insert into {table} select {other}, amount, {note}, now() from gone on conflict do nothing",
        }[kind]
        if kind == "silent" and table != self.tables[CURSOR]:
            return
        self.done[kind] += link.execute(statement).rowcount > 0

    def end(self, how: str = "") -> None:
        """Commit or roll back one of the transactions."""
        if self.open:
            link = self.open.pop(self.dice.randrange(len(self.open)))
            how = how or self.dice.choice(["commit", "commit", "commit", "rollback"])
            (link.commit if how == "commit" else link.rollback)()
            link.close()
            self.done[how] += 1

    def change_table(self) -> None:
        """Rewrite, freeze, widen or empty a table, unless a transaction holds it."""
        table = self.dice.choice([*self.tables.values()])
        kind = self.dice.choice(["maintenance"] * 6 + ["truncate", "add", "add", "widen", "widen"])
        if kind == "widen" and not self.wider[table]:
            return
        statement = {
            "maintenance": lambda: self.dice.choice(MAINTENANCE),
            "truncate": lambda: "truncate {table}",
            "add": lambda: f"alter table {{table}} add column extra{self.dice.randrange(10**6)} text default 'x'",
            "widen": lambda: self.wider[table][0],
        }[kind]().format(table=table)
        with self.database.connect(autocommit=True) as link, suppress(psycopg.errors.LockNotAvailable):
            link.execute("set lock_timeout = '5ms'")
            link.execute(statement)
            self.done[kind if kind != "maintenance" else statement.replace(f" {table}", "").partition(" using")[0]] += 1
            if kind == "widen":
                self.wider[table].pop(0)

    # ------------------------------------------------------------ the extractor

    def extract(self, *, ends: str = "") -> None:
        """Extract all tables. ``ends``: how the process fares, else at random."""
        ends = ends or self.dice.choice(["well", "well", "well", "killed", "cut off", "twice"])
        before = {mode: read_state(self.store.real, each) for mode, each in self.datasets.items()}
        self.store.puts_left = self.dice.randrange(1, 14) / 2 if ends == "killed" else None
        with self._seen(is_cut_off=ends == "cut off") as seen:
            chosen = [mode for mode in self.tables if self.dice.random() < 0.8] if ends != "well" else [*self.tables]

            def note(outcome: Any) -> None:
                assert isinstance(outcome, Extracted), outcome
                mode = next(mode for mode, each in self.datasets.items() if each == outcome.dataset)
                self.taken[mode].append(Taken(outcome, seen[mode], before[mode]))
                self.done[f"{mode}: {'whole' if outcome.whole else 'news' if outcome.keys else 'nothing new'}"] += 1
                if mode == CHANGES:
                    self.cursor.read(seen[mode])
                if ends == "twice":
                    with suppress(BusyError):
                        self._extract([*self.tables], lambda outcome: None)
                        raise AssertionError("two extracts at once")

            try:
                self._extract(chosen, note)
                self.done[f"extract: {ends}"] += 1
            except Killed as killed:
                self.done["extract: killed " + str(killed).partition(" ")[0]] += 1
            except SourceUnavailableError:
                assert ends == "cut off"
                self.done["extract: cut off"] += 1
        self.store.puts_left = None

    def _extract(self, modes: list[str], report: Callable[[Any], None]) -> None:
        datasets = [self.datasets[mode] for mode in modes]
        run_module.extract_database("shop", datasets, self.database.settings, self.store, report=report)

    @contextmanager
    def _seen(self, *, is_cut_off: bool) -> Iterator[dict[str, Rows]]:
        """The tables as the extract within this block sees them: read in its transaction before it reads them."""
        seen: dict[str, Rows] = {}
        original = run_module.open_session

        @contextmanager
        def open_session(*arguments: Any, **options: Any) -> Iterator[Session]:
            with original(*arguments, **options) as session:
                for mode, table in self.tables.items():
                    query = sql.SQL("select id, amount, note, changed_at from {}").format(sql.Identifier(table))
                    seen[mode] = {row[0]: row for row in session.rows(query)}
                if is_cut_off:
                    self._cut_off(session)
                # The application goes on while tables are read.
                for _ in range(self.dice.randrange(4)):
                    self.transact()
                self.end()
                yield session

        run_module.open_session = open_session
        try:
            yield seen
        finally:
            run_module.open_session = original

    def _cut_off(self, session: Session) -> None:
        self.database.rows(f"select pg_terminate_backend({session.connection.info.backend_pid})")

    def lose_state(self) -> None:
        """Delete the state of a table. Numbers of extracts that landed nothing are then given again."""
        mode = self.dice.choice([*self.tables])
        landed = max((number_of(each.key) for each in objects_of(self.datasets[mode], self.store.real)), default=0)
        self.taken[mode] = [each for each in self.taken[mode] if each.outcome.state.number <= landed]
        self.database.bucket.delete(self.datasets[mode].state_key)
        self.done["state lost"] += 1

    # ------------------------------------------------------------ the warehouse

    def sync(self, *, is_last: bool = False) -> None:
        """Load some of the tables from some of the objects; at the end all from all."""
        for each in self.dice.sample([*self.datasets.values()], 3 if is_last else self.dice.randrange(1, 3)):
            landed = [listed.key for listed in objects_of(each, self.store.real)]
            self.visible |= {key for key in landed if is_last or self.dice.random() < 0.6}
            report = self.sync_one(each, store=Store(self.store.real, self.store.bucket, visible=self.visible))
            assert not report.refused, report.refused
        self.done["sync"] += 1

    def run(self) -> None:
        """The steps, then the last extract and sync."""
        weights = {
            self.transact: 20,
            self.end: 3,
            self.extract: 4,
            self.change_table: 1.5,
            self.sync: 1.5,
            self.lose_state: 0.1,
        }
        for step in self.dice.choices([*weights], [*weights.values()], k=STEPS):
            step()
        while self.open:
            self.end()
        self.extract(ends="well")
        self.sync(is_last=True)

    def remove(self) -> None:
        for link in self.open:
            link.close()
        self.database.execute(*(f"drop table {table}" for table in self.tables.values()))


def as_loaded(row: Row) -> Row:
    """A row of the database as the warehouse shows it: an empty text is null there, and times are in UTC."""
    return (row[0], row[1], row[2] or None, row[3].astimezone(UTC).replace(tzinfo=None))
