"""Measure how cost grows: with the number of files, and with the files and the rows that came before.

    python -m bench.growth [--objects 1 100 10000] [--rows 100000] [--arrivals 10 30 100] [--sizes 0.01 0.03 0.1]
        [--new-rows 2000]

*Objects*: the same ratings in more and more files, each number listed and loaded by one sync. *Arrivals*: a whole run
after one more file of ratings, with so many loaded before (the samples are 10). *Sizes*: a whole run after the same new
ratings, on more and more old ones (1 is ml-25m's), beside a full refresh of the same home. Compare ratios between
machines.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb

from bench.homes import land, measure_command, write_new_ratings
from bench.movielens import write
from netflix_assets.contracts.loading import dataset_by_id
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.dev.samples import generate
from netflix_assets.ingest.sync import sync
from netflix_assets.settings import read_settings

FEW = 0.03  # of the users: those who bring the new ratings


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="*", default=[1, 100, 10_000])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--arrivals", type=int, nargs="*", default=[10, 30, 100])
    parser.add_argument("--sizes", type=float, nargs="*", default=[0.01, 0.03, 0.1])
    parser.add_argument("--new-rows", type=int, default=2_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _objects(arguments.objects, arguments.rows, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        _arrivals(arguments.arrivals, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        _sizes(arguments.sizes, arguments.new_rows, Path(folder))


def _objects(counts: Sequence[int], rows: int, folder: Path) -> None:
    """The same rows in more and more objects."""
    first = None
    for count in counts:
        settings = read_settings(home=folder / str(count), settle_seconds=0)
        dataset = dataset_by_id(settings.sources(), "movielens/ratings")
        landing = settings.s3_folder / settings.bucket / f"{dataset.key_prefix}.csv"
        landing.parent.mkdir(parents=True)
        for number in range(count):
            mine = range(number * rows // count, (number + 1) * rows // count)
            lines = (f"{n // 50 + 1},{n % 50 + 1},{n % 10 / 2 + 0.5},{1_000_000_000 + n}\n" for n in mine)
            file = landing.with_name(f"ratings-{number:06d}.csv")
            file.write_text("userId,movieId,rating,timestamp\n" + "".join(lines))
        with landing_bucket(settings).open() as store, warehouse(settings).open() as connection:
            store.list("")  # the local S3 hashes files the first time it lists them; S3 has done that at the upload
            started = time.perf_counter()
            report = sync(dataset, store, connection, "bench", work_folder=settings.home / "tmp")
            seconds = time.perf_counter() - started
        assert len(report.loads) == count, report
        first = first or seconds
        print(
            f"{rows:,} rows in {count:>6,} objects: {seconds:7.2f} s, {seconds / first:5.2f} times the first, "
            f"{1000 * seconds / count:7.1f} ms an object",
            flush=True,
        )


def _arrivals(counts: Sequence[int], folder: Path) -> None:
    """A run after one more file of ratings, with so many loaded before."""
    generate(folder / "files")
    home = folder / "home"
    landing = home / "s3" / "landing" / "movielens"
    land(folder / "files", landing.parent)
    measure_command(home, "run")
    for before in counts:
        for number in range(len(list(landing.glob("ratings-*.csv"))), before):
            write_new_ratings(home, landing / f"ratings-new-{number}.csv", 0.0005, 1.0, number)
        measure_command(home, "run")
        write_new_ratings(home, landing / f"ratings-more-{before}.csv", 0.0005, 1.0, before)
        last = measure_command(home, "run")
        files = len(list(landing.glob("ratings-*.csv"))) - 1
        print(f"one more file after {files:>3}: {last.seconds:6.1f} s, {last.cpu_s:6.1f} s of CPU", flush=True)


def _sizes(sizes: Sequence[float], new_rows: int, folder: Path) -> None:
    """The same new ratings on more and more old ones."""
    for size in sizes:
        home = folder / str(size)
        landing = home / "s3" / "landing"
        write(folder / "files", size)
        land(folder / "files", landing)
        measure_command(home, "run")
        with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
            ((rows,),) = connection.execute("select count(*) from raw.movielens_ratings_current").fetchall()
        write_new_ratings(home, landing / "movielens" / "ratings-new.csv", new_rows / rows, FEW, 0)
        new, whole = measure_command(home, "run"), measure_command(home, "run", "--full-refresh")
        print(
            f"{new_rows:,} new ratings on {rows:>10,}: {new.seconds:6.1f} s, {new.cpu_s:6.1f} s of CPU; "
            f"a full refresh {whole.seconds:6.1f} s, ratio {new.seconds / whole.seconds:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
