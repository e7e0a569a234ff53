"""Measure what it costs the landing sensor to list a bucket with many objects.

    python -m bench.listing [--objects 100000 1000000] [--s3 0]

``--objects`` measures the work on the pages of a generated listing: parsing and fingerprints. ``--s3 N`` also lists N
real files in the local S3.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from netflix_assets.contracts.loading import load_sources
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.storage.listing import PAGE_SIZE, BucketLister, Page, parse_page
from netflix_assets.storage.objects import S3ObjectStore

KINDS = ("genome-scores/part", "ratings/day", "ratings-x", "tags/day")


class Generated(BucketLister):
    """Pages of generated objects, in key order, as a server sends them."""

    def __init__(self, count: int) -> None:
        keys = sorted(f"movielens/{KINDS[n % len(KINDS)]}-{n:08d}.csv" for n in range(count))
        pages = range(0, count, PAGE_SIZE)
        self._bodies = [self._body(keys[start : start + PAGE_SIZE], number) for number, start in enumerate(pages, 1)]
        self._bodies[-1] = self._bodies[-1].replace(b"true", b"false")

    def _body(self, keys: Sequence[str], next_number: int) -> bytes:
        contents = "".join(
            f"<Contents><Key>{quote_plus(key, safe='/')}</Key><LastModified>2024-05-06T07:08:09.000Z</LastModified>"
            f"<ETag>&quot;{hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()}&quot;</ETag><Size>1</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in keys
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
            f"<NextContinuationToken>{next_number}</NextContinuationToken>{contents}</ListBucketResult>"
        ).encode()

    def page(self, prefix: str, token: str | None = None, *, delimiter: str = "", size: int = PAGE_SIZE) -> Page:
        """Parse the page with this number."""
        return parse_page(self._bodies[int(token or 0)])


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--s3", type=int, default=0)
    arguments = parser.parse_args()
    (source,) = (each for each in load_sources() if each.source == "movielens")
    for count in arguments.objects:
        store = S3ObjectStore(None, Generated(count), "landing")  # type: ignore[arg-type]
        print(f"generated {count:>9,} objects in pages of {PAGE_SIZE:,}: {_seconds(store, source, count):6.2f} s")
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
