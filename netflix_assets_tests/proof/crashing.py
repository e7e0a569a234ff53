"""The command ``netflix-assets`` as a process that can be killed at a named point, without its seconds of imports.

This module is imported once by a fork server; each command is then a fork of that, which calls the command's own
``main`` with its own arguments and environment. Importing starts no thread and opens no connection, so a fork is as
good as a new process; test_crashes.py also kills the installed command itself.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import dagster as dg
import duckdb
from dagster._core.storage.event_log import SqliteEventLogStorage

from netflix_assets.cli.app import main as cli
from netflix_assets.defs.raw import assets as raw
from netflix_assets.ingest import sync as level
from netflix_assets.storage.objects import S3ObjectStore
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

# What a run imports on its way, which would take 3 s in each child.
for name in (
    *(
        f"netflix_assets.{module}"
        for module in (
            "defs.dbt.assets",
            "operations.landing",
            "operations.run",
            "operations.status",
            "storage.local_s3",
            "defs.landing.sensor",
        )
    ),
    *("boto3", "dagster_aws.s3", "obstore.auth.boto3", "obstore.store"),
):
    import_module(name)

BATCH_OBJECTS = 2  # so that a run of a few files has several transactions


def command(arguments: list[str], environment: dict[str, str], log: Path, point: str | None, nth: int) -> None:
    """Be the command; die at the nth time that this point is passed."""
    os.setsid()
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.update(environment)
    level.BATCH_OBJECTS = BATCH_OBJECTS
    if point is not None:
        POINTS[point](_Fuse(nth))
    sys.argv = ["netflix-assets", *arguments]
    cli()


class _Fuse:
    """Kills this process the nth time it is lit."""

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
    """After a statement that starts with this text (spaces and line ends count as one space)."""

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
    """After the first of the three blocks that DuckDB writes into a new file; this is in C, so it is imitated."""
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
    """Before or after the materialization of a raw asset is in Dagster's event log."""

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


# In the order in which a run comes past them. Those before the first COMMIT leave nothing done, so that one home can
# be taken through all of them.
POINTS: dict[str, Point] = {
    "a new file half made": _new_file,
    "an ops table made": _statement("create table if not exists ops.loads"),
    "a raw table made": _statement("create table if not exists raw."),
    "a view made": _statement("create or replace view"),
    "an object half read": _within_a_read,
    "an object through the gate": _after(level, "validate"),
    "begun": _transaction("begun"),
    "the lock taken": _statement("update ops.load_locks set last_load_id = last_load_id"),
    "rows inserted": _statement("insert into raw."),
    "rejects kept": _statement("insert into ops.rejected_rows"),
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

# Within a statement or two of another point: only the long version stops here too.
BETWEEN = ("a raw table made", "the lock taken", "a load profiled", "the lock written", "before the arrivals")

# Only the first run of a home comes past these.
MAKING = ("a new file half made", "an ops table made", "a raw table made", "a view made")
