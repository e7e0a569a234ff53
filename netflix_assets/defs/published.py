"""The asset ``published/marts``: the tables that passed their tests, shown to consumers together.

It depends on every table of core and marts, so a run in which one fails does not publish. It also reads the build
markers, so materializing it alone does not bypass the tests.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import Showable, counted, showable
from netflix_assets.defs.dbt.project import one_build_at_a_time
from netflix_assets.defs.dbt.results import RUN_DEPENDENT, UNIQUE_ID
from netflix_assets.defs.dbt.translator import KEY, ONE_ROW_PER
from netflix_assets.defs.freshness import freshness_policy, strictest
from netflix_assets.defs.resources import WarehouseResource
from netflix_assets.defs.retry import retry_transient
from netflix_assets.settings import Settings
from netflix_assets.warehouse.builds import NotServableError
from netflix_assets.warehouse.diff import compare
from netflix_assets.warehouse.diff_report import summary_markdown
from netflix_assets.warehouse.errors import HeldError
from netflix_assets.warehouse.loads import fingerprint_of_loads
from netflix_assets.warehouse.publishing import (
    SCHEMAS,
    UNPIN_COMMAND,
    OneRowPer,
    Publication,
    Published,
    Publisher,
    PublishingError,
    ServedTable,
    SourceObject,
    branch_reason,
    by_dataset,
)

PUBLISHED_KEY = dg.AssetKey(["published", "marts"])
LOADS = "loads_fingerprints"  # metadata: dataset -> fingerprint of the loads the published build comes from

_STORED = frozenset({"table", "incremental"})  # dbt's materializations that store rows
_OBJECTS_SHOWN = 10  # per dataset, in the UI; the record has all


def published_marts(settings: Settings, build: dg.AssetsDefinition, datasets: Sequence[Dataset]) -> dg.AssetsDefinition:
    """The asset that publishes the core and marts tables of dbt's build."""
    specs = [spec for spec in build.specs if spec.key.path[0] in SCHEMAS]
    tables = served_tables(specs, datasets)
    shown = showable(settings.sources())

    @dg.asset(
        key=PUBLISHED_KEY,
        deps=[spec.key for spec in specs],
        group_name="published",
        kinds={settings.warehouse_kind, *(["parquet"] if settings.names is None else [])},
        owners=["team:audience-analytics"],
        description=_DESCRIPTION,
        freshness_policy=freshness_policy(strictest(datasets)),
        output_required=False,  # a branch does not publish
    )
    def published(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        if settings.schema_prefix:
            context.log.info(f"not publishing: {branch_reason(settings.schema_prefix)}")
            return
        started = time.monotonic()
        asset = PUBLISHED_KEY.to_user_string()
        with (
            retry_transient(context, settings),
            one_build_at_a_time(settings),  # no build while its tables are copied
            warehouse.publisher(run_id=context.run.run_id, asset=asset) as publisher,
        ):
            try:
                outcome = publisher.publish(tables)
                changes = _changes(context, publisher, outcome, tables, shown)
            except HeldError:
                raise
            except (NotServableError, PublishingError) as error:
                raise dg.Failure(str(error), allow_retries=False) from error
        publication = outcome.publication
        served = outcome.pinned or publication
        context.log.info(_what_was_done(outcome))
        if outcome.pinned is not None:
            context.log.warning(
                f"consumers still see version {served.version}, which is pinned. To serve the newest: {UNPIN_COMMAND}"
            )
        yield dg.MaterializeResult(
            metadata={**_metadata(outcome, publisher.place, time.monotonic() - started), **changes},
            data_version=dg.DataVersion(served.version),
        )

    return published


def _what_was_done(outcome: Published) -> str:
    publication = outcome.publication
    if not outcome.is_new:
        return f"nothing to publish: nothing was built since version {publication.version}, which stays"
    tables, shared = counted(len(publication.tables), "table"), len(outcome.shared)
    done = "published" if outcome.pinned is None else "kept"
    return f"{done} version {publication.version}: {tables}, {shared} of them shared with the version before"


_DESCRIPTION = """The tables that consumers read: core and marts as the last complete, passing build left them.

All tables change together. A failed build, a build of only a part of the graph, or one whose rows do not agree with
the ledger changes nothing.
"""


def served_tables(specs: Iterable[dg.AssetSpec], datasets: Sequence[Dataset]) -> list[ServedTable]:
    """The tables of core and marts among dbt's assets, which are published."""
    return [
        ServedTable(
            spec.key.path[0],
            spec.key.path[-1],
            _is_stored(spec),
            _one_row_per(spec, datasets),
            tuple(spec.metadata.get(KEY, ())),
            is_run_dependent=RUN_DEPENDENT in spec.tags,
            node_id=spec.metadata.get(UNIQUE_ID, ""),
        )
        for spec in specs
        if spec.key.path[0] in SCHEMAS
    ]


def _changes(
    context: dg.AssetExecutionContext,
    publisher: Publisher,
    outcome: Published,
    marts: Sequence[ServedTable],
    shown: Showable,
) -> dict[str, Any]:
    """What the new version changes for consumers, as metadata; a failure to compare only warns."""
    if not outcome.is_new or outcome.previous is None:
        return {"changes": dg.MetadataValue.md("first version" if outcome.is_new else "none: nothing built since")}
    publication = outcome.publication
    unchanged = {name: publication.tables[name] for name in publication.unchanged_since(outcome.previous)}
    try:
        with publisher.comparing(outcome.previous, publication) as sides:
            tables = list(compare(sides.warehouse, sides.before, sides.after, marts, shown, unchanged))
    except Exception as error:  # the version is published, whatever goes wrong here
        context.log.warning(f"version {publication.version} could not be compared: {error}")
        return {"changes": dg.MetadataValue.md("could not be compared; see the run's log")}
    return {
        "changes": dg.MetadataValue.md(summary_markdown(tables)),
        **{f"rows_{kind}": sum(getattr(each, kind) for each in tables) for kind in ("added", "removed", "changed")},
    }


def _is_stored(spec: dg.AssetSpec) -> bool:
    return spec.metadata.get("dagster-dbt/materialization_type") in _STORED


def _one_row_per(spec: dg.AssetSpec, datasets: Iterable[Dataset]) -> OneRowPer | None:
    """What the model's ``meta`` says a table has one row per: a dataset's key, or these columns of it.

    None if it says nothing, or if the contracts in use lack the dataset.
    """
    declared = spec.metadata.get(ONE_ROW_PER, {})
    dataset = next((each for each in datasets if each.id == declared.get("dataset")), None)
    if dataset is None:
        return None
    columns = tuple(declared.get("columns", dataset.key))
    unknown = sorted(set(columns) - {column.name for column in dataset.columns})
    if unknown:
        raise ValueError(f"{spec.key.to_user_string()}: {ONE_ROW_PER}: {dataset.id} has no column '{unknown[0]}'")
    return OneRowPer(dataset.id, dataset.table, columns, declared.get("where", "true"))


def _metadata(outcome: Published, place: str, seconds: float) -> dict[str, Any]:
    publication = outcome.publication
    written = publication.tables.keys() - outcome.shared if outcome.is_new else frozenset()
    tables = [
        dg.TableRecord({"table": name, "rows": rows, "written": name in written})
        for name, rows in publication.tables.items()
    ]
    return {
        "version": publication.version,
        **({} if outcome.pinned is None else pin_metadata(outcome.pinned)),
        "changed": outcome.is_new,
        "tables_written": len(written),
        "build_run_id": publication.run_id,
        "built_at": dg.MetadataValue.timestamp(publication.built_at),
        "published_at": dg.MetadataValue.timestamp(publication.published_at),
        "place": place,
        "tables": dg.MetadataValue.table(tables),
        "dagster/row_count": sum(publication.tables.values()),
        "made_from": dg.MetadataValue.md(_made_from(outcome.objects)),
        LOADS: dg.MetadataValue.json(
            {
                dataset: fingerprint_of_loads((each.load_id, each.key, each.etag) for each in found)
                for dataset, found in by_dataset(outcome.objects).items()
            }
        ),
        "seconds": round(seconds, 3),
        **({} if outcome.size is None else {"bytes": outcome.size}),
    }


def pin_metadata(shown: Publication) -> dict[str, Any]:
    """The version that is pinned and since when, as metadata; nothing if none is."""
    if shown.pinned_at is None:
        return {}
    return {"pinned_version": shown.version, "pinned_at": dg.MetadataValue.timestamp(shown.pinned_at)}


def _made_from(objects: Sequence[SourceObject]) -> str:
    """The newest objects of each dataset, as a Markdown list."""
    lines = []
    for dataset, found in by_dataset(objects).items():
        rows = counted(sum(each.rows for each in found), "row")
        lines.append(f"- **{dataset}**: {rows} from {counted(len(found), 'load')}")
        lines += [f"  - `{each.key}` ({each.etag})" for each in found[-_OBJECTS_SHOWN:]]
        if len(found) > _OBJECTS_SHOWN:
            lines.append(f"  - {len(found) - _OBJECTS_SHOWN:,} older objects")
    return "\n".join(lines)
