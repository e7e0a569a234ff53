"""One dbt invocation inside a Dagster step: reuse what earlier attempts built, stream results, record the build."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtCliRuntimeError, DagsterDbtTranslator, DbtCliInvocation, DbtCliResource

from netflix_assets.contracts.model import all_datasets
from netflix_assets.contracts.visibility import showable
from netflix_assets.defs.dagster_internals import as_dbt_event
from netflix_assets.defs.dbt.findings import FoundRows, describe, sample, with_rows_named
from netflix_assets.defs.dbt.fingerprints import digest, fingerprints
from netflix_assets.defs.dbt.project import build_context, dbt_project, exported, one_build_at_a_time, project_variables
from netflix_assets.defs.dbt.results import Manifest, Results, layer_of, read_results, retry_selection
from netflix_assets.defs.dbt.reuse import Work, new_states, selection_of, wanted_by, work_of
from netflix_assets.defs.dbt.subset import Relation, postponed_tests, schemas_of
from netflix_assets.defs.resources import WarehouseResource
from netflix_assets.defs.retry import TransientError, can_retry
from netflix_assets.settings import Settings
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds, CheckRun, Part
from netflix_assets.warehouse.node_states import NodeState, NodeStates, fingerprints_of_loads, fingerprints_of_ops
from netflix_assets.warehouse.relations import raw_columns
from netflix_assets.warehouse.transient import Failure, kind_of_text

_ROW_COUNT = "netflix_row_count "  # dbt/macros/row_count.sql logs it once per relation


class DbtConfig(dg.Config):
    """Run configuration of a dbt step."""

    full_refresh: bool = False


@dataclass(frozen=True)
class Reusable:
    """What earlier attempts of this step built. The last of them left its results in ``folder``."""

    results: Results
    last: Results
    folder: Path


@dataclass
class DbtBuild:
    """One attempt to build a part of the project."""

    part: Part
    context: dg.AssetExecutionContext
    dbt: DbtCliResource
    warehouse: WarehouseResource
    config: DbtConfig
    settings: Settings
    manifest: Manifest
    translator: DagsterDbtTranslator
    row_counts: dict[str, int] = field(default_factory=dict)  # dbt's unique id -> rows

    def run(self) -> Iterator[Any]:
        """Build, and yield each node and test to Dagster when it is done.

        Failed tests are yielded at the end, with a sample of what they found; those that the next attempt runs again
        are left to it, so that Dagster receives each result once.

        Raises: TransientError when everything that failed may succeed on a retry, dg.Failure otherwise.
        """
        run_id = self.context.run.run_id
        folders = self._target_folders(run_id)
        failed_checks: list[Any] = []
        failure = None
        with one_build_at_a_time(self.settings):
            inputs = prepare_tables(self.settings, self.warehouse, run_id)
            reusable = find_reusable_results(folders[:-1], self.part, run_id, inputs, self.warehouse, self.settings)
            work = self._plan(reusable)
            if reusable is None:  # the first attempt has reported them otherwise
                yield from self._reused_events(work)
            if not work.to_build and not self._is_explicit:
                self.context.log.info("nothing to build: code and loads are those of the last builds")
                return
            try:
                for event in self._stream(folders[-1], reusable, work):
                    if isinstance(event, dg.AssetCheckResult) and not event.passed:
                        failed_checks.append(event)
                    else:
                        yield event
            except DagsterDbtCliRuntimeError as error:
                failure = error
            results = read_results(folders[-1], self.part, showable(self.settings.sources()))
            found = self._find_rows(results) if results else {}
            if results:
                results = with_rows_named(replace(results, missing=results.missing - work.reused.keys()), found)
                self._record(results, reusable, inputs, found, work)
        is_transient = failure is not None and _is_transient(results, failure)
        retried = results.to_retry if results and is_transient and can_retry(self.context, self.settings) else ()
        for check in failed_checks:
            if _node_of(check) not in retried:
                yield describe(check, found.get(_node_of(check)), self.settings)
        if failure is not None:
            raise self._step_error(results, failure, found, folders[-1], is_transient) from None

    def _target_folders(self, run_id: str) -> list[Path]:
        """dbt's target folder of each attempt, this one last."""
        runs, attempts = self.settings.dbt_runs_folder / run_id, range(self.context.retry_number + 1)
        return [runs / (f"{self.part}-retry-{number}" if number else self.part) for number in attempts]

    def _plan(self, reusable: Reusable | None) -> Work:
        """Decide what to build, and forget the states of that: a build that is killed leaves none that is wrong."""
        with self.warehouse.open("transformer", run_id=self.context.run.run_id, asset="dbt") as connection:
            existing = connection.columns(schemas_of(self.manifest))
            sources = source_fingerprints(self.manifest, self.settings, connection)
            found = fingerprints(self.manifest, sources, project_variables(self.settings), build_context(self.settings))
            states = NodeStates(connection, self.settings.schema_prefix)
            selected = self._selected_nodes()
            wanted = wanted_by(selected, self.part, self.manifest) - self._postponed(selected, existing).keys()
            usable = {} if self._is_explicit and reusable is None else states.all()
            work = work_of(wanted, usable, found, existing, self.manifest)
            states.forget(work.to_build)
        return work

    @property
    def _is_explicit(self) -> bool:
        """Whether somebody has named what to build: it is built, changed or not."""
        run = self.context.run
        is_named = run.asset_selection is not None or run.asset_check_selection is not None
        return self.config.full_refresh or (self.context.is_subset and is_named)

    def _selected_nodes(self) -> frozenset[str] | None:
        """dbt's ids of the selected nodes; None for all of the part."""
        if not self.context.is_subset:
            return None
        return frozenset(
            unique_id
            for unique_id, node in self.manifest["nodes"].items()
            if dg.AssetKey([layer_of(node), node["name"]]) in self.context.selected_asset_keys
        )

    def _postponed(self, selected: frozenset[str] | None, existing: Collection[Relation]) -> Mapping[str, Relation]:
        """Tests that wait because they also read a table that is neither built yet nor selected."""
        postponed = {} if selected is None else postponed_tests(selected, existing, self.manifest)
        if postponed:
            missing = ", ".join(sorted({".".join(relation) for relation in postponed.values()}))
            self.context.log.warning(
                f"not running {len(postponed)} tests that also read tables not built yet: {missing}"
            )
        return postponed

    def _reused_events(self, work: Work) -> Iterator[Any]:
        """Report the nodes and tests that are left alone, so that nothing downstream waits for them."""
        if work.reused:
            self.context.log.info(f"{len(work.reused)} nodes and tests are as their last builds left them")
        for state in work.reused.values():
            for event in as_dbt_event(state).to_default_asset_events(
                manifest=self.manifest, dagster_dbt_translator=self.translator, context=self.context
            ):
                yield _with_metadata(event, _origin(state))

    def _stream(self, target_path: Path, reusable: Reusable | None, work: Work) -> Iterator[Any]:
        """Call dbt and convert its log to Dagster events as they arrive, with row counts on materializations."""
        with exported(self.settings, self.context.run.run_id):
            invocation = self._invoke(target_path, reusable, work)
        for message in invocation.stream_raw_events():
            self._note_row_count(message.raw_event)
            for event in message.to_default_asset_events(
                manifest=invocation.manifest,
                dagster_dbt_translator=self.translator,
                context=self.context,
                target_path=target_path,
            ):
                yield self._with_row_count(event)

    def _invoke(self, target_path: Path, reusable: Reusable | None, work: Work) -> DbtCliInvocation:
        """Start dbt on what is selected, or on what is left to do of it."""
        # Unit tests judge code against their own rows; the project's tests run them. Here they would take a quarter of
        # dbt's time (8 of 32 s in two threads), and credits on Snowflake.
        full_refresh = ["--full-refresh"] if self.config.full_refresh else []
        arguments = ["build", "--exclude-resource-type", "unit_test", *full_refresh]
        if reusable is None and not work.reused:
            return self.dbt.cli([*arguments, *self._exclusion(work)], context=self.context, target_path=target_path)
        if reusable is not None:
            selection = retry_selection(reusable.last, reusable.folder)
            self.context.log.info(
                f"retrying {len(work.to_build)} nodes and tests that failed or were skipped: "
                f"{', '.join(sorted(work.to_build))}"
            )
        else:
            manifest = dbt_project(self.settings).manifest_path
            selection = selection_of(work.to_build, manifest, target_path.with_name(f"{target_path.name}-work"))
        # With a context dagster-dbt would add the selection of the whole step.
        invocation = self.dbt.cli(
            [*arguments, *selection],
            manifest=self.manifest,
            dagster_dbt_translator=self.translator,
            target_path=target_path,
        )
        invocation.context = self.context
        return invocation

    def _exclusion(self, work: Work) -> list[str]:
        """dbt's arguments that leave out the postponed tests of a selection."""
        selected = self._selected_nodes()
        if selected is None:
            return []
        names = sorted(
            self.manifest["nodes"][each]["name"]
            for each in wanted_by(selected, self.part, self.manifest) - work.to_build
        )
        return ["--exclude", " ".join(names)] if names else []

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
        with self.warehouse.open("transformer", run_id=self.context.run.run_id, asset="dbt") as connection:
            return {finding.test_id: sample(finding, shown, connection) for finding in results.findings}

    def _record(
        self,
        results: Results,
        reusable: Reusable | None,
        inputs: Mapping[str, int],
        found: Mapping[str, FoundRows],
        work: Work,
    ) -> None:
        """Close the build's marker and keep its results. When dbt was killed there are none and it stays open."""
        earlier = reusable.results if reusable else None
        together = results.after(earlier) if earlier else results
        run_id = self.context.run.run_id
        build = Build(
            invocation_id=results.invocation_id,
            run_id=run_id,
            schema_prefix=self.settings.schema_prefix,
            started_at=results.started_at,
            part=self.part,
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
        nodes = [replace(node, row_count=self.row_counts.get(node.node_id)) for node in results.nodes]
        failing_rows = {test_id: each.rows for test_id, each in found.items()}
        with self.warehouse.open("transformer", run_id=run_id, asset="dbt") as connection:
            Builds(connection, self.settings.schema_prefix).finish(build, nodes, results.tests, failing_rows)
            states = NodeStates(connection, self.settings.schema_prefix)
            earned = new_states(results, self.row_counts, states.all(), work.fingerprints, run_id, self.manifest)
            states.record(earned)

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


def source_fingerprints(manifest: Manifest, settings: Settings, connection: Warehouse) -> dict[str, str]:
    """dbt's id of a source -> fingerprint of its rows, from the ledger."""
    loads = fingerprints_of_loads(connection)
    ops = fingerprints_of_ops(connection, settings.schema_prefix)
    if settings.names is not None:  # the account's own history, which arrives whether anything was loaded or not
        ops["cost_of_assets"] = f"{datetime.now(UTC):%Y-%m-%d}"
    tables = {
        dataset.id: digest(loads.get(dataset.id, ""), json.dumps(raw_columns(dataset)))
        for dataset in all_datasets(settings.sources())
    }
    return {
        unique_id: ops.get(source["name"], "")
        if source["schema"] == "ops"
        else tables.get(f"{source['source_name']}/{source['name']}", "")
        for unique_id, source in manifest["sources"].items()
    }


def _origin(state: NodeState) -> dict[str, Any]:
    """Where a reused result comes from, as metadata."""
    return {
        "reused": True,
        "built_by_run": state.run_id,
        "built_at": dg.MetadataValue.timestamp(state.built_at),
        **({} if state.row_count is None else {"dagster/row_count": state.row_count}),
    }


def _with_metadata(event: Any, metadata: Mapping[str, Any]) -> Any:
    if isinstance(event, dg.AssetCheckResult):
        return dg.AssetCheckResult(
            passed=event.passed,
            asset_key=event.asset_key,
            check_name=event.check_name,
            severity=event.severity,
            metadata={**event.metadata, **metadata},
        )
    return event.with_metadata({**event.metadata, **metadata})


def prepare_tables(settings: Settings, warehouse: WarehouseResource, run_id: str) -> dict[str, int]:
    """Create every table that dbt reads, also for datasets never loaded; waits while another process holds the file.

    Returns dataset id -> its last load, for datasets that have one.
    """
    with warehouse.open(run_id=run_id, asset="dbt") as connection:
        for dataset in all_datasets(settings.sources()):
            connection.prepare(dataset)
        inputs = connection.last_loads()
    with warehouse.open("transformer", run_id=run_id, asset="dbt") as connection:
        Builds(connection).prepare()
    return inputs


def find_reusable_results(
    folders: Sequence[Path],
    part: Part,
    run_id: str,
    inputs: Mapping[str, int],
    warehouse: WarehouseResource,
    settings: Settings,
) -> Reusable | None:
    """The results of earlier attempts of this step that still describe the tables; None to build everything.

    They are not reusable when anything else was built since, when dbt ended without results, or when the raw tables
    changed: half of the marts would then come from other rows than the other half.
    """
    shown = showable(settings.sources())
    found = {
        results.invocation_id: (results, folder) for folder in folders if (results := read_results(folder, part, shown))
    }
    if not found:
        return None
    with warehouse.open("transformer", run_id=run_id, asset="dbt") as connection:
        history = [build for build in Builds(connection, settings.schema_prefix).all() if build.may_change(part)]
        builds = {build.invocation_id: build for build in history}
        first = build = history[-1]
        if build.invocation_id not in found or build.finished_at is None or build.inputs != inputs:
            return None
        last, folder = found[build.invocation_id]
        together = last
        while first.retry_of is not None:
            first = builds[first.retry_of]
            together = together.after(found[first.invocation_id][0])
        return None if connection.has_removed_since(first.started_at) else Reusable(together, last, folder)


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
