"""What a dbt step has to do: build what differs from its last success, and leave alone what would come out the same.

Pure functions over the manifest, the states of nodes (``warehouse.node_states``) and today's fingerprints.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from netflix_assets.defs.dbt.results import Manifest, Results, nodes_of
from netflix_assets.defs.dbt.subset import Relation
from netflix_assets.warehouse.builds import Part
from netflix_assets.warehouse.node_states import NodeState

_SUCCEEDED = frozenset({"success", "pass", "warn"})  # dbt's status of a node or test whose result can be used again


@dataclass(frozen=True)
class Work:
    """What a step does. ``to_build``: ids of nodes and tests; ``reused``: those left alone, with their states.

    ``fingerprints``: of every node and test, as the step found them.
    """

    to_build: frozenset[str]
    reused: Mapping[str, NodeState]
    fingerprints: Mapping[str, str]


def wanted_by(selected: Collection[str] | None, part: Part, manifest: Manifest) -> frozenset[str]:
    """The nodes of a part that are selected (None: all), with every test that reads one of them, as dbt selects."""
    whole = nodes_of(part, manifest)
    if selected is None:
        return whole
    nodes = manifest["nodes"]
    return frozenset(
        each
        for each in whole
        if each in selected
        or (nodes[each]["resource_type"] == "test" and not set(nodes[each]["depends_on"]["nodes"]).isdisjoint(selected))
    )


def work_of(
    wanted: Collection[str],
    states: Mapping[str, NodeState],
    fingerprints: Mapping[str, str],
    existing: Collection[Relation],
    manifest: Manifest,
) -> Work:
    """Divide what is wanted. A node whose relation somebody has dropped is built again."""
    reused = {
        each: states[each]
        for each in wanted
        if each in states and states[each].fingerprint == fingerprints[each] and _exists(each, existing, manifest)
    }
    return Work(frozenset(wanted) - reused.keys(), reused, fingerprints)


def _exists(unique_id: str, existing: Collection[Relation], manifest: Manifest) -> bool:
    node = manifest["nodes"][unique_id]
    return node["resource_type"] == "test" or (node["schema"].lower(), node["alias"].lower()) in existing


def new_states(
    results: Results,
    row_counts: Mapping[str, int],
    kept: Mapping[str, NodeState],
    fingerprints: Mapping[str, str],
    run_id: str,
    manifest: Manifest,
) -> Iterator[NodeState]:
    """The states that a build has earned: of what succeeded, made from tables that are as their code and loads say.

    A model that was selected alone may have been built from a table that is behind. ``kept``: the states of all nodes
    that were not built.
    """
    nodes = {node.node_id: (node.status, None) for node in results.nodes}
    found = {**nodes, **{test.test_id: (test.status, test.failures) for test in results.tests}}

    @cache
    def is_valid(unique_id: str) -> bool:
        node = manifest["nodes"].get(unique_id)
        if node is None:  # a source
            return True
        if unique_id not in found and node["config"]["materialized"] != "ephemeral":
            return unique_id in kept and kept[unique_id].fingerprint == fingerprints[unique_id]
        if unique_id in found and found[unique_id][0] not in _SUCCEEDED:
            return False
        return all(is_valid(parent) for parent in node["depends_on"].get("nodes", ()))

    for unique_id, (status, failures) in found.items():
        if is_valid(unique_id):
            yield NodeState(
                node_id=unique_id,
                fingerprint=fingerprints[unique_id],
                status=status,
                failures=failures,
                row_count=row_counts.get(unique_id),
                run_id=run_id,
                invocation_id=results.invocation_id,
                built_at=results.started_at,
            )


def selection_of(to_build: Collection[str], manifest_file: Path, folder: Path) -> list[str]:
    """dbt's arguments that build exactly these nodes and tests.

    dbt finds them in a folder as results of a status: the names of a few hundred tests would make the command line too
    long, and dbt cannot select a test by its id.
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
