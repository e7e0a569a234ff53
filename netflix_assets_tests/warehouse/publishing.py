"""A small warehouse that has been built, for the tests of both publishers, and a publisher that dies at a named point.

python -m netflix_assets_tests.warehouse.publishing HOME POINT NTH
"""

import os
import signal
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds, Part
from netflix_assets.warehouse.duckdb import publisher as duckdb_publisher
from netflix_assets.warehouse.duckdb.publisher import DuckDBPublisher
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.ledger import OPS_TABLES
from netflix_assets.warehouse.publishing import Mart
from netflix_assets.warehouse.relations import ddl, ops_ddl

MARTS = (Mart("core", "fct_ratings"), Mart("marts", "mart_by_hour", is_stored=False), Mart("marts", "mart_movies"))
BEGAN = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def make_tables(warehouse: Warehouse, content: int) -> None:
    """The tables as a build leaves them; each says the same number, so that a mixture of two builds can be told."""
    for schema in ("ops", "core", "marts"):
        warehouse.make_schema(schema)
    for statement in ops_ddl(warehouse.columns(("ops",)), OPS_TABLES):
        warehouse.execute(statement)
    Builds(warehouse).prepare()
    numbers = ", ".join(f"({number}, {content})" for number in range(10 * content))
    for mart in MARTS:
        warehouse.execute(f"drop table if exists {mart.full_name}")
        warehouse.execute(ddl(mart.full_name, {"number": "integer", "content": "integer"}))
        warehouse.execute(f"insert into {mart.full_name} values {numbers}")


def begin_build(warehouse: Warehouse, number: int, run_id: str | None = None) -> str:
    """Do as dbt does before its first node. Returns the id of the invocation."""
    invocation_id = str(uuid.uuid4())
    warehouse.execute(
        "insert into ops.builds (invocation_id, run_id, schema_prefix, started_at) values (?, ?, '', ?)",
        (invocation_id, run_id or f"run{number:05}-of-dagster", _naive(BEGAN + timedelta(hours=number))),
    )
    return invocation_id


def finish_build(
    warehouse: Warehouse,
    number: int,
    part: Part,
    invocation_id: str,
    inputs: dict[str, int] | None = None,
    **how: object,
) -> None:
    """Do as the dbt step does at its end; a passed and whole build unless ``how`` says otherwise."""
    begun = {
        "invocation_id": invocation_id, "run_id": f"run{number:05}-of-dagster", "schema_prefix": "",
        "started_at": BEGAN + timedelta(hours=number, minutes=part == "observations"), "part": part,
        "finished_at": BEGAN + timedelta(hours=number, minutes=5), "is_whole": True, "has_passed": True,
        "node_count": 3, "test_count": 9, "inputs": inputs or {},
    }  # fmt: skip
    Builds(warehouse).finish(Build(**{**begun, **how}), [], [], {})


def build(warehouse: Warehouse, number: int, inputs: dict[str, int] | None = None, **how: object) -> None:
    """A build of everything: tables that say ``number``, and both markers."""
    invocation_id = begin_build(warehouse, number) if number > 1 else str(uuid.uuid4())
    make_tables(warehouse, number)
    finish_build(warehouse, number, "models", invocation_id, inputs, **how)
    finish_build(warehouse, number, "observations", str(uuid.uuid4()))


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


# ---------------------------------------------------------------- a publisher that dies

_Light = Callable[[], None]


def _after(owner: object, name: str, starts_with: str = "") -> Callable[[_Light], None]:
    """After a call of a function; of ``execute``, with a statement that starts with a text."""

    def set_up(light: _Light) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments, **options):
            result = original(*arguments, **options)
            if not starts_with or str(arguments[1]).startswith(starts_with):
                light()
            return result

        setattr(owner, name, wrapped)

    return set_up


# In the order in which publishing comes past them.
POINTS: dict[str, Callable[[_Light], None]] = {
    "a new database": _after(DuckDBWarehouse, "execute", "attach"),
    "a table copied": _after(DuckDBWarehouse, "execute", "create table published."),
    "a parquet file written": _after(DuckDBWarehouse, "execute", "copy warehouse."),
    "the database closed": _after(DuckDBWarehouse, "execute", "detach"),
    "the manifest written": _after(duckdb_publisher, "_write_manifest"),
    "all on disk": _after(duckdb_publisher, "_make_durable"),
    "the version named": _after(Path, "rename"),
    "a link made": _after(Path, "symlink_to"),
    "the link switched": _after(Path, "replace"),
    "a file of an old version removed": _after(os, "unlink"),
}


def publisher(home: Path, wait_seconds: float = 0) -> DuckDBPublisher:
    return DuckDBPublisher(home / "warehouse.duckdb", home / "published", wait_seconds)


if __name__ == "__main__":
    left = int(sys.argv[3])

    def light() -> None:
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    POINTS[sys.argv[2]](light)
    publisher(Path(sys.argv[1])).publish(MARTS)
