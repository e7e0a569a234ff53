"""Plan a dbt step: compare code and loads with what the tables were last built from."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.dbt.fingerprints import Fingerprint, Surroundings, digest, fingerprints, is_same_code
from netflix_assets.defs.dbt.project import build_context, project_variables
from netflix_assets.defs.dbt.results import Manifest, Results, layer_of
from netflix_assets.defs.dbt.reuse import Selection, Work, earned_states, wanted_by, work_of
from netflix_assets.defs.dbt.subset import Relation, postponed_tests, schemas_of
from netflix_assets.settings import Settings
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds, Part
from netflix_assets.warehouse.node_states import NodeStates, fingerprints_of_loads, fingerprints_of_ops
from netflix_assets.warehouse.relations import raw_columns

_UNIQUE_ID = "dagster_dbt/unique_id"  # dagster-dbt's metadata of assets and checks

# A build that another machine began this long ago and has not ended was killed. Runs are stopped after six hours
# (dagster.yaml), and dbt with them.
_LONGEST_BUILD = timedelta(hours=6)


@dataclass(frozen=True)
class Planner:
    """Plans one attempt of a step, and records what its build has earned, over an open connection.

    ``folder``: the attempt's target folder, in which dbt leaves the manifest of what it has built.
    """

    part: Part
    folder: Path
    context: dg.AssetExecutionContext
    is_full_refresh: bool
    settings: Settings
    warehouse: Warehouse

    def plan(self, manifest: Manifest) -> Work:
        """Decide what to build, and end the states of that: a build that is killed leaves none that is wrong."""
        states = self._states.all()
        existing = self.warehouse.columns(schemas_of(manifest))
        selection = selection_of_step(self.context, manifest)
        wanted = wanted_by(selection, self.part, manifest) - self._postponed(selection, existing, manifest).keys()
        usable = {each for each, state in states.items() if self._may_reuse(state.run_id)}
        work = work_of(wanted, states, usable, self._fingerprints(manifest, wanted), existing, manifest)
        known = work.to_build & states.keys()
        changed = {each for each in known if states[each].code != work.fingerprints[each].code}
        self._states.forget(changed)
        self._states.end(known - changed)
        return work

    def record(self, results: Results, row_counts: Mapping[str, int], work: Work, manifest: Manifest) -> None:
        """Keep the states that a build has earned: none of tables whose loads have changed since the plan.

        ``manifest``: that of the plan. dbt reads its files when it starts: if they have changed since the manifest was
        parsed, tables are of unknown code. If another machine has built meanwhile, they are of either build.
        """
        built = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        if self._has_overlapped(results) or not is_same_code(manifest, built):
            self._states.forget(work.fingerprints.keys())
            return
        now = self._fingerprints(manifest, work.fingerprints.keys())
        earned = earned_states(results, row_counts, work.fingerprints, self.context.run.run_id)
        self._states.record(each for each in earned if now[each.node_id] == work.fingerprints[each.node_id])

    def _may_reuse(self, run_id: str) -> bool:
        """Whether results of a run may be used again. What somebody has named is built once in each run."""
        run = self.context.run
        is_named = run.asset_selection is not None or run.asset_check_selection is not None
        is_explicit = self.is_full_refresh or (self.context.is_subset and is_named)
        return not is_explicit or (run_id == run.run_id and self.context.retry_number > 0)

    def _fingerprints(self, manifest: Manifest, wanted: Collection[str]) -> dict[str, Fingerprint]:
        around = Surroundings(
            source_fingerprints(manifest, self.settings, self.warehouse),
            project_variables(self.settings),
            build_context(self.settings),
        )
        others = {each: Fingerprint(state.code, state.content) for each, state in self._states.all().items()}
        return fingerprints(manifest, around, wanted, others, f"unknown in run {self.context.run.run_id}")

    def _postponed(
        self, selection: Selection | None, existing: Collection[Relation], manifest: Manifest
    ) -> Mapping[str, Relation]:
        """Tests that wait because they also read a table that is neither built yet nor selected."""
        postponed = {} if selection is None else postponed_tests(selection.nodes, existing, manifest)
        if postponed:
            missing = ", ".join(sorted({".".join(relation) for relation in postponed.values()}))
            self.context.log.warning(
                f"not running {len(postponed)} tests that also read tables not built yet: {missing}"
            )
        return postponed

    def _has_overlapped(self, results: Results) -> bool:
        builds = Builds(self.warehouse, self.settings.schema_prefix).all()
        return any(
            build.run_id != self.context.run.run_id and self._ended_at(build) > results.started_at for build in builds
        )

    def _ended_at(self, build: Build) -> datetime:
        """When a build ended, at the latest."""
        if build.finished_at is not None:
            return build.finished_at
        run = self.context.instance.get_run_by_id(build.run_id) if build.run_id else None
        is_over = run is not None and run.is_finished
        return build.started_at if is_over or self._has_lock else build.started_at + _LONGEST_BUILD

    @property
    def _has_lock(self) -> bool:
        """Whether no other build can run: DuckDB's file has one writer, and this step has its lock."""
        return self.settings.names is None

    @property
    def _states(self) -> NodeStates:
        return NodeStates(self.warehouse, self.settings.schema_prefix)


def selection_of_step(context: dg.AssetExecutionContext, manifest: Manifest) -> Selection | None:
    """What of its nodes and tests a step was asked for; None for all."""
    if not context.is_subset:
        return None
    checks = {spec.key: str((spec.metadata or {})[_UNIQUE_ID]) for spec in _checks_of(context)}
    selected = context.selected_asset_check_keys
    return Selection(
        nodes=frozenset(
            unique_id
            for unique_id, node in manifest["nodes"].items()
            if dg.AssetKey([layer_of(node), node["name"]]) in context.selected_asset_keys
        ),
        tests=frozenset(checks[key] for key in selected),
        is_every_test=all(key in selected for key in checks if key.asset_key in context.selected_asset_keys),
    )


def _checks_of(context: dg.AssetExecutionContext) -> list[dg.AssetCheckSpec]:
    """Every check of the step's definition, selected or not."""
    return list(context.assets_def.node_check_specs_by_output_name.values())


def source_fingerprints(manifest: Manifest, settings: Settings, connection: Warehouse) -> dict[str, Fingerprint]:
    """dbt's id of a source -> fingerprint of its columns, and of its rows by the ledger."""
    loads = fingerprints_of_loads(connection)
    ops = fingerprints_of_ops(connection, settings.schema_prefix)
    if settings.names is not None:  # the account's own history, which arrives whether anything was loaded or not
        ops["cost_of_assets"] = f"{datetime.now(UTC):%Y-%m-%d}"
    columns = {dataset.id: json.dumps(raw_columns(dataset)) for dataset in all_datasets(settings.sources())}

    def of(source: Mapping[str, Any]) -> Fingerprint:
        if source["schema"] == "ops":
            return Fingerprint("", ops.get(source["name"], ""))
        dataset = f"{source['source_name']}/{source['name']}"
        code = columns.get(dataset, "")
        return Fingerprint(code, digest(code, loads.get(dataset, "")))

    return {unique_id: of(source) for unique_id, source in manifest["sources"].items()}
