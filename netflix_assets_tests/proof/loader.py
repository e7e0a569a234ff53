"""A process that syncs the ratings on request: ``python -m netflix_assets_tests.proof.loader``.

Arguments: home of the local S3, bucket, warehouse file, run id, and the keys that its listing shows (one of two
concurrent runs may see objects that the other does not see yet). It prints "ready", then "done" for each line it reads.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.ingest.sync import sync
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse


def main(home: str, bucket: str, warehouse_file: str, run_id: str, *keys: str) -> None:
    dataset = dataset_by_id(load_sources(), "movielens/ratings")
    file = Path(warehouse_file)
    with LandingBucket(bucket=bucket, local_home=home).open() as store:
        print("ready", flush=True)
        for _ in sys.stdin:
            with DuckDBWarehouse(file, wait_seconds=60) as warehouse:
                seen = SimpleNamespace(
                    bucket=store.bucket,
                    read=store.read,
                    list=lambda prefix: [each for each in store.list(prefix) if each.key in keys],
                )
                sync(dataset, seen, warehouse, run_id, work_folder=file.with_name(run_id))
            print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
