"""One dbt invocation inside a Dagster step: build what differs, reuse the rest, stream results, record the build."""

import json
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtCliRuntimeError, DagsterDbtTranslator, DbtCliInvocation, DbtCliResource

from netflix_assets.contracts.model import all_datasets
from netflix_assets.contracts.visibility import counted, showable
from netflix_assets.defs.dbt.dagster_dbt_internals import as_dbt_event
from netflix_assets.defs.dbt.findings import FoundRows, describe, sample, with_rows_named
from netflix_assets.defs.dbt.plan import Planner, Task
from netflix_assets.defs.dbt.project import dbt_project, exported, one_build_at_a_time
from netflix_assets.defs.dbt.results import UNIQUE_ID, Manifest, Results, layer_of, nodes_of, read_results
from netflix_assets.defs.dbt.reuse import Selection, Work, selection_of
from netflix_assets.defs.resources import WarehouseResource
from netflix_assets.defs.retry import TransientError, can_retry
from netflix_assets.settings import Settings
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds, CheckRun, NotServableError
from netflix_assets.warehouse.node_states import NodeState
from netflix_assets.warehouse.transient import Failure, kind_of_text

_ROW_COUNT = "netflix_row_count "  # dbt/macros/row_count.sql logs it once per relation


class DbtConfig(dg.Config):
    """Run configuration of a dbt step."""

    full_refresh: bool = False


@dataclass
class DbtBuild:
    """One attempt to build the project."""

    context: dg.AssetExecutionContext
    dbt: DbtCliResource
    warehouse: WarehouseResource
    config: DbtConfig
    settings: Settings
    manifest: Manifest
    translator: DagsterDbtTranslator
    row_counts: dict[str, int] = field(default_factory=dict)  # dbt's unique id -> rows

    def run(self) -> Iterator[Any]:
        """Build what has to be built, and yield each node and test to Dagster when it is done.

        Failed tests are yielded at the end, with a sample of what they found; those that the next attempt runs again
        are left to it, so that Dagster receives each result once.

        Raises: TransientError when everything that failed may succeed on a retry, dg.Failure otherwise.
        """
        folder, first_folder = self._target_folder(self.context.retry_number), self._target_folder(0)
        failed_checks: list[Any] = []
        failure = None
        with one_build_at_a_time(self.settings):
            inputs = prepare_tables(self.settings, self.warehouse, self.context.run.run_id)
            with self._open() as connection:
                work = self._planner(connection).plan()
            self._name_postponed(work)
            if not first_folder.exists():  # the first attempt has reported them otherwise
                yield from self._reused_events(work)
            folder.mkdir(parents=True, exist_ok=True)  # a run that Dagster resumes has it already
            if not work.to_build:
                self._record_nothing_built(work, inputs)
                return
            try:
                for event in self._stream(folder, work):
                    if isinstance(event, dg.AssetCheckResult) and not event.passed:
                        failed_checks.append(event)
                    else:
                        yield event
            except DagsterDbtCliRuntimeError as error:
                failure = error
            results = read_results(folder, showable(self.settings.sources()))
            found = self._find_rows(results) if results else {}
            if results:
                results = with_rows_named(results, found)
                self._record(results, inputs, found, work, folder)
        is_transient = failure is not None and _is_transient(results, failure)
        retried = results.to_retry if results and is_transient and can_retry(self.context, self.settings) else ()
        for check in failed_checks:
            if _node_of(check) not in retried:
                yield describe(check, found.get(_node_of(check)), self.settings)
        if failure is not None:
            raise self._step_error(results, failure, found, folder, is_transient) from None

    def _target_folder(self, attempt: int) -> Path:
        """dbt's target folder of an attempt."""
        runs = self.settings.dbt_runs_folder / self.context.run.run_id
        return runs / (f"models-retry-{attempt}" if attempt else "models")

    def _open(self) -> AbstractContextManager[Warehouse]:
        return self.warehouse.open("transformer", run_id=self.context.run.run_id, asset="dbt")

    def _planner(self, connection: Warehouse) -> Planner:
        return Planner(self._task(), self.manifest, self.settings, connection, self._is_over)

    def _task(self) -> Task:
        run = self.context.run
        is_named = run.asset_selection is not None or run.asset_check_selection is not None
        return Task(
            run_id=run.run_id,
            selection=selection_of_step(self.context, self.manifest),
            is_explicit=self.config.full_refresh or (self.context.is_subset and is_named),
            is_retry=self.context.retry_number > 0,
        )

    def _is_over(self, run_id: str) -> bool:
        run = self.context.instance.get_run_by_id(run_id) if run_id else None
        return run is not None and run.is_finished

    def _name_postponed(self, work: Work) -> None:
        if work.postponed:
            missing = ", ".join(sorted({".".join(relation) for relation in work.postponed.values()}))
            count = len(work.postponed)
            self.context.log.warning(
                f"not running {count} tests that also read tables not built from these files yet: {missing}"
            )

    def _reused_events(self, work: Work) -> Iterator[Any]:
        """Report the nodes and tests that are reused, so that nothing downstream waits for them."""
        if work.reused:
            self.context.log.info(
                f"{len(work.reused)} nodes and tests are left as their last builds made them: same code, same loads"
            )
        for state in work.reused.values():
            for event in as_dbt_event(state).to_default_asset_events(
                manifest=self.manifest, dagster_dbt_translator=self.translator, context=self.context
            ):
                yield reused(event, state)

    def _stream(self, target_path: Path, work: Work) -> Iterator[Any]:
        """Call dbt and convert its log to Dagster events as they arrive, with row counts on materializations."""
        if self.context.retry_number:
            self.context.log.info(
                f"retrying {len(work.to_build)} nodes and tests that failed or were skipped: "
                f"{', '.join(sorted(work.to_build))}"
            )
        with exported(
            self.settings,
            self.context.run.run_id,
            rebuilt=(self.manifest["nodes"][each]["name"] for each in work.from_scratch),
        ):
            invocation = self._invoke(target_path, work)
        for message in invocation.stream_raw_events():
            self._note_row_count(message.raw_event)
            for event in message.to_default_asset_events(
                manifest=invocation.manifest,
                dagster_dbt_translator=self.translator,
                context=self.context,
                target_path=target_path,
            ):
                yield self._with_row_count(event)

    def _invoke(self, target_path: Path, work: Work) -> DbtCliInvocation:
        """Start dbt on what there is to build."""
        manifest = dbt_project(self.settings).manifest_path
        # Unit tests judge code against their own rows; the project's tests run them. Here they would take a quarter of
        # dbt's time (8 of 32 s in two threads), and credits on Snowflake.
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        if self.config.full_refresh:
            arguments.append("--full-refresh")
        # With a context dagster-dbt would add the selection of the whole step.
        invocation = self.dbt.cli(
            [*arguments, *selection_of(work.to_build, manifest, target_path.with_name(f"{target_path.name}-work"))],
            manifest=self.manifest,
            dagster_dbt_translator=self.translator,
            target_path=target_path,
        )
        invocation.context = self.context
        return invocation

    def _note_row_count(self, event: Mapping[str, Any]) -> None:
        text = str(event["data"].get("msg") or "")
        if text.startswith(_ROW_COUNT):
            self.row_counts[event["data"]["node_info"]["unique_id"]] = int(text.removeprefix(_ROW_COUNT))

    def _with_row_count(self, event: Any) -> Any:
        if not isinstance(event, dg.Output | dg.AssetMaterialization):
            return event
        row_count = self.row_counts.get(_node_of(event))
        return event if row_count is None else event.with_metadata({**event.metadata, "dagster/row_count": row_count})

    def _find_rows(self, results: Results) -> dict[str, FoundRows]:
        """A sample of what each failed test found, by test; asks the warehouse nothing if none did."""
        if not results.findings:
            return {}
        shown = showable(self.settings.sources())
        with self._open() as connection:
            return {finding.test_id: sample(finding, shown, connection) for finding in results.findings}

    def _record(
        self, results: Results, inputs: Mapping[str, int], found: Mapping[str, FoundRows], work: Work, folder: Path
    ) -> None:
        """Close the build's marker and keep its results. When dbt was killed there are none and it stays open."""
        nodes = [replace(node, row_count=self.row_counts.get(node.node_id)) for node in results.nodes]
        failing_rows = {test_id: each.rows for test_id, each in found.items()}
        with self._open() as connection:
            builds = Builds(connection, self.settings.schema_prefix)
            build = replace(
                self._build(work, inputs, results.missing),
                invocation_id=results.invocation_id,
                started_at=results.started_at,
                has_passed=not results.failed,
                failed_count=len(results.failed),
                problem=results.problem,
                retry_of=builds.last_attempt(self.context.run.run_id, results.invocation_id),
            )
            builds.finish(build, nodes, results.tests, failing_rows)
            built = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            self._planner(connection).record(results, self.row_counts, work, built)

    def _record_nothing_built(self, work: Work, inputs: Mapping[str, int]) -> None:
        """Record that every node matches its code and loads: at the last build, or as a new build.

        The last builds may be of a part of the graph, or not have ended, though what they left is right.
        """
        self.context.log.info("nothing to build")
        with self._open() as connection:
            builds = Builds(connection, self.settings.schema_prefix)
            try:
                builds.servable()
            except NotServableError:
                builds.finish(self._build(work, inputs, nodes_of(self.manifest)), [], [], {})
            else:
                builds.confirm()

    def _build(self, work: Work, inputs: Mapping[str, int], missing: Collection[str]) -> Build:
        """The marker of a build that has passed. ``missing``: nodes and tests that dbt has no result for."""
        now = datetime.now(UTC)
        wanted = [self.manifest["nodes"][each]["resource_type"] for each in work.fingerprints]
        return Build(
            invocation_id=str(uuid.uuid4()),
            run_id=self.context.run.run_id,
            schema_prefix=self.settings.schema_prefix,
            started_at=now,
            finished_at=now,
            is_whole=not set(missing) - work.reused.keys(),
            has_passed=True,
            node_count=len(wanted) - wanted.count("test"),
            test_count=wanted.count("test"),
            reused_count=len(work.reused),
            inputs=inputs,
        )

    def _step_error(
        self,
        results: Results | None,
        failure: DagsterDbtCliRuntimeError,
        found: Mapping[str, FoundRows],
        folder: Path,
        is_transient: bool,
    ) -> Exception:
        """The step's error. dbt's own contains everything it printed, hidden values too."""
        text = str(failure)
        if results:
            text = f"{len(results.failed)} failed or were skipped. First: {results.problem}. Log: {folder}/dbt.log"
            first = results.failed[0] if results.failed else None
            if isinstance(first, CheckRun) and first.test_id in found:
                text += f". List the rows: {found[first.test_id].command(self.settings)}"
        return TransientError(text) if is_transient else dg.Failure(text)


def selection_of_step(context: dg.AssetExecutionContext, manifest: Manifest) -> Selection | None:
    """What of its nodes and tests a step was asked for; None for all."""
    if not context.is_subset:
        return None
    specs = context.assets_def.node_check_specs_by_output_name.values()  # of every check, selected or not
    checks = {spec.key: str(spec.metadata[UNIQUE_ID]) for spec in specs}
    selected = context.selected_asset_check_keys
    return Selection(
        nodes=frozenset(
            unique_id
            for unique_id, node in manifest["nodes"].items()
            if dg.AssetKey([layer_of(node), node["name"]]) in context.selected_asset_keys
        ),
        tests=frozenset(checks[key] for key in selected),
        has_every_test=all(key in selected for key in checks if key.asset_key in context.selected_asset_keys),
    )


def reused(event: Any, state: NodeState) -> Any:
    """An event about a node or test that was reused, with the build that its result is from as metadata."""
    metadata = {
        **event.metadata,
        "reused": True,
        "built_by": dg.MetadataValue.dagster_run(state.run_id),
        "built_at": dg.MetadataValue.timestamp(state.built_at),
        **({} if state.row_count is None else {"dagster/row_count": state.row_count}),
    }
    if isinstance(event, dg.AssetCheckResult):
        return dg.AssetCheckResult(
            passed=event.passed,
            asset_key=event.asset_key,
            check_name=event.check_name,
            severity=event.severity,
            description=None
            if event.passed
            else f"found {counted(state.failures or 0, 'row')}, as in the build before",
            metadata=metadata,
        )
    return event.with_metadata(metadata)


def prepare_tables(settings: Settings, warehouse: WarehouseResource, run_id: str) -> dict[str, int]:
    """Create every table that dbt reads, also for datasets never loaded; waits while another process holds the file.

    Returns dataset id -> its last load, for datasets that have one.
    """
    with warehouse.open(run_id=run_id, asset="dbt") as connection:
        connection.prepare(*all_datasets(settings.sources()))
        inputs = connection.last_loads()
    with warehouse.open("transformer", run_id=run_id, asset="dbt") as connection:
        Builds(connection).prepare()
    return inputs


def _is_transient(results: Results | None, failure: DagsterDbtCliRuntimeError) -> bool:
    """Whether every cause is transient: one permanent failure makes another attempt useless."""
    causes = results.causes if results else []
    if any(each.status == "fail" for each in causes):  # a test that found rows
        return False
    texts = [each.message or "" for each in causes] or [str(failure)]
    return all(kind_of_text(text) is Failure.TRANSIENT for text in texts)


def _node_of(event: Any) -> str:
    """dbt's unique id of the node or test that an event is about."""
    unique_id = (event.metadata or {}).get("unique_id")
    return str(unique_id.value) if isinstance(unique_id, dg.MetadataValue) else str(unique_id)
