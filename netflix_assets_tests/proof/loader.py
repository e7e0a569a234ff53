"""A process that syncs the ratings on request: ``python -m netflix_assets_tests.proof.loader``.

Arguments: home of the local S3, bucket, warehouse file, run id, and the keys that its listing shows (one of two
concurrent runs may see objects that the other does not see yet). It prints "ready", then "done" for each line it reads.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.ingest.sync import sync
from netflix_assets.storage.objects import ObjectStore, ObjectVersion
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse


class LaggingStore:
    """The real bucket, with some objects not listed yet."""

    def __init__(self, store: ObjectStore, keys: list[str]) -> None:
        self.bucket = store.bucket
        self._store = store
        self._keys = keys

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        return [listed for listed in self._store.list(key_prefix) if listed.key in self._keys]

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        return self._store.read(listed)

    def put(self, key: str, path: Path) -> None:
        self._store.put(key, path)


def main(home: str, bucket: str, warehouse_file: str, run_id: str, *keys: str) -> None:
    dataset = dataset_by_id(load_sources(), "movielens/ratings")
    file = Path(warehouse_file)
    with LandingBucket(bucket=bucket, local_home=home).open() as store:
        print("ready", flush=True)
        for _ in sys.stdin:
            with DuckDBWarehouse(file, wait_seconds=60) as warehouse:
                seen = LaggingStore(store, list(keys))
                sync(dataset, seen, warehouse, run_id, work_folder=file.with_name(run_id))
            print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
