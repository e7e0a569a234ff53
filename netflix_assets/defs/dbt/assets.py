"""The dbt project as Dagster assets: every node is an asset, every test an asset check, in the one lineage graph.

Asset keys are ``<layer>/<model>``, the same in every environment; sources are the raw assets and the tables of ``ops``.
Two invocations build the project: one all models, a small second one those that describe the first (tagged
``observation``), after its results have been recorded. Does not belong here: SQL (``dbt/``), what is loaded before
(``raw.py``), how dbt is called (``dbt_project.py``).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard

import dagster as dg
import dagster_dbt.asset_utils
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)
from dagster_dbt.asset_utils import get_manifest_and_translator_from_dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError

from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.contracts.visibility import Showable, showable
from netflix_assets.defs.dbt.project import exported, one_build_at_a_time
from netflix_assets.defs.dbt.results import (
    OBSERVATION,
    Finding,
    Manifest,
    Results,
    layer_of,
    part_of,
    read_results,
    selection_of_rest,
)
from netflix_assets.defs.freshness import freshness_policy, sources_of, strictest
from netflix_assets.defs.resources import WarehouseResource
from netflix_assets.defs.retry import TransientError, has_more, retry_transient
from netflix_assets.settings import Settings
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import BUILD_TABLES, Build, Builds, Part
from netflix_assets.warehouse.ledger import OPS_TABLES
from netflix_assets.warehouse.relations import Relation
from netflix_assets.warehouse.transient import Failure, kind_of_text

# dbt's arguments --select and --exclude.
_SELECTED: Mapping[Part, tuple[str, str | None]] = {
    "models": ("fqn:*", f"tag:{OBSERVATION}"),
    "observations": (f"tag:{OBSERVATION}", None),
}
# The group of what describes the runs. Groups are layers, but for two that would make the graph of groups run in
# circles: this one, and intermediate models that dimensions are made of (`meta: {group: core}`).
_OPERATIONS = "operations"
_OPS_DESCRIPTIONS = {
    "loads": "The ledger: every load of every object, with its row counts.",
    "rejected_rows": "Every record that was kept out of a raw table, with its file, line and reason.",
    "refused_objects": "Every object version that was not loaded at all, with the reason.",
    "profiles": "What the values of each load and column look like.",
    "cost_of_assets": "What the statements of each asset have cost, by Snowflake's query history; not on DuckDB.",
    "builds": "Every build of the dbt project: whether it was whole, and whether it passed.",
    "node_runs": "What became of each model, seed and snapshot in each build.",
    "test_results": "What became of each test in each build.",
}
_ROWS_SHOWN = 20  # of what a test found
_CHARACTERS_SHOWN = 200  # of a value

Rows = Sequence[Mapping[str, str | int | float | None]]


class DbtConfig(dg.Config):
    """Run configuration of a dbt step."""

    full_refresh: bool = False


class Translator(DagsterDbtTranslator):
    """dbt nodes as Dagster knows them: key and group by layer, owner from ``meta``, freshness of marts by contract."""

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        self._datasets = datasets
        super().__init__(DagsterDbtTranslatorSettings(enable_code_references=False))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The library's spec with this project's key, group and owner; its dependencies stay."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        if node["resource_type"] == "source":
            path = ["ops"] if node["schema"] == "ops" else ["raw", node["source_name"]]
            return spec.replace_attributes(key=dg.AssetKey([*path, node["name"]]))
        layer, meta = layer_of(node), node.get("meta", {})
        return spec.replace_attributes(
            key=dg.AssetKey([layer, node["name"]]),
            group_name=_OPERATIONS if OBSERVATION in node["tags"] else meta.get("group", layer),
            owners=[meta["owner"]] if "owner" in meta else [],
            freshness_policy=(
                freshness_policy(strictest(sources_of(unique_id, manifest, self._datasets)))
                if layer == "marts"
                else None
            ),
        )


def ops_tables(raw_keys: Iterable[dg.AssetKey], models: dg.AssetsDefinition, kind: str) -> list[dg.AssetSpec]:
    """The tables of ``ops`` that dbt reads: what loads are recorded in, and what builds are recorded in."""
    marts = [key for key in models.keys if key.path[0] == "marts"]
    written_by = {
        **{table: list(raw_keys) for table in OPS_TABLES},
        "cost_of_assets": [],
        **dict.fromkeys(BUILD_TABLES, marts),
    }
    return [
        dg.AssetSpec(
            dg.AssetKey(["ops", table]),
            deps=written_by[table],
            group_name="raw" if table in OPS_TABLES else _OPERATIONS,
            kinds={kind},
            description=description,
        )
        for table, description in _OPS_DESCRIPTIONS.items()
    ]


def dbt_builds(
    settings: Settings, project: DbtProject, manifest: Manifest, datasets: Sequence[Dataset]
) -> dict[Part, dg.AssetsDefinition]:
    """All nodes of the project, in the two parts that a run builds one after the other."""
    translator = Translator(datasets)
    return {part: _dbt_build(part, manifest, settings, project, translator) for part in _SELECTED}


def _dbt_build(
    part: Part, manifest: Manifest, settings: Settings, project: DbtProject, translator: Translator
) -> dg.AssetsDefinition:
    """The nodes of one part, built by one dbt invocation."""

    def build(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseResource, config: DbtConfig
    ) -> Iterator[Any]:
        run_id = context.run.run_id
        runs = settings.dbt_runs_folder / run_id
        folders = [runs / (f"{part}-retry-{number}" if number else part) for number in range(context.retry_number + 1)]
        with retry_transient(context, settings):
            with one_build_at_a_time(settings):
                inputs = _prepare_tables(settings, warehouse, run_id)
                earlier = _standing(folders[:-1], part, run_id, inputs, warehouse, settings)
                events, failure = _invoke(context, dbt, config, settings, folders[-1], earlier)
                relations = {_relation(_asset_key(event, context), settings) for event in events if _is_built(event)}
                results = read_results(folders[-1], part, showable(settings.sources()))
                with warehouse.open("builder", run_id=run_id, asset="dbt") as connection:
                    before = earlier.results if earlier else None
                    seen = _record(results, before, part, run_id, inputs, relations, connection, settings)
            is_transient = failure is not None and _is_transient(results, failure)
            # What is built again is told when it has been; Dagster keeps what was told before a step failed.
            untold = results.to_run_again if results and is_transient and has_more(context, settings) else ()
            for event in events:
                if _node_of(event) not in untold:
                    yield _with_figures(event, context, seen, settings)
            if failure is not None:
                raise _error(results, failure, folders[-1], is_transient) from None

    select, exclude = _SELECTED[part]
    with _selected(part, manifest):
        return dbt_assets(
            manifest=manifest,
            select=select,
            exclude=exclude,
            project=project,
            dagster_dbt_translator=translator,
            name=f"dbt_{part}",
        )(build)


@contextmanager
def _selected(part: Part, manifest: Manifest) -> Iterator[None]:
    """Tell dagster-dbt which nodes a part has, for as long as its assets are made.

    Otherwise each start of Dagster imports dbt's selection engine (0.3 s, a tenth of the whole) to ask it twice.
    Selections at run time go their ordinary way.
    """
    module = vars(dagster_dbt.asset_utils)
    theirs = module["select_unique_ids"]
    module["select_unique_ids"] = lambda *_, **__: {
        unique_id for unique_id in manifest["nodes"] if part_of(unique_id, manifest) == part
    }
    try:
        yield
    finally:
        module["select_unique_ids"] = theirs


# ---------------------------------------------------------------- one invocation


def _prepare_tables(settings: Settings, warehouse: WarehouseResource, run_id: str) -> dict[str, int]:
    """Make every table that dbt reads, also of datasets never loaded; waits for whoever holds the file.

    Returns the last load of each dataset that has one.
    """
    with warehouse.open(run_id=run_id, asset="dbt") as connection:
        for dataset in all_datasets(settings.sources()):
            connection.prepare(dataset)
        inputs = connection.last_loads()
    with warehouse.open("builder", run_id=run_id, asset="dbt") as connection:
        Builds(connection).prepare()
    return inputs


@dataclass(frozen=True)
class _Earlier:
    """What the attempts before this one have come to; the last of them left its results in ``folder``."""

    results: Results
    last: Results
    folder: Path


def _standing(
    folders: Sequence[Path],
    part: Part,
    run_id: str,
    inputs: Mapping[str, int],
    warehouse: WarehouseResource,
    settings: Settings,
) -> _Earlier | None:
    """What earlier attempts of this step have built, if it still stands; None when all of it must be built (again).

    It does not stand when anything else has been built since, by whomever, when dbt ended without results, or when the
    raw tables have changed: half of the marts would be made of other rows than the other half.
    """
    shown = showable(settings.sources())
    found = {
        results.invocation_id: (results, folder) for folder in folders if (results := read_results(folder, part, shown))
    }
    if not found:
        return None
    with warehouse.open("builder", run_id=run_id, asset="dbt") as connection:
        standing = [build for build in Builds(connection, settings.schema_prefix).all() if build.may_change(part)]
        builds = {build.invocation_id: build for build in standing}
        begun = build = standing[-1]
        if build.invocation_id not in found or build.finished_at is None or build.inputs != inputs:
            return None
        last, folder = found[build.invocation_id]
        together = last
        while begun.retry_of is not None:
            begun = builds[begun.retry_of]
            together = together.after(found[begun.invocation_id][0])
        return None if connection.has_removed_since(begun.started_at) else _Earlier(together, last, folder)


def _is_transient(results: Results | None, failure: DagsterDbtCliRuntimeError) -> bool:
    """Whether everything that failed by itself may pass: what is broken for good makes another attempt useless."""
    causes = results.causes if results else []
    if any(each.status == "fail" for each in causes):  # a test that found something
        return False
    texts = [each.message or "" for each in causes] or [str(failure)]
    return all(kind_of_text(text) is Failure.TRANSIENT for text in texts)


def _error(results: Results | None, failure: DagsterDbtCliRuntimeError, folder: Path, is_transient: bool) -> Exception:
    """The step's error. dbt's own, all that it has printed, would show values that may not be shown."""
    said = str(failure)
    if results:
        said = f"{len(results.failed)} failed or were skipped, first {results.problem}; all of it: {folder}/dbt.log"
    return TransientError(said) if is_transient else dg.Failure(said)


def _invoke(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    config: DbtConfig,
    settings: Settings,
    target_path: Path,
    earlier: _Earlier | None,
) -> tuple[list[Any], DagsterDbtCliRuntimeError | None]:
    """Call dbt, for all that the step is to build or for what earlier attempts have left.

    Returns what dagster-dbt makes of its results, and the error if there was one.
    """
    # Unit tests judge the code, on rows of their own; the project's tests run them. In a run they would cost a quarter
    # of dbt's time (8 of 32 s in two threads), and credits on Snowflake.
    arguments = ["build", "--exclude-resource-type", "unit_test", *(["--full-refresh"] if config.full_refresh else [])]
    events: list[Any] = []
    with exported(settings, context.run.run_id):
        if earlier is None:
            invocation = dbt.cli(arguments, context=context, target_path=target_path)
        else:
            rest = earlier.last.to_run_again
            context.log.info(f"{len(rest)} nodes and tests are left of the attempt before: {', '.join(sorted(rest))}")
            # With a context dagster-dbt would add the selection of the whole step.
            manifest, translator, _ = get_manifest_and_translator_from_dbt_assets([context.assets_def])
            invocation = dbt.cli(
                [*arguments, *selection_of_rest(earlier.last, earlier.folder)],
                manifest=manifest,
                dagster_dbt_translator=translator,
                target_path=target_path,
            )
            invocation.context = context
    try:
        for event in invocation.stream():
            events.append(event)
            if _is_built(event):
                context.log.info(f"built {_asset_key(event, context).to_user_string()}")
    except DagsterDbtCliRuntimeError as error:
        return events, error
    return events, None


@dataclass(frozen=True)
class _Seen:
    """What stands in the warehouse after a build: tables by (schema, name), and what tests have found, by test."""

    relations: Mapping[tuple[str, str], Relation]
    findings: Mapping[str, Rows]


def _record(
    results: Results | None,
    earlier: Results | None,
    part: Part,
    run_id: str,
    inputs: Mapping[str, int],
    relations: Collection[tuple[str, str]],
    connection: Warehouse,
    settings: Settings,
) -> _Seen:
    """Look at what was built and end the build's marker; without results (dbt was killed) it stays open.

    dagster-dbt's fetch_row_counts keeps DuckDB's file open until the process ends; here it is read once, when dbt has
    let go of it, and given back.
    """
    seen = connection.describe(list(relations))
    if results is None:
        return _Seen(seen, {})
    together = results.after(earlier) if earlier else results
    shown = showable(settings.sources())
    findings = {finding.test_id: _sample(finding, shown, connection) for finding in results.findings}
    build = Build(
        invocation_id=results.invocation_id,
        run_id=run_id,
        schema_prefix=settings.schema_prefix,
        started_at=results.started_at,
        part=part,
        finished_at=datetime.now(UTC),
        is_whole=not together.missing,
        has_passed=not together.failed,
        node_count=len(together.nodes),
        test_count=len(together.tests),
        failed_count=len(together.failed),
        problem=together.problem,
        inputs=inputs,
        retry_of=earlier.invocation_id if earlier else None,
    )
    counted = [
        replace(node, row_count=found.row_count)
        if (found := seen.get((settings.schema_prefix + node.layer, node.name)))
        else node
        for node in results.nodes
    ]
    Builds(connection, settings.schema_prefix).finish(build, counted, results.tests, findings)
    return _Seen(seen, findings)


def _sample(finding: Finding, shown: Showable, connection: Warehouse) -> Rows:
    """Some of the rows that a test has found, without what the contracts do not let be shown.

    dbt's own tests rename the column that they look at.
    """
    names, rows = connection.query(f"select * from (\n{finding.query}\n) as found limit {_ROWS_SHOWN}")  # noqa: S608
    open_names = {name for name in names if shown.column(finding.column if finding.column else name)}
    return [
        {name: _short(value) if name in open_names else "(not shown)" for name, value in zip(names, row, strict=True)}
        for row in rows
    ]


def _short(value: object) -> str | int | float | None:
    return value if value is None or isinstance(value, int | float) else str(value)[:_CHARACTERS_SHOWN]


# ---------------------------------------------------------------- what Dagster is told


def _is_built(event: Any) -> TypeGuard[dg.Output[Any] | dg.AssetMaterialization]:
    return isinstance(event, dg.Output | dg.AssetMaterialization)


def _asset_key(event: dg.Output[Any] | dg.AssetMaterialization, context: dg.AssetExecutionContext) -> dg.AssetKey:
    return (
        event.asset_key
        if isinstance(event, dg.AssetMaterialization)
        else context.asset_key_for_output(event.output_name)
    )


def _relation(key: dg.AssetKey, settings: Settings) -> tuple[str, str]:
    """(schema, name) of a node: its asset key, because each layer is a schema, with a branch's prefix."""
    return settings.schema_prefix + key.path[0], key.path[-1]


def _with_figures(event: Any, context: dg.AssetExecutionContext, seen: _Seen, settings: Settings) -> Any:
    """The event; of a built node with its rows and columns, of a test with what it has found."""
    if _is_built(event):
        relation = seen.relations.get(_relation(_asset_key(event, context), settings))
        return event.with_metadata({**event.metadata, **_figures(relation)}) if relation else event
    found = seen.findings.get(_node_of(event)) if isinstance(event, dg.AssetCheckResult) else None
    return event.with_metadata({**event.metadata, "failing_rows": _table(found)}) if found else event


def _node_of(event: Any) -> str:
    """dbt's id of the node or test that an event is about; dagster-dbt gives it with each."""
    unique_id = (event.metadata or {}).get("unique_id")
    return str(unique_id.value) if isinstance(unique_id, dg.MetadataValue) else str(unique_id)


def _figures(relation: Relation) -> Mapping[str, Any]:
    return {
        "dagster/row_count": relation.row_count,
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(name, kind) for name, kind in relation.columns.items()]
        ),
    }


def _table(rows: Rows) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord({name: str(value) for name, value in row.items()}) for row in rows])
