"""Measure what comparing two versions of a large table costs.

    python -m bench.diff [--rows 25000000] [--rounds 3]

It writes a table of ratings into two files and plants 5 changes: a row added, one removed, three changed. Each round
reads every value of both files with plain DuckDB (the sum of each column), then compares them. It prints the seconds,
the ratio and the peak memory of the comparison, also for two equal files and for one in which every rating differs.
Only ratios compare between machines.
"""

import argparse
import resource
import shutil
import statistics
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import duckdb

from netflix_assets.contracts.visibility import Showable
from netflix_assets.warehouse.diff import compare
from netflix_assets.warehouse.duckdb.publisher import Attached
from netflix_assets.warehouse.publishing import ServedTable, TableSet

RATINGS = """
create table core.fct_ratings as
select
    (n // 150)::integer as user_id, (n % 150 * 400 + hash(n) % 400)::integer as movie_id,
    ((hash(n + 1) % 10 + 1) / 2)::decimal(2, 1) as rating,
    epoch_ms((789652009 + hash(n + 2) % 784904489)::bigint * 1000)::timestamp as rated_at,
    rated_at::date as rated_on, 1::integer as _load_id
from range({rows}) as numbers(n)
"""
SCAN = """
select sum(user_id), sum(movie_id), sum(rating), sum(epoch_us(rated_at)), sum(rated_on - date '1970-01-01')
from core.fct_ratings
"""
PLANTED = {
    "same": [],
    "planted": [
        "insert into core.fct_ratings values (-1, 1, 5.0, '2020-01-01', '2020-01-01', 2)",
        "delete from core.fct_ratings where rowid = 0",
        "update core.fct_ratings set rating = null where rowid in (1000, 2000)",
        "update core.fct_ratings set rated_on = rated_on + 1 where rowid = 3000",
    ],
    "all": ["update core.fct_ratings set rating = 5.5 - rating"],
}
FOUND = {"same": (0, 0, 0, {}), "planted": (1, 1, 3, {"rating": 2, "rated_on": 1})}


def make(folder: Path, rows: int) -> None:
    """Write the files ``before`` and one per set of planted changes."""
    with duckdb.connect(str(folder / "before")) as connection:
        connection.execute("create schema core")
        connection.execute(RATINGS.format(rows=rows))
    for name, statements in PLANTED.items():
        shutil.copyfile(folder / "before", folder / name)
        with duckdb.connect(str(folder / name)) as connection:
            for statement in statements:
                connection.execute(statement)


def scan(files: list[Path]) -> float:
    """The seconds in which plain DuckDB reads every value of the files."""
    started = time.perf_counter()
    for file in files:
        with duckdb.connect(str(file), read_only=True) as connection:
            connection.execute("set enable_progress_bar = false")
            connection.execute(SCAN).fetchall()
    return time.perf_counter() - started


def measure(before: Path, after: Path) -> tuple[float, float]:
    """The seconds and the peak memory in GB of comparing two files; in a process of its own."""
    sides = (TableSet("before", {"core": "core"}), TableSet("after", {"core": "core"}))
    mart = ServedTable("core", "fct_ratings", key=("user_id", "movie_id"))
    started = time.perf_counter()
    with Attached({"before": before, "after": after}, before.with_name("spilled"), 0) as warehouse:
        (found,) = compare(warehouse, *sides, [mart], Showable(None))
    seconds = time.perf_counter() - started
    expected = FOUND.get(after.name, (0, 0, found.rows_before, {"rating": found.rows_before}))
    assert (found.added, found.removed, found.changed, dict(found.columns)) == expected, found
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Run the rounds and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=25_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, arguments.rows)
        for planted in PLANTED:
            files, ratios = [folder / "before", folder / planted], []
            for _ in range(arguments.rounds):
                bare = scan(files)
                with get_context("spawn").Pool(1) as process:
                    seconds, memory = process.apply(measure, files)
                ratios.append(seconds / bare)
                print(
                    f"{planted:8} scan {bare:6.2f} s   diff {seconds:6.2f} s   ratio {ratios[-1]:.2f}   "
                    f"{memory:.2f} GB",
                    flush=True,
                )
            print(f"{planted:8} median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
