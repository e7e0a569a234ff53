"""The raw assets: one table per dataset, synced with the bucket, with the checks that must hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.contracts.visibility import counted, printable
from netflix_assets.defs.extract.sentiment import writers_of
from netflix_assets.defs.freshness import freshness_policy
from netflix_assets.defs.landing.assets import MAX_EVENTS, arrivals, landing_key, objects_table
from netflix_assets.defs.resources import LandingBucket, WarehouseResource
from netflix_assets.defs.retry import retry_transient
from netflix_assets.ingest.anomalies import MIN_HISTORY
from netflix_assets.ingest.history import Comparison, compare_with_history
from netflix_assets.ingest.sync import SyncReport, sync
from netflix_assets.ingest.unloaded import Unloaded, find_unloaded
from netflix_assets.settings import Settings
from netflix_assets.storage.objects import fingerprint
from netflix_assets.storage.retries import BucketError
from netflix_assets.warehouse.loads import Counts, Load, fingerprint_of_loads
from netflix_assets.warehouse.profile import ColumnProfile
from netflix_assets.warehouse.relations import raw_columns

# Metadata: the listing at the last sync, and the loads that made up the table then. The landing sensor compares both.
FINGERPRINT = "bucket_fingerprint"
LOADS = "loads_fingerprint"

ACCOUNTED = "records_accounted"
RECONCILED = "rows_match_ledger"
NO_REJECTS = "no_rejected_rows"
NO_ANOMALY = "no_anomaly"


def raw_key(dataset: Dataset) -> dg.AssetKey:
    """The asset key of the raw table of a dataset."""
    return dg.AssetKey(["raw", dataset.source, dataset.name])


def raw_assets(sources: Sequence[Source], settings: Settings) -> list[dg.AssetsDefinition]:
    """One asset per dataset; a run loads every object version that the ledger lacks."""
    return [_raw_asset(dataset, settings, writers_of(dataset, sources)) for dataset in all_datasets(sources)]


def _raw_asset(dataset: Dataset, settings: Settings, writers: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        key=raw_key(dataset),
        deps=[landing_key(dataset), *writers],  # a run orders steps by direct dependencies only
        group_name="raw",
        description=f"{dataset.description} Holds every load of every object, typed by the contract; "
        f"`{dataset.table}_current` shows the rows of current loads.",
        owners=list(dataset.owners),
        kinds={settings.warehouse_kind},
        freshness_policy=freshness_policy(dataset.freshness),
        check_specs=_check_specs(dataset),
        metadata={
            "dagster/column_schema": _column_schema(dataset),
            "dagster/table_name": f"raw.{dataset.table}",
            "mode": dataset.mode,
        },
    )
    def load(
        context: dg.AssetExecutionContext, bucket: LandingBucket, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        with retry_transient(context, settings):
            yield sync_table(context, bucket, warehouse)

    def sync_table(
        context: dg.AssetExecutionContext, bucket: LandingBucket, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[Any]:
        run_id, key = context.run.run_id, raw_key(dataset).to_user_string()
        with bucket.open() as store, warehouse.open(run_id=run_id, asset=key) as connection:
            report = sync(
                dataset,
                store,
                connection,
                run_id,
                work_folder=settings.home / "tmp",
                settle_seconds=settings.settle_seconds if settings.serves_s3 else 0,
                log=context.log.info,
            )
            current, counts = connection.current_loads(dataset), connection.counts(dataset)
            unloaded = find_unloaded(dataset, connection, current)
            profiles = connection.profiles(dataset, [load.load_id for load in report.loads])
            comparison = compare_with_history(dataset, report.loads, connection)
        for event in arrivals(report):
            context.log_event(event)
        for refused in report.refused:
            message = f"raw/{dataset.id}: {refused.listed.key} {refused.outcome}: {refused.reason}"
            context.log.warning(printable(message))
        for warning in report.warnings:
            context.log.warning(printable(f"raw/{dataset.id}: {warning}"))
        for each in unloaded:
            context.log.warning(printable(f"raw/{dataset.id}: {each.load.listed.key}: {each.reason}"))
        raise_if_unread(report)
        return dg.MaterializeResult(
            metadata=_metadata(report, current, counts, profiles, unloaded),
            check_results=[*_checks(counts, unloaded), _anomaly_check(report, comparison)],
        )

    return load


def raise_if_unread(report: SyncReport) -> None:
    """Fail for objects that the bucket did not deliver, after the others are loaded: the next run reads only these."""
    if report.failed_reads:
        (_, error), *others = report.failed_reads
        more = f". Also unread: {', '.join(listed.key for listed, _ in others[:MAX_EVENTS])}" if others else ""
        uncounted = f" and {len(others) - MAX_EVENTS} more" if len(others) > MAX_EVENTS else ""
        is_transient = any(each.is_transient for _, each in report.failed_reads)
        raise BucketError(printable(f"{error}{more}{uncounted}"), is_transient=is_transient)


def _check_specs(dataset: Dataset) -> list[dg.AssetCheckSpec]:
    key = raw_key(dataset)
    return [
        dg.AssetCheckSpec(
            ACCOUNTED,
            asset=key,
            blocking=True,
            description="Every record is loaded, kept in ops.rejected_rows with its reason, or of an erased person.",
        ),
        dg.AssetCheckSpec(
            RECONCILED,
            asset=key,
            blocking=True,
            description="The ledger's rows of current loads equal the rows of the _current view.",
        ),
        dg.AssetCheckSpec(NO_REJECTS, asset=key, description="No record of the current loads is rejected."),
        dg.AssetCheckSpec(
            NO_ANOMALY,
            asset=key,
            description="Rows, nulls and means of each new load are in the usual range of the dataset's earlier loads.",
        ),
    ]


def _checks(counts: Counts, unloaded: Sequence[Unloaded]) -> Iterator[dg.AssetCheckResult]:
    yield dg.AssetCheckResult(
        check_name=ACCOUNTED,
        passed=counts.unaccounted_loads == 0
        and counts.kept_rejects == counts.rejected_rows
        and counts.replayed_rejects == counts.replay_rows,
        metadata={
            "unaccounted_loads": counts.unaccounted_loads,
            "rejected_by_ledger": counts.rejected_rows,
            "kept_in_rejected_rows": counts.kept_rejects,
            "replayed_of_these": counts.replayed_rejects,
            "replayed_by_ledger": counts.replay_rows,
        },
    )
    yield dg.AssetCheckResult(
        check_name=RECONCILED,
        passed=counts.ledger_rows == counts.current_rows,
        metadata={"rows_by_ledger": counts.ledger_rows, "rows_in_current": counts.current_rows},
    )
    yield dg.AssetCheckResult(
        check_name=NO_REJECTS,
        passed=counts.open_rejects == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=_describe_rejects(counts, unloaded) if counts.open_rejects else None,
        metadata={"rejected_rows": counts.open_rejects},
    )


def _describe_rejects(counts: Counts, unloaded: Sequence[Unloaded]) -> str:
    rows = counted(counts.open_rejects, "rejected row")
    keys = [each.load.listed.key for each in unloaded]
    more = f" and {len(keys) - MAX_EVENTS} more objects" if len(keys) > MAX_EVENTS else ""
    nothing = f"; no rows loaded from {', '.join(keys[:MAX_EVENTS])}{more}" if keys else ""
    return f"{rows}{nothing}; see netflix-assets rejects list"


def _anomaly_check(report: SyncReport, comparison: Comparison) -> dg.AssetCheckResult:
    lines = [f"{load.listed.key}: {'; '.join(map(str, unusual))}" for load, unusual in comparison.unusual]
    more = [f"and {len(lines) - MAX_EVENTS} more objects"] if len(lines) > MAX_EVENTS else []
    return dg.AssetCheckResult(
        check_name=NO_ANOMALY,
        passed=not lines,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join([*lines[:MAX_EVENTS], *more]) or None,
        metadata={
            "new_loads": len(report.loads),
            "unusual_loads": len(lines),
            "earlier_loads": comparison.earlier,
            "earlier_loads_needed": MIN_HISTORY,
        },
    )


def _metadata(
    report: SyncReport,
    current: Sequence[Load],
    counts: Counts,
    profiles: Sequence[ColumnProfile],
    unloaded: Sequence[Unloaded],
) -> Mapping[str, Any]:
    seconds = max(report.seconds, 1e-3)
    metadata: dict[str, Any] = {
        "dagster/row_count": counts.current_rows,
        "objects_in_bucket": len(report.listing),
        "objects_loaded": len(report.loads),
        "objects_refused": sum(each.outcome == "refused" for each in report.refused),
        "objects_deleted": len(report.deleted),
        "objects_removed": len(report.removed),
        "awaited": report.awaited,
        "rows_loaded": report.rows_loaded,
        "rows_rejected": report.rows_rejected,
        "bytes_loaded": report.bytes,
        "seconds": round(report.seconds, 3),
        "rows_per_second": round(report.rows_loaded / seconds),
        FINGERPRINT: fingerprint(report.listing),
        LOADS: fingerprint_of_loads((load.load_id, load.listed.key, load.listed.etag) for load in current),
    }
    if report.loads:
        metadata["loads"] = objects_table(report.loads)
    if profiles:
        metadata["profiles"] = _profiles_table(profiles)
    if report.refused:
        metadata["refused"] = dg.MetadataValue.json(
            [{"object": each.listed.key, "outcome": each.outcome, "reason": each.reason} for each in report.refused]
        )
    if unloaded:
        metadata["without_rows"] = dg.MetadataValue.json(
            [{"object": each.load.listed.key, "reason": each.reason} for each in unloaded]
        )
    if report.warnings:
        metadata["warnings"] = dg.MetadataValue.json(report.warnings)
    return metadata


def _profiles_table(profiles: Sequence[ColumnProfile]) -> dg.TableMetadataValue:
    """The profiles of the newest loads; quartiles are estimated from ``sampled_rows`` rows."""
    shown = {profile.load_id for profile in profiles}
    newest = sorted(shown)[-MAX_EVENTS:]
    types = {"load_id": "int", "column": "string", "min_value": "string", "max_value": "string"}
    return dg.MetadataValue.table(
        [
            dg.TableRecord({name: _rounded(value) for name, value in asdict(profile).items()})
            for profile in profiles
            if profile.load_id in newest
        ],
        schema=dg.TableSchema(
            [dg.TableColumn(each.name, types.get(each.name, "float")) for each in fields(ColumnProfile)]
        ),
    )


def _rounded(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _column_schema(dataset: Dataset) -> dg.TableSchema:
    described = {column.name: column.description for column in dataset.columns}
    nullable = {column.name: column.nullable for column in dataset.columns}
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                kind,
                description=described.get(name, "The load the row came from; see ops.loads."),
                constraints=dg.TableColumnConstraints(nullable=nullable.get(name, False)),
            )
            for name, kind in raw_columns(dataset).items()
        ]
    )
