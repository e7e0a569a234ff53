"""Rows here against rows in the database, at the snapshot of the last extract that is loaded.

Counting keys reads every row that ever landed (24 million rows: 12 s on two busy cores). So a table that has passed is
counted again only after an extract or a load, or when its row count has changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.defs.dagster_internals import last_result
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.resources import LandingBucket, WarehouseResource
from netflix_assets.defs.retry import retry_transient
from netflix_assets.extract.postgres.state import State, number_of, read_state
from netflix_assets.settings import Settings
from netflix_assets.storage.objects import ObjectStore, objects_of
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.loads import Load

ROWS = "rows_match_database"
_REUSED = "nothing was extracted or loaded since the last comparison"


def database_checks(sources: Sequence[Source], settings: Settings) -> list[dg.AssetChecksDefinition]:
    """One step that compares every table that comes from a database; none if no contract has an extract."""
    datasets = [dataset for dataset in all_datasets(sources) if dataset.extract is not None]
    if not datasets:
        return []
    specs = [
        dg.AssetCheckSpec(
            ROWS,
            asset=raw_key(dataset),
            description="The table has as many rows as the database had at the last extract.",
        )
        for dataset in datasets
    ]

    @dg.multi_asset_check(name=ROWS, specs=specs, can_subset=True)
    def compare(
        context: dg.AssetCheckExecutionContext, bucket: LandingBucket, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.asset_key for key in context.selected_asset_check_keys}
        with (
            retry_transient(context, settings),
            bucket.open() as store,
            warehouse.open(run_id=context.run.run_id, asset=ROWS) as connection,
        ):
            for dataset in datasets:
                if raw_key(dataset) in wanted:
                    last = last_result(context.instance, dg.AssetCheckKey(raw_key(dataset), ROWS))
                    yield _compare(dataset, store, connection, last)

    return [compare]


def _compare(
    dataset: Dataset, store: ObjectStore, warehouse: Warehouse, last: dg.AssetCheckEvaluation | None
) -> dg.AssetCheckResult:
    state = read_state(store, dataset)
    if state is None:  # a database that is not used costs the warehouse no statement
        return _result(dataset, passed=True, description="not extracted yet")
    warehouse.prepare(dataset)
    loads = warehouse.current_loads(dataset)
    if waiting := _why_waiting(dataset, state, store, loads):
        return _result(dataset, passed=True, description=waiting)
    counts = warehouse.counts(dataset)
    load_ids = [load.load_id for load in loads]
    compared = sha256(repr((state.number, state.rows, counts, load_ids)).encode()).hexdigest()
    if last is not None and last.passed and last.metadata.get("compared") == dg.TextMetadataValue(compared):
        return _result(dataset, passed=True, description=_REUSED, metadata={**last.metadata, "reused": True})
    here = counts.current_rows if dataset.tombstone is None else _keys(dataset, dataset.tombstone, warehouse)
    missing = state.rows - here
    description = None
    if missing:
        description = f"{here:,} rows here, {state.rows:,} in the database at {state.taken_at} UTC"
        if counts.open_rejects:
            description += f"; {counts.open_rejects:,} rejected: netflix-assets rejects list --dataset {dataset.id}"
    metadata = {"rows_here": here, "rows_there": state.rows, "rejected": counts.open_rejects, "compared": compared}
    return _result(dataset, passed=not missing, description=description, metadata=metadata)


def _why_waiting(dataset: Dataset, state: State, store: ObjectStore, loads: Sequence[Load]) -> str:
    """Why rows cannot be compared now; empty if they can."""
    landed = {listed.key for listed in objects_of(dataset, store)}
    loaded = {load.listed.key for load in loads}
    if dataset.tombstone is not None and landed - loaded:
        return "not all of the extract is loaded yet"
    newest = max(map(number_of, landed), default=0)
    if newest > state.number or (dataset.tombstone is None and newest != max(map(number_of, loaded), default=0)):
        return "an extract is in progress"
    return ""


def _keys(dataset: Dataset, tombstone: str, warehouse: Warehouse) -> int:
    """Keys whose newest version is not a tombstone. Objects are named in the order of extracts."""
    key = ", ".join(dataset.key)
    _, rows = warehouse.query(
        f"select count(*) from (select {key} from raw.{dataset.table}_current group by {key} "  # noqa: S608
        f"having not max_by({tombstone}, _object_key))"
    )
    return int(rows[0][0])


def _result(
    dataset: Dataset, *, passed: bool, description: str | None, metadata: Mapping[str, Any] = MappingProxyType({})
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=raw_key(dataset), check_name=ROWS, passed=passed, description=description, metadata=metadata
    )
