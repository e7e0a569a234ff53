"""Measure what it costs the landing sensor to list a bucket with many objects.

    python -m bench.listing [--objects 100000 1000000] [--s3 0]

``--objects`` measures the sensor's own work on a generated listing. ``--s3 N`` also lists N real files in the local S3.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from netflix_assets.contracts.loading import load_sources
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.storage.objects import LIST_PAGE_SIZE, S3ObjectStore

KINDS = ("genome-scores/part", "ratings/day", "ratings-x", "tags/day")


class Generated:
    """Stands in for obstore's store: a listing of generated objects, in key order and in pages."""

    def __init__(self, count: int) -> None:
        keys = sorted(f"movielens/{KINDS[n % len(KINDS)]}-{n:08d}.csv" for n in range(count))
        self._objects = [
            {
                "path": key,
                "e_tag": f'"{hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()}"',
                "size": 1,
                "last_modified": None,
            }
            for key in keys
        ]

    def list(self, prefix: str | None, chunk_size: int) -> Iterator[Sequence[dict[str, Any]]]:
        """Yield the listing in pages."""
        for start in range(0, len(self._objects), chunk_size):
            yield self._objects[start : start + chunk_size]


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--s3", type=int, default=0)
    arguments = parser.parse_args()
    (source,) = (each for each in load_sources() if each.source == "movielens")
    for count in arguments.objects:
        store = S3ObjectStore(Generated(count), "landing")  # type: ignore[arg-type]
        print(f"generated {count:>9,} objects in pages of {LIST_PAGE_SIZE:,}: {_seconds(store, source, count):6.2f} s")
    if arguments.s3:
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder) / "s3" / "landing" / "movielens" / "ratings"
            files.mkdir(parents=True)
            for number in range(arguments.s3):
                (files / f"{number:08d}.csv").write_text(f"{number}\n")
            with LandingBucket(bucket="landing", local_home=folder).open() as s3:
                for attempt in ("first listing (the server hashes every file)", "second listing"):
                    print(
                        f"local S3  {arguments.s3:>9,} objects, {attempt}: {_seconds(s3, source, arguments.s3):6.2f} s"
                    )


def _seconds(store: Any, source: Any, count: int) -> float:
    started = time.perf_counter()
    found = store.listings(source)
    seconds = time.perf_counter() - started
    assert sum(listing.objects for listing in found.values()) == count, found
    return seconds


if __name__ == "__main__":
    main()
