"""Run ``netflix-assets`` in a fork (``forks.py``) that is killed at a named point.

test_crashes.py also kills the installed command itself.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import duckdb
from dagster._core.storage.event_log import SqliteEventLogStorage

from netflix_assets.cli.app import main as cli
from netflix_assets.defs.raw import assets as raw
from netflix_assets.ingest import sync as sync_module
from netflix_assets.storage.objects import S3ObjectStore
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

BATCH_OBJECTS = 2  # so that a run of a few files has several transactions


def command(arguments: list[str], environment: dict[str, str], log: Path, point: str | None, nth: int) -> None:
    """Run the command, and die when it passes this point for the nth time."""
    os.setsid()
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.update(environment)
    sync_module.BATCH_OBJECTS = BATCH_OBJECTS
    if point is not None:
        POINTS[point](_Fuse(nth))
    sys.argv = ["netflix-assets", *arguments]
    cli()


class _Fuse:
    """Kills this process when it is lit for the nth time."""

    def __init__(self, times: int) -> None:
        self.left = times

    def light(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


Point = Callable[[_Fuse], None]


def _within_a_read(fuse: _Fuse) -> None:
    original = S3ObjectStore.read

    def read(self, listed) -> Iterator[bytes]:
        for block in original(self, listed):
            yield block[: len(block) // 2]
            fuse.light()
            yield block[len(block) // 2 :]

    S3ObjectStore.read = read


def _before(owner: object, name: str) -> Point:
    return _around(owner, name, lights_before=True)


def _after(owner: object, name: str) -> Point:
    return _around(owner, name, lights_before=False)


def _around(owner: object, name: str, *, lights_before: bool) -> Point:
    def set_up(fuse: _Fuse) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments, **options):
            if lights_before:
                fuse.light()
            result = original(*arguments, **options)
            if not lights_before:
                fuse.light()
            return result

        setattr(owner, name, wrapped)

    return set_up


def _transaction(where: str) -> Point:
    def set_up(fuse: _Fuse) -> None:
        original = DuckDBWarehouse.transaction

        @contextmanager
        def transaction(self) -> Iterator[None]:
            with original(self):
                if where == "begun":
                    fuse.light()
                yield
                if where == "before COMMIT":
                    fuse.light()
            if where == "after COMMIT":
                fuse.light()

        DuckDBWarehouse.transaction = transaction

    return set_up


def _statement(start: str) -> Point:
    """After a statement that starts with this text (whitespace counts as one space)."""

    def set_up(fuse: _Fuse) -> None:
        original = DuckDBWarehouse.execute

        def execute(self, statement, parameters=()):
            rows = original(self, statement, parameters)
            if " ".join(statement.split()).startswith(start):
                fuse.light()
            return rows

        DuckDBWarehouse.execute = execute

    return set_up


def _new_file(fuse: _Fuse) -> None:
    """After the first of the three blocks that DuckDB writes into a new file. DuckDB is in C, so this imitates it."""
    original = duckdb.connect

    def connect(file, *arguments, **options):
        if not Path(file).exists():
            whole = Path(f"{file}.whole")
            original(str(whole)).close()
            first_block = whole.read_bytes()[:4096]
            whole.unlink()
            Path(file).write_bytes(first_block)
            fuse.light()
        return original(file, *arguments, **options)

    duckdb.connect = connect


def _materialization(*, stored: bool) -> Point:
    """Before or after a raw asset's materialization is stored in Dagster's event log."""

    def set_up(fuse: _Fuse) -> None:
        original = SqliteEventLogStorage.store_event

        def store_event(self, event) -> None:
            key = event.dagster_event and event.dagster_event.asset_key
            is_raw = event.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION and key.path[0] == "raw"
            if is_raw and not stored:
                fuse.light()
            original(self, event)
            if is_raw and stored:
                fuse.light()

        SqliteEventLogStorage.store_event = store_event

    return set_up


# In the order in which a run passes them. Points before the first COMMIT leave nothing behind, so one home can pass
# through all of them.
POINTS: dict[str, Point] = {
    "a new file half written": _new_file,
    "an ops table created": _statement("create table if not exists ops.loads"),
    "a raw table created": _statement("create table if not exists raw."),
    "a view created": _statement("create or replace view"),
    "an object half read": _within_a_read,
    "an object validated": _after(sync_module, "validate"),
    "begun": _transaction("begun"),
    "the lock taken": _statement("update ops.load_locks set last_load_id = last_load_id"),
    "rows inserted": _statement("insert into raw."),
    "rejects stored": _statement("insert into ops.rejected_rows"),
    "a load superseded": _statement("update ops.loads set is_current"),
    "the ledger written": _statement("insert into ops.loads"),
    "a load profiled": _statement("insert into ops.profiles"),
    "the lock written": _statement("update ops.load_locks set last_load_id = ?"),
    "before COMMIT": _transaction("before COMMIT"),
    "after COMMIT": _transaction("after COMMIT"),
    "an object refused": _statement("insert into ops.refused_objects"),
    "before the warehouse is closed": _before(DuckDBWarehouse, "close"),
    "before the arrivals": _before(raw, "arrivals"),
    "before the materialization": _materialization(stored=False),
    "after the materialization": _materialization(stored=True),
}

# Only one or two statements from another point; only the long version stops here.
BETWEEN = ("a raw table created", "the lock taken", "a load profiled", "the lock written", "before the arrivals")

# Only the first run of a home passes these.
CREATION = ("a new file half written", "an ops table created", "a raw table created", "a view created")
