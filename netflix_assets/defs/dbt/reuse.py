"""What a dbt step has to do: build what differs from its last success, and reuse the rest.

Pure functions over the manifest, the states of nodes (``warehouse.node_states``) and today's fingerprints.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from netflix_assets.defs.dbt.fingerprints import Fingerprint
from netflix_assets.defs.dbt.results import Manifest, Results, nodes_of
from netflix_assets.defs.dbt.subset import Relation
from netflix_assets.warehouse.node_states import ENDED, NodeState

_SUCCEEDED = frozenset({"success", "pass", "warn"})  # dbt's status of a node or test whose result can be used again


@dataclass(frozen=True)
class Selection:
    """What is selected: ids of nodes, and of tests.

    ``has_every_test``: whether every test of the selected nodes is selected. Then, as in dbt, every test that reads a
    selected node runs.
    """

    nodes: frozenset[str]
    tests: frozenset[str]
    has_every_test: bool


@dataclass(frozen=True)
class Work:
    """What a step does: ``to_build``, nodes and tests; ``reused``, those left alone, with their states.

    ``from_scratch``: the incremental models to build whose rows were made by other code, their own or that of a model
    they read; they cannot be extended. ``fingerprints``: today's, by node and test. ``postponed``: tests that cannot
    run yet, with the table that each lacks.
    """

    to_build: frozenset[str]
    from_scratch: frozenset[str]
    reused: Mapping[str, NodeState]
    fingerprints: Mapping[str, Fingerprint]
    postponed: Mapping[str, Relation] = field(default_factory=dict)


def wanted_by(selection: Selection | None, manifest: Manifest) -> frozenset[str]:
    """The nodes and tests that are selected; all of them without a selection."""
    whole = nodes_of(manifest)
    if selection is None:
        return whole
    read = frozenset(
        each
        for each in whole
        if manifest["nodes"][each]["resource_type"] == "test"
        and not selection.nodes.isdisjoint(manifest["nodes"][each]["depends_on"]["nodes"])
    )
    return whole & (selection.nodes | selection.tests | (read if selection.has_every_test else frozenset()))


def work_of(
    wanted: Collection[str],
    states: Mapping[str, NodeState],
    usable: Collection[str],
    fingerprints: Mapping[str, Fingerprint],
    existing: Collection[Relation],
    manifest: Manifest,
) -> Work:
    """Divide what is wanted. ``usable``: the ids of nodes and tests whose results may be used again.

    A node whose relation somebody has dropped is built again, and so is what reads it. ``reused`` is in the order of
    the graph, in which Dagster requires outputs.
    """
    reused: dict[str, NodeState] = {}
    to_build: set[str] = set()
    for each in _in_order(wanted, manifest):
        is_same = each in usable and _is_same(states[each], fingerprints[each], manifest["nodes"][each])
        if is_same and _exists(each, existing, manifest) and to_build.isdisjoint(_parents(each, manifest)):
            reused[each] = replace(states[each], content=fingerprints[each].content)
        else:
            to_build.add(each)
    from_scratch = frozenset(
        each
        for each in to_build
        if manifest["nodes"][each]["config"]["materialized"] == "incremental"
        and (each not in states or states[each].code != fingerprints[each].code)
    )
    return Work(frozenset(to_build), from_scratch, reused, fingerprints)


def stale_relations(
    unselected: Collection[str],
    states: Mapping[str, NodeState],
    fingerprints: Mapping[str, Fingerprint],
    manifest: Manifest,
) -> frozenset[Relation]:
    """The tables and views of these nodes that a full build would rebuild: their code or files have changed."""
    return frozenset(
        (node["schema"].lower(), node["alias"].lower())
        for each in unselected
        if (node := manifest["nodes"][each])["resource_type"] != "test"
        and not (each in states and _is_same(states[each], fingerprints[each], node))
    )


def _is_same(state: NodeState, now: Fingerprint, node: Mapping[str, Any]) -> bool:
    """Whether a rebuild would change nothing. A view shows new rows by itself, so only its code matters."""
    is_view = node["config"]["materialized"] == "view" and state.content != ENDED
    return state.code == now.code if is_view else state.content == now.content


def _in_order(wanted: Collection[str], manifest: Manifest) -> list[str]:
    """Parents before their children."""
    graph = {each: node["depends_on"].get("nodes", ()) for each, node in manifest["nodes"].items()}
    return [each for each in TopologicalSorter(graph).static_order() if each in wanted]


def _parents(unique_id: str, manifest: Manifest) -> Iterator[str]:
    """The nodes that a node reads, also through ephemeral models."""
    for parent in manifest["nodes"][unique_id]["depends_on"].get("nodes", ()):
        yield parent
        if parent in manifest["nodes"] and manifest["nodes"][parent]["config"]["materialized"] == "ephemeral":
            yield from _parents(parent, manifest)


def _exists(unique_id: str, existing: Collection[Relation], manifest: Manifest) -> bool:
    node = manifest["nodes"][unique_id]
    return node["resource_type"] == "test" or (node["schema"].lower(), node["alias"].lower()) in existing


def new_states(
    results: Results, row_counts: Mapping[str, int], fingerprints: Mapping[str, Fingerprint], run_id: str
) -> Iterator[NodeState]:
    """The states of what a build completed. dbt skips what reads a failed table, so what succeeded read good ones."""
    found = {node.node_id: (node.status, None) for node in results.nodes}
    tested = {test.test_id: (test.status, test.failures) for test in results.tests}
    for unique_id, (status, failures) in {**found, **tested}.items():
        if status in _SUCCEEDED:
            yield NodeState(
                node_id=unique_id,
                code=fingerprints[unique_id].code,
                content=fingerprints[unique_id].content,
                status=status,
                failures=failures,
                row_count=row_counts.get(unique_id),
                run_id=run_id,
                invocation_id=results.invocation_id,
                built_at=results.started_at,
            )


def selection_of(to_build: Collection[str], manifest_file: Path, folder: Path) -> list[str]:
    """dbt's arguments that build exactly these nodes and tests.

    They are written to a folder as the failed nodes of an earlier run, which dbt can select: the names of a few hundred
    tests would make the command line too long, and dbt cannot select a test by its id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(manifest_file, folder / "manifest.json")
    result = {
        "status": "error", "timing": [], "thread_id": "", "execution_time": 0, "adapter_response": {}, "message": None,
        "failures": None, "compiled": False, "compiled_code": None, "relation_name": None, "batch_results": None,
    }  # fmt: skip
    content = {
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json"},
        "results": [{**result, "unique_id": each} for each in sorted(to_build)],
        "elapsed_time": 0,
        "args": {},
    }
    (folder / "run_results.json").write_text(json.dumps(content), encoding="utf-8")
    return ["--select", "result:error", "--state", str(folder), "--indirect-selection", "empty"]
