"""Measure what the guarantees of ingestion cost.

    python -m bench.ingest RATINGS_CSV [--rounds 3]

Each round loads the file twice: with a typed CREATE TABLE AS in plain DuckDB, and through S3, validation, rejects and
ledger. It prints the seconds and the ratio, and what the stages of the second take by themselves: listing, fetching,
and fetching with validation. The rest is loading. Only ratios compare between machines.
"""

import argparse
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import duckdb

from netflix_assets.contracts.loading import dataset_by_id
from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.ingest.sync import sync
from netflix_assets.ingest.validate import validate
from netflix_assets.settings import read_settings
from netflix_assets.storage.objects import ObjectStore, objects_of

PLAIN = """
create table ratings as
select * from read_csv(
    ?, header = true, auto_detect = false,
    columns = {'userId': 'integer', 'movieId': 'integer', 'rating': 'double', 'timestamp': 'bigint'}
)
"""


def plain_seconds(file: Path, folder: Path) -> float:
    """Return the wall seconds of a typed CREATE TABLE AS into a new database file."""
    with duckdb.connect(str(folder / "plain.duckdb")) as connection:
        started = time.perf_counter()
        connection.execute(PLAIN, [str(file)])
        return time.perf_counter() - started


def ingest_seconds(file: Path, home: Path, dataset: Dataset) -> tuple[float, list[float]]:
    """Return the wall seconds to sync an empty raw table with a bucket that holds the file, and those of each stage."""
    settings = read_settings(home=home)
    with landing_bucket(settings).open() as store:
        store.put(f"{dataset.key_prefix}.{dataset.extension}", file)
        with warehouse(settings).open() as connection:
            started = time.perf_counter()
            report = sync(dataset, store, connection, "bench", work_folder=home / "tmp")
            seconds = time.perf_counter() - started
        stages = _stage_seconds(store, dataset, home / "validated.csv")
    assert len(report.loads) == 1, report
    return seconds, stages


def _stage_seconds(store: ObjectStore, dataset: Dataset, path: Path) -> list[float]:
    moments = [time.perf_counter()]
    (listed,) = objects_of(dataset, store)
    moments.append(time.perf_counter())
    for _ in store.read(listed):
        pass
    moments.append(time.perf_counter())
    validate(store.read(listed), dataset, path)
    moments.append(time.perf_counter())
    return [after - before for before, after in pairwise(moments)]


def main() -> None:
    """Run the rounds and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    ratings = dataset_by_id(read_settings().sources(), "movielens/ratings")
    ratios = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            plain = plain_seconds(arguments.file, Path(folder))
            ingested, stages = ingest_seconds(arguments.file, Path(folder), ratings)
        ratios.append(ingested / plain)
        print(f"plain DuckDB {plain:6.2f} s   ingestion {ingested:6.2f} s   ratio {ratios[-1]:.2f}")
        print("    list {:.2f} s, fetch {:.2f} s, fetch and validate {:.2f} s".format(*stages), flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
