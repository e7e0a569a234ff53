"""A small built warehouse for the tests of both publishers, and a publisher that is killed at a named point."""

import itertools
import os
import signal
import uuid
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds
from netflix_assets.warehouse.duckdb import publisher as duckdb_publisher
from netflix_assets.warehouse.duckdb import version as duckdb_version
from netflix_assets.warehouse.duckdb.publisher import DuckDBPublisher
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.node_states import NodeState, NodeStates
from netflix_assets.warehouse.publishing import ServedTable
from netflix_assets.warehouse.relations import OPS_TABLES, ddl, ops_ddl
from netflix_assets_tests.forks import FORKS

MARTS = (
    ServedTable("core", "fct_ratings", node_id="model.shop.fct_ratings"),
    ServedTable("marts", "mart_by_hour", is_stored=False, node_id="model.shop.mart_by_hour"),
    ServedTable("marts", "mart_movies", node_id="model.shop.mart_movies"),
)
STORED = frozenset(mart.full_name for mart in MARTS if mart.is_stored)
FIRST_START = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def make_tables(warehouse: Warehouse, content: int, unchanged: Collection[str] = ()) -> None:
    """Create the tables of a build. All of them contain the same number, so that a mix of two builds is detected.

    ``unchanged``: those that the build leaves as they are.
    """
    for schema in ("ops", "core", "marts"):
        warehouse.make_schema(schema)
    for statement in ops_ddl(warehouse.columns(("ops",)), OPS_TABLES):
        warehouse.execute(statement)
    Builds(warehouse).prepare()
    numbers = ", ".join(f"({number}, {content})" for number in range(10 * content))
    for mart in (each for each in MARTS if each.full_name not in unchanged):
        warehouse.execute(f"drop table if exists {mart.full_name}")
        warehouse.execute(ddl(mart.full_name, {"number": "integer", "content": "integer"}))
        warehouse.execute(f"insert into {mart.full_name} values {numbers}")


def begin_build(warehouse: Warehouse, number: int, run_id: str | None = None) -> str:
    """Record the start of a build, as dbt does before its first node. Return the invocation id."""
    invocation_id = str(uuid.uuid4())
    warehouse.execute(
        "insert into ops.builds (invocation_id, run_id, schema_prefix, started_at) values (?, ?, '', ?)",
        (invocation_id, run_id or f"run{number:05}-of-dagster", _naive_utc(FIRST_START + timedelta(hours=number))),
    )
    return invocation_id


def finish_build(
    warehouse: Warehouse,
    number: int,
    invocation_id: str,
    inputs: dict[str, int] | None = None,
    **changes: object,
) -> None:
    """Record the end of a build, as the dbt step does: complete and passed unless ``changes`` say otherwise."""
    fields = {
        "invocation_id": invocation_id, "run_id": f"run{number:05}-of-dagster", "schema_prefix": "",
        "started_at": FIRST_START + timedelta(hours=number),
        "finished_at": FIRST_START + timedelta(hours=number, minutes=5), "is_whole": True, "has_passed": True,
        "node_count": 3, "test_count": 9, "inputs": inputs or {},
    }  # fmt: skip
    Builds(warehouse).finish(Build(**{**fields, **changes}), [], [], {})


def build(
    warehouse: Warehouse,
    number: int,
    inputs: dict[str, int] | None = None,
    unchanged: Collection[str] = (),
    **changes: object,
) -> None:
    """Record a complete build: tables that contain ``number``, their states, and the build's marker.

    ``unchanged``: the tables that the build reuses.
    """
    invocation_id = begin_build(warehouse, number) if number > 1 else str(uuid.uuid4())
    make_tables(warehouse, number, unchanged)
    built = [mart for mart in MARTS if mart.full_name not in unchanged]
    started_at = FIRST_START + timedelta(hours=number)
    NodeStates(warehouse).record(
        NodeState(mart.node_id, "code", "content", "success", None, 10 * number, "a run", invocation_id, started_at)
        for mart in built
    )
    finish_build(warehouse, number, invocation_id, inputs, **changes)


def _naive_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


# ---------------------------------------------------------------- a publisher that dies

_Kill = Callable[[], None]


def _kill_after(owner: object, name: str, starts_with: str = "") -> Callable[[_Kill], None]:
    """Kill after a call of a function; only after one whose argument (a statement, a path's name) starts with this."""

    def install(kill: _Kill) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments, **options):
            result = original(*arguments, **options)
            found = str(arguments[1].name if isinstance(arguments[1], Path) else arguments[1]) if starts_with else ""
            if found.startswith(starts_with):
                kill()
            return result

        setattr(owner, name, wrapped)

    return install


# In the order in which publishing reaches them.
POINTS: dict[str, Callable[[_Kill], None]] = {
    "a new database": _kill_after(DuckDBWarehouse, "execute", "attach"),
    "a table copied": _kill_after(DuckDBWarehouse, "execute", "create table published."),
    "a parquet file written": _kill_after(DuckDBWarehouse, "execute", "copy warehouse."),
    "the database closed": _kill_after(DuckDBWarehouse, "execute", "detach"),
    "the manifest written": _kill_after(duckdb_publisher, "_write_manifest"),
    "all on disk": _kill_after(duckdb_publisher, "_make_durable"),
    "the version named": _kill_after(Path, "rename", "2"),
    "a link made": _kill_after(Path, "symlink_to"),
    "the link switched": _kill_after(Path, "replace"),
    "an old version renamed": _kill_after(Path, "rename", "."),
    "a file of an old version removed": _kill_after(os, "unlink"),
}


# Those that sharing tables with the version before adds to them.
SHARING_POINTS: dict[str, Callable[[_Kill], None]] = {
    "a file linked": _kill_after(Path, "hardlink_to"),
    "the database of the version before copied": _kill_after(duckdb_version, "copy_file"),
    "a changed table dropped": _kill_after(DuckDBWarehouse, "execute", "drop table published."),
    "the copy without changed tables": _kill_after(DuckDBWarehouse, "execute", "checkpoint published"),
}


def publisher(home: Path, wait_seconds: float = 0) -> DuckDBPublisher:
    return DuckDBPublisher(home / "warehouse.duckdb", home / "published", wait_seconds)


def publish_in_a_process(home: Path, point: str, nth: int = 1) -> int | None:
    """Publish in a process that is killed when it passes a point for the nth time. Returns its exit code."""
    process = FORKS.Process(target=_publish_and_die, args=(home, point, nth))
    process.start()
    process.join()
    return process.exitcode


def _publish_and_die(home: Path, point: str, nth: int) -> None:
    passes = itertools.count(1)

    def kill() -> None:
        if next(passes) == nth:
            os.kill(os.getpid(), signal.SIGKILL)

    {**POINTS, **SHARING_POINTS}[point](kill)
    publisher(home).publish(MARTS)
