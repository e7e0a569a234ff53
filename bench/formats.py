"""Measure ingestion of each file format beside DuckDB's own reader of it.

    python -m bench.formats [--rows 2000000]

Writes the same ratings as CSV, JSON Lines and Parquet (one row group). Each is loaded twice: by CREATE TABLE AS in
plain DuckDB, and through S3, validation, rejects and ledger. It prints the size of the file, the seconds, their ratio,
and the most memory that the ingestion took in its process. Only ratios compare between machines.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import duckdb

from bench.ingest import ingest_seconds
from netflix_assets.contracts.loading import dataset_by_id
from netflix_assets.contracts.model import Dataset
from netflix_assets.settings import read_settings

ROWS = """
select
    1 + (i * 7919) % 160000 as "userId", 1 + (i * 104729) % 62000 as "movieId", (1 + i % 10) / 2 as rating,
    1100000000 + i as timestamp
from range({rows}) as numbers (i)
"""
WRITE = {"csv": "header", "jsonl": "format json", "parquet": "format parquet, row_group_size 1000000000"}
TYPES = "columns = {'userId': 'integer', 'movieId': 'integer', 'rating': 'double', 'timestamp': 'bigint'}"
READ = {
    "csv": f"read_csv(?, header = true, auto_detect = false, {TYPES})",
    "jsonl": f"read_json(?, format = 'newline_delimited', {TYPES})",
    "parquet": "read_parquet(?)",
}


def plain_seconds(file: Path, kind: str, folder: Path) -> float:
    """Return the wall seconds of a typed CREATE TABLE AS into a new database file."""
    with duckdb.connect(str(folder / "plain.duckdb")) as connection:
        started = time.perf_counter()
        connection.execute(f"create table ratings as select * from {READ[kind]}", [str(file)])
        return time.perf_counter() - started


def _ingest(file: Path, dataset: Dataset, home: Path, results: "multiprocessing.Queue[tuple[float, float]]") -> None:
    seconds = ingest_seconds(file, home, dataset)
    results.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Write the files, load each, print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000)
    arguments = parser.parse_args()
    ratings = dataset_by_id(read_settings().sources(), "movielens/ratings")
    for kind in WRITE:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            file = folder / f"ratings.{kind}"
            duckdb.sql(f"copy ({ROWS.format(rows=arguments.rows)}) to '{file}' ({WRITE[kind]})")
            plain = plain_seconds(file, kind, folder)
            context = multiprocessing.get_context("spawn")
            results = context.Queue()
            dataset = ratings.model_copy(update={"format": kind})
            process = context.Process(target=_ingest, args=(file, dataset, folder, results))
            process.start()
            seconds, memory = results.get()
            process.join()
            print(
                f"{kind:8} {file.stat().st_size / 1e6:6,.0f} MB   plain DuckDB {plain:6.2f} s   ingestion "
                f"{seconds:6.2f} s   ratio {seconds / plain:.1f}   memory {memory:,.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
