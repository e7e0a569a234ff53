"""Measure what publishing costs in seconds and bytes: all tables new, a few small ones changed, and nothing changed.

    python -m bench.publishing [--rows 25000000] [--folder FOLDER]

It builds two tables of ratings, one of scores and 30 small ones, and publishes three versions: of the second and third,
eight small tables have changed. Beside each, plain DuckDB writes all tables to a database and to Parquet files. It
prints the seconds, and the bytes of the file system that the versions take, as a ratio to the first. FOLDER chooses the
file system: on XFS and Btrfs, databases share blocks. Only ratios compare between machines.
"""

import argparse
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench.diff import RATINGS
from netflix_assets.warehouse.builds import Build, Builds
from netflix_assets.warehouse.duckdb.publisher import DuckDBPublisher
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.node_states import NodeState, NodeStates
from netflix_assets.warehouse.publishing import SCHEMAS, ServedTable
from netflix_assets.warehouse.relations import OPS_TABLES, ops_ddl

VERSIONS = "select *, true as is_current from ({ratings})"
SCORES = "select (n // 1128)::integer as movie_id, (n % 1128)::integer as tag_id, hash(n) % 4000 / 4000 as relevance"
SMALL = "select n, hash(n + {at}) % 1000 as value, 'film ' || hash(n) % 60000 as title from range(60000) as numbers(n)"
CHANGED = [f"marts.mart_{at}" for at in range(8)]


def tables(rows: int) -> dict[str, str]:
    """``schema.name`` -> the query that makes it."""
    ratings = RATINGS.format(rows=rows).partition(" as\n")[2]
    return {
        "core.fct_ratings": ratings,
        "core.fct_rating_versions": VERSIONS.format(ratings=ratings),
        "core.fct_genome_scores": f"{SCORES} from range({rows * 5 // 8}) as numbers(n)",
        **{f"marts.mart_{at}": SMALL.format(at=at) for at in range(30)},
    }


def build(warehouse: DuckDBWarehouse, queries: Mapping[str, str], changed: Collection[str]) -> None:
    """Make tables, and record a build that made them, as a run does."""
    for schema in ("ops", *SCHEMAS):
        warehouse.make_schema(schema)
    for statement in ops_ddl(warehouse.columns(("ops",)), OPS_TABLES):
        warehouse.execute(statement)
    builds, now = Builds(warehouse), datetime.now(UTC)
    builds.prepare()
    invocation_id = str(uuid.uuid4())
    for name in changed:
        warehouse.execute(f"create or replace table {name} as {queries[name]}")
    NodeStates(warehouse).record(
        NodeState(name, "", str(now), "success", None, None, "bench", invocation_id, now) for name in changed
    )
    done = Build(invocation_id, "bench", "", now, datetime.now(UTC), is_whole=True, has_passed=True)
    builds.finish(done, [], [], {})


def bare(file: Path, queries: Mapping[str, str], folder: Path) -> float:
    """The seconds in which plain DuckDB copies every table to a database and to Parquet files."""
    folder.mkdir()
    started = time.perf_counter()
    with duckdb.connect() as connection:
        for setting in ("memory_limit = '1GB'", "preserve_insertion_order = false", "enable_progress_bar = false"):
            connection.execute(f"set {setting}")
        connection.execute(f"attach '{file}' as warehouse (read_only)")
        connection.execute(f"attach '{folder / 'bare'}' as bare")
        for schema in SCHEMAS:
            connection.execute(f"create schema bare.{schema}")
        for name in queries:
            connection.execute(f"create table bare.{name} as from warehouse.{name}")
            connection.execute(f"copy warehouse.{name} to '{folder / name}' (format parquet, compression zstd)")
        connection.execute("detach bare")
    os.sync()
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return seconds


def used(folder: Path) -> int:
    """The bytes in use on the file system; blocks that files share count once."""
    os.sync()
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def main() -> None:
    """Publish the versions and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=25_000_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    queries = tables(arguments.rows)
    served = [ServedTable(*name.split("."), node_id=name) for name in queries]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        home = Path(name)
        file, sizes = home / "warehouse.duckdb", list[int]()
        for number, changed in enumerate((list(queries), CHANGED, CHANGED, []), start=1):
            if changed:
                with DuckDBWarehouse(file) as warehouse:
                    build(warehouse, queries, changed)
            plain, before, started = bare(file, queries, home / "bare"), used(home), time.perf_counter()
            outcome = DuckDBPublisher(file, home / "published", 0).publish(served)
            os.sync()
            seconds = time.perf_counter() - started
            sizes.append(used(home) - before)
            print(
                f"{f'version {number}' if outcome.is_new else 'nothing new'}: {len(changed):2} tables changed   "
                f"publishing {seconds:6.2f} s   bare {plain:6.2f} s   ratio {seconds / plain:.2f}   "
                f"all versions {sum(sizes) / 1e6:,.0f} MB, {sum(sizes) / sizes[0]:.2f} of the first",
                flush=True,
            )


if __name__ == "__main__":
    main()
