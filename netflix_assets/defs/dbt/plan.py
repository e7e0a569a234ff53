"""Plan a dbt step: compare code and loads with what the tables were last built from, and record what is built.

Nothing here knows Dagster; ``build.py`` says what was asked for.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.dbt.fingerprints import Fingerprint, Surroundings, digest, fingerprints, is_same_code
from netflix_assets.defs.dbt.project import build_context, project_variables
from netflix_assets.defs.dbt.results import Manifest, Results, nodes_of
from netflix_assets.defs.dbt.reuse import Selection, Work, new_states, stale_relations, wanted_by, work_of
from netflix_assets.defs.dbt.subset import Relation, postponed_tests, schemas_of
from netflix_assets.settings import Settings
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds
from netflix_assets.warehouse.node_states import NodeState, NodeStates, fingerprints_of_loads, fingerprints_of_ops
from netflix_assets.warehouse.relations import raw_columns

# A build that another machine began this long ago and has not ended was killed. Runs are stopped after six hours
# (dagster.yaml), and dbt with them.
_LONGEST_BUILD = timedelta(hours=6)


@dataclass(frozen=True)
class Task:
    """What a step was asked for: all nodes and tests, or what is selected of them.

    ``is_explicit``: somebody has named what to build, so it is built, changed or not, once in the run. ``is_retry``:
    an attempt of this run has begun before.
    """

    run_id: str
    selection: Selection | None = None
    is_explicit: bool = False
    is_retry: bool = False


@dataclass(frozen=True)
class Planner:
    """Plans an attempt of a step and records what its build completed, over an open connection.

    ``is_over``: whether a run is known to have ended.
    """

    task: Task
    manifest: Manifest
    settings: Settings
    warehouse: Warehouse
    is_over: Callable[[str], bool]

    def plan(self) -> Work:
        """Decide what to build, and end the states of that: a build that is killed leaves none that is wrong."""
        states = self._states.all()
        existing = self.warehouse.columns(schemas_of(self.manifest))
        wanted = wanted_by(self.task.selection, self.manifest)
        postponed = self._postponed(states, existing)
        wanted -= postponed.keys()
        usable = {each for each, state in states.items() if self._may_reuse(state.run_id)}
        work = work_of(wanted, states, usable, self._fingerprints(wanted, states), existing, self.manifest)
        known = work.to_build & states.keys()
        changed = {each for each in known if states[each].code != work.fingerprints[each].code}
        self._states.record(each for each in work.reused.values() if each.content != states[each.node_id].content)
        self._states.forget(changed)
        self._states.end(known - changed)
        return replace(work, postponed=postponed)

    def record(self, results: Results, row_counts: Mapping[str, int], work: Work, built: Manifest) -> None:
        """Keep the states of what a build completed, except where loads have changed since the plan.

        ``built``: the manifest that dbt has left. If files have changed since the plan's was parsed, the tables are of
        unknown code. If another machine has built meanwhile, they are of either build.
        """
        if self._has_overlapped(results.started_at) or not is_same_code(self.manifest, built):
            self._states.forget(work.fingerprints.keys())
            return
        now = self._fingerprints(work.fingerprints.keys(), self._states.all())
        found = new_states(results, row_counts, work.fingerprints, self.task.run_id)
        self._states.record(each for each in found if now[each.node_id] == work.fingerprints[each.node_id])

    def _postponed(self, states: Mapping[str, NodeState], existing: Collection[Relation]) -> dict[str, Relation]:
        """The tests that compare what is selected with a table that is missing, or that is of other files or code."""
        if self.task.selection is None:
            return {}
        whole = nodes_of(self.manifest)
        others = whole - self.task.selection.nodes
        stale = stale_relations(others, states, self._fingerprints(whole, states), self.manifest)
        return postponed_tests(self.task.selection.nodes, {*existing} - stale, self.manifest)

    def _may_reuse(self, run_id: str) -> bool:
        return not self.task.is_explicit or (self.task.is_retry and run_id == self.task.run_id)

    def _fingerprints(self, wanted: Collection[str], states: Mapping[str, NodeState]) -> dict[str, Fingerprint]:
        around = Surroundings(
            source_fingerprints(self.manifest, self.settings, self.warehouse),
            project_variables(self.settings),
            build_context(self.settings),
        )
        others = {each: Fingerprint(state.code, state.content) for each, state in states.items()}
        return fingerprints(self.manifest, around, wanted, others, f"unknown in run {self.task.run_id}")

    def _has_overlapped(self, started_at: datetime) -> bool:
        others = Builds(self.warehouse, self.settings.schema_prefix).all()
        return any(each.run_id != self.task.run_id and self._ended_at(each) > started_at for each in others)

    def _ended_at(self, build: Build) -> datetime:
        """When a build ended, at the latest."""
        if build.finished_at is not None:
            return build.finished_at
        # DuckDB's file has one writer, and this step has it: whatever has not ended was killed.
        was_killed = self.settings.names is None or self.is_over(build.run_id)
        return build.started_at if was_killed else build.started_at + _LONGEST_BUILD

    @property
    def _states(self) -> NodeStates:
        return NodeStates(self.warehouse, self.settings.schema_prefix)


def source_fingerprints(manifest: Manifest, settings: Settings, connection: Warehouse) -> dict[str, Fingerprint]:
    """dbt's id of a source -> fingerprint of its columns, and of its rows by the ledger."""
    loads = fingerprints_of_loads(connection)
    ops = fingerprints_of_ops(connection)
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
