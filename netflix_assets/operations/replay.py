"""Forget what the ledger knows of objects, so that the next run reads them again."""

from collections.abc import Sequence

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest import replay
from netflix_assets.operations.connections import warehouse
from netflix_assets.operations.ledger import open_ledger
from netflix_assets.settings import Settings
from netflix_assets.storage.bucket import landing_bucket
from netflix_assets.storage.objects import objects_of
from netflix_assets.warehouse.loads import RefusedObject


def forget_refusals(
    settings: Settings, datasets: Sequence[Dataset], object_key: str | None = None
) -> list[RefusedObject]:
    """Forget refused and ignored objects that are still in the bucket. The next run validates them again.

    ``object_key``: forget only this object. Returns the forgotten refusals. Raises: BucketError; WarehouseError.
    """
    if not warehouse(settings).exists():
        return []
    forgotten: list[RefusedObject] = []
    with landing_bucket(settings).open() as store, warehouse(settings).open() as connection:
        for dataset in datasets:
            connection.prepare(dataset)
            live = [each for each in objects_of(dataset, store) if object_key in (None, each.key)]
            forgotten += replay.forget_refusals(dataset, connection, live)
    return forgotten


def forget_loads(settings: Settings, dataset: Dataset) -> bool:
    """Drop everything loaded from a dataset. The next run loads it again from the bucket.

    Returns whether there was anything to drop. Raises: WarehouseError.
    """
    with open_ledger(settings) as ledger:
        if ledger is None:
            return False
    with warehouse(settings).open() as connection:
        connection.forget_dataset(dataset)
    return True
