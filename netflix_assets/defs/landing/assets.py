"""The landing assets: the files in the bucket, one external asset per dataset.

Every loaded object version is an event on its landing asset, so the asset's history is the dataset's history of drops.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.contracts.visibility import counted
from netflix_assets.defs.extract.api_assets import response_asset_key
from netflix_assets.defs.extract.database_assets import table_key
from netflix_assets.defs.extract.sentiment import writers_of
from netflix_assets.defs.freshness import freshness_policy
from netflix_assets.defs.resources import LandingBucket, WarehouseResource
from netflix_assets.defs.retry import retry_transient
from netflix_assets.ingest.plan import Plan, plan_loads, warn_of_unused
from netflix_assets.ingest.sync import SyncReport
from netflix_assets.settings import Settings
from netflix_assets.storage.objects import objects_of
from netflix_assets.warehouse.loads import Load

# With more new objects than this in one run, they share one event.
MAX_EVENTS = 20

BUCKET_CHECK = "bucket_matches_ledger"


def landing_key(dataset: Dataset) -> dg.AssetKey:
    """The asset key of the files of a dataset."""
    return dg.AssetKey(["s3", dataset.source, dataset.name])


def landing_assets(sources: Sequence[Source]) -> list[dg.AssetSpec]:
    """One external asset per dataset."""
    return [
        dg.AssetSpec(
            key=landing_key(dataset),
            deps=[*_extracted_from(dataset), *writers_of(dataset, sources)],
            group_name="landing",
            description=f"{dataset.description} {_files(dataset)}",
            owners=list(dataset.owners),
            kinds={"s3", dataset.format},
            # A table that does not change lands nothing; the policy of its own asset tells whether it is looked at.
            freshness_policy=None if dataset.extract else freshness_policy(dataset.freshness),
            metadata={"mode": dataset.mode, "optional": dataset.optional},
        )
        for dataset in all_datasets(sources)
    ]


def _extracted_from(dataset: Dataset) -> list[dg.AssetKey]:
    if dataset.extract is not None:
        return [table_key(dataset)]
    return [response_asset_key(dataset)] if dataset.request is not None else []


def _files(dataset: Dataset) -> str:
    prefix = dataset.key_prefix
    names = ", ".join(f"`{prefix}{rest}.{dataset.extension}`" for rest in ("", "-<anything>", "/<anything>"))
    return f"Files: {names} {dataset.other_extensions}."


def arrivals(report: SyncReport) -> Iterator[dg.AssetMaterialization]:
    """The events of a run on the landing asset: one per object version it loaded."""
    key = landing_key(report.dataset)
    if len(report.loads) <= MAX_EVENTS:
        for load in report.loads:
            listed = load.listed
            yield dg.AssetMaterialization(
                key,
                description=f"{listed.key} ({listed.size:,} bytes)",
                metadata={
                    "object": listed.key,
                    "etag": listed.etag,
                    "bytes": listed.size,
                    "last_modified": dg.MetadataValue.timestamp(listed.last_modified),
                    "age_seconds": round((datetime.now(UTC) - listed.last_modified).total_seconds(), 1),
                    "load_id": load.load_id,
                },
            )
    else:
        yield dg.AssetMaterialization(
            key,
            description=f"{len(report.loads)} objects",
            metadata={"objects": objects_table(report.loads), "bytes": report.bytes},
        )


def objects_table(loads: Sequence[Load]) -> dg.TableMetadataValue:
    """Loads as a table, for the metadata of an event."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "object": load.listed.key,
                    "etag": load.listed.etag,
                    "bytes": load.listed.size,
                    "rows": load.rows_loaded,
                    "rejected": load.rows_rejected,
                    "load_id": load.load_id,
                }
            )
            for load in loads
        ],
        schema=dg.TableSchema(
            [
                dg.TableColumn("object", "string"),
                dg.TableColumn("etag", "string"),
                dg.TableColumn("bytes", "int"),
                dg.TableColumn("rows", "int"),
                dg.TableColumn("rejected", "int"),
                dg.TableColumn("load_id", "int"),
            ]
        ),
    )


def bucket_checks(
    sources: Sequence[Source], raw_key_of: dict[str, dg.AssetKey], settings: Settings
) -> dg.AssetChecksDefinition:
    """Compare bucket and ledger for every dataset. Refused, deleted and unloaded objects warn; they never block.

    ``raw_key_of``: dataset id -> raw asset key; the checks run after the load in the same run.
    """
    datasets = {dataset.id: dataset for dataset in all_datasets(sources)}
    specs = [
        dg.AssetCheckSpec(
            BUCKET_CHECK,
            asset=landing_key(dataset),
            additional_deps=[raw_key_of[dataset.id]],
            description="Every object in the bucket is loaded, and every loaded object is still in the bucket.",
        )
        for dataset in datasets.values()
    ]

    @dg.multi_asset_check(name=BUCKET_CHECK, specs=specs, can_subset=True)
    def compare(
        context: dg.AssetCheckExecutionContext, bucket: LandingBucket, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.asset_key for key in context.selected_asset_check_keys}
        run_id = context.run.run_id
        with (
            retry_transient(context, settings),
            bucket.open() as store,
            warehouse.open(run_id=run_id, asset=BUCKET_CHECK) as connection,
        ):
            compared = [dataset for dataset in datasets.values() if landing_key(dataset) in wanted]
            connection.prepare(*compared)
            for dataset in compared:
                listing = objects_of(dataset, store)
                loads, refused = connection.loads(dataset), connection.refused_objects(dataset)
                plan = plan_loads(dataset, listing, [load for load in loads if load.is_current], refused)
                yield _check_result(dataset, len(listing), plan, warn_of_unused(dataset, listing, loads, refused))

    return compare


def _check_result(dataset: Dataset, objects: int, plan: Plan, warnings: Sequence[str]) -> dg.AssetCheckResult:
    """The objects that are not loaded, or loaded and gone, as a check result."""
    problems = (
        *warnings,
        *(f"{each.listed.key}: {each.outcome}: {each.reason}" for each in plan.refused),
        *(f"{each.key}: not loaded yet" for each in plan.load),
        *(f"{each.listed.key}: deleted from the bucket; its rows are kept" for each in plan.deleted),
    )
    return dg.AssetCheckResult(
        asset_key=landing_key(dataset),
        check_name=BUCKET_CHECK,
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(problems[:MAX_EVENTS]) or f"{counted(objects, 'object')}, all accounted for",
        metadata={
            "objects": objects,
            "refused": len(plan.refused),
            "not_loaded": len(plan.load),
            "deleted": len(plan.deleted),
            "awaited": objects == 0,
        },
    )
