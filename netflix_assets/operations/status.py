"""The state of every dataset and of what is published."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.ingest.plan import plan_loads, warn_of_unused
from netflix_assets.ingest.unloaded import find_unloaded
from netflix_assets.operations.bucket import BucketContents, read_bucket
from netflix_assets.operations.connections import warehouse
from netflix_assets.operations.ledger import open_ledger
from netflix_assets.settings import Settings
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.publishing import Publication, branch_reason, problem_of


@dataclass(frozen=True)
class Status:
    """The state of a home. ``datasets``: see ``dataset_status``; ``published``: see ``publication_status``.

    Each dataset also has ``extracted_at``: when its table was last extracted from the ``database``.
    """

    home: Path
    env: str
    datasets: list[dict[str, Any]]
    bucket: BucketContents
    published: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The status with the keys of ``status --json``."""
        return {
            "home": str(self.home),
            "env": self.env,
            "datasets": self.datasets,
            "of_no_dataset": [each.key for each in self.bucket.strays],
            "published": self.published,
        }


def read_status(settings: Settings) -> Status:
    """Read the state of a home. Raises: WarehouseError."""
    bucket = read_bucket(settings)
    listings = bucket.objects or {}
    with open_ledger(settings) as ledger:
        datasets = [
            {
                **dataset_status(dataset, ledger, listings.get(dataset.id)),
                "extracted_at": at.isoformat() if (at := bucket.extracted_at.get(dataset.id)) else None,
            }
            for dataset in all_datasets(settings.sources())
        ]
        published = _read_publication(settings, ledger)
    return Status(settings.home, settings.env, datasets, bucket, published)


def dataset_status(
    dataset: Dataset, ledger: Warehouse | None, listing: Sequence[ObjectVersion] | None = None
) -> dict[str, Any]:
    """The state of one dataset. ``ledger`` is None if nothing was ever loaded, ``listing`` if the bucket is unknown.

    ``state``: awaited (no file has arrived), landed (files have arrived, and no run has read them yet), loaded,
    rejected (files are loaded, but none of their records satisfies the contract), or refused (files arrived, none was
    loaded).
    ``refused``: object versions that are in the bucket, or all ever refused if the bucket is unknown.
    ``to_load``: objects that the next run loads; null if the bucket is unknown.
    ``warnings``: objects that are not used, see ``warn_of_unused``.
    ``objects``: objects with current rows. ``versions``: all object versions that were ever loaded.
    ``rejected``: records of current objects that are not loaded. ``without_rows``: objects without any loaded record.
    """
    loads = ledger.loads(dataset) if ledger else []
    refused = ledger.refused_objects(dataset) if ledger else []
    if listing is not None:
        versions = {listed.version for listed in listing}
        refused = [each for each in refused if each.listed.version in versions]
    current = [load for load in loads if load.is_current]
    objects = [load for load in current if not load.is_replay]
    unloaded = find_unloaded(dataset, ledger, current) if ledger else []
    rows = sum(load.rows_loaded for load in current)
    loaded = "rejected" if unloaded and rows == 0 else "loaded"
    to_load = None if listing is None else len(plan_loads(dataset, listing, current, refused).load)
    replayed = sum(load.rows_loaded for load in current if load.is_replay)
    return {
        "dataset": dataset.id,
        "state": loaded if current else "refused" if refused else "landed" if to_load else "awaited",
        "optional": dataset.optional,
        "database": dataset.extract.database if dataset.extract else None,
        "objects": len(objects),
        "to_load": to_load,
        "versions": sum(not load.is_replay for load in loads),
        "rows": rows,
        "rejected": sum(load.rows_rejected for load in current) - replayed,
        "bytes": sum(load.listed.size for load in objects),
        "last_loaded_at": loads[-1].loaded_at.isoformat() if loads else None,
        "refused": [
            {"object": each.listed.key, "etag": each.listed.etag, "outcome": each.outcome, "reason": each.reason}
            for each in refused
        ],
        "without_rows": [
            {"object": each.load.listed.key, "etag": each.load.listed.etag, "reason": each.reason} for each in unloaded
        ],
        "warnings": warn_of_unused(dataset, listing or (), loads, refused),
    }


def read_publication(settings: Settings) -> dict[str, Any]:
    """What consumers see: see ``publication_status``. Raises: WarehouseError."""
    with open_ledger(settings) as ledger:
        return _read_publication(settings, ledger)


def _read_publication(settings: Settings, ledger: Warehouse | None) -> dict[str, Any]:
    with warehouse(settings).publisher() as publisher:
        return publication_status(publisher.published(), ledger, publisher.place, settings.schema_prefix)


def publication_status(
    publication: Publication | None, ledger: Warehouse | None, place: str, schema_prefix: str
) -> dict[str, Any]:
    """What consumers see, where, and why it is not the newest build.

    ``publication`` is None if nothing was ever published, ``ledger`` if nothing was ever loaded.
    """
    problem = branch_reason(schema_prefix) if schema_prefix else problem_of(ledger, publication)
    record = publication.as_json() if publication else {}
    return {
        **{name: record.get(name) for name in ("version", "run_id", "built_at", "published_at", "pinned_at")},
        "place": place,
        "is_latest": problem is None,
        "problem": problem,
    }
