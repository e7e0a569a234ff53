"""Read the artifacts of a dbt build (manifest.json, run_results.json). Pure functions over files and dictionaries."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from netflix_assets.contracts.visibility import Showable
from netflix_assets.warehouse.builds import CheckRun, NodeRun

RUN_DEPENDENT = "run_dependent"  # dbt's tag of models whose rows describe runs

UNIQUE_ID = "dagster_dbt/unique_id"  # dagster-dbt's metadata of an asset or a check: dbt's id of the node

_FOLDERS = {"seed": "seeds", "snapshot": "snapshots", "source": "source", "exposure": "exposure"}
BUILT = ("model", "seed", "snapshot")
_FAILED = frozenset({"error", "fail", "runtime error", "partial success"})
_MESSAGE_CHARACTERS = 500

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """The results of one invocation, started at ``started_at`` (UTC). ``missing``: ids without a result."""

    invocation_id: str
    started_at: datetime
    nodes: list[NodeRun]
    tests: list[CheckRun]
    missing: frozenset[str]
    findings: list["Finding"]

    @property
    def failed(self) -> list[NodeRun | CheckRun]:
        """Nodes and tests that failed or were skipped, failures first."""
        every: list[NodeRun | CheckRun] = [*self.nodes, *self.tests]
        failures = [each for each in every if each.status in _FAILED]
        return failures + [each for each in every if each.status == "skipped"]

    @property
    def causes(self) -> list[NodeRun | CheckRun]:
        """Nodes and tests that failed themselves."""
        return [each for each in self.failed if each.status in _FAILED]

    @property
    def to_retry(self) -> frozenset[str]:
        """The ids of nodes and tests that failed or were skipped."""
        return frozenset(each.node_id if isinstance(each, NodeRun) else each.test_id for each in self.failed)

    @property
    def problem(self) -> str | None:
        """The first failure in one line."""
        if not self.failed:
            return None
        first = self.failed[0]
        what = f"{first.layer}/{first.name}"
        what = f"test {first.test_name} of {what}" if isinstance(first, CheckRun) else what
        message = " ".join((first.message or first.status).split())
        return f"{what}: {message}"[:_MESSAGE_CHARACTERS]


@dataclass(frozen=True)
class Finding:
    """A test that found rows, and its query.

    ``column``: the tested column, which the query may rename. ``columns``: those that tell what is wrong with which
    row, the key first; empty where the query selects just these.
    """

    test_id: str
    test_name: str
    query: str
    column: str | None
    columns: tuple[str, ...]


def layer_of(node: Mapping[str, Any]) -> str:
    """The layer of a node: the folder of a model, seed or snapshot; the resource type of anything else."""
    return str(_FOLDERS.get(node["resource_type"]) or node["fqn"][1])


def nodes_of(manifest: Manifest) -> frozenset[str]:
    """The nodes and tests that have a result after a full build."""
    return frozenset(
        unique_id
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] in (*BUILT, "test") and node["config"]["materialized"] != "ephemeral"
    )


def read_results(folder: Path, shown: Showable) -> Results | None:
    """Read dbt's target folder; None when dbt ended before it wrote results.

    ``shown`` removes quoted values that contracts hide from messages.
    """
    file = folder / "run_results.json"
    if not file.exists():
        return None
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    content = json.loads(file.read_text(encoding="utf-8"))
    results = {
        result["unique_id"]: {**result, "message": shown.message(result["message"] or "")}
        for result in content["results"]
    }
    return Results(
        invocation_id=content["metadata"]["invocation_id"],
        started_at=datetime.fromisoformat(content["metadata"]["invocation_started_at"]),
        nodes=list(_node_runs(results, manifest)),
        tests=list(_test_results(results, manifest)),
        missing=nodes_of(manifest) - results.keys(),
        findings=[
            finding_of(manifest["nodes"][unique_id], result["compiled_code"], manifest)
            for unique_id, result in results.items()
            if result["failures"] and result["compiled_code"] and unique_id in manifest["nodes"]
        ],
    )


def finding_of(test: Mapping[str, Any], query: str, manifest: Manifest) -> Finding:
    """What to ask for the rows that a test found with this query."""
    tested = _tested_columns(test)
    key = _key_of(_tested(test, manifest)["unique_id"], manifest) if tested else ()
    return Finding(
        test_id=test["unique_id"],
        test_name=(test.get("test_metadata") or test)["name"],
        query=query,
        column=test.get("column_name"),
        columns=tuple(dict.fromkeys((*key, *tested))),
    )


def _tested_columns(test: Mapping[str, Any]) -> Sequence[str]:
    """The columns that a test in dbt/tests/generic looks at if it selects whole rows; empty for other tests."""
    metadata = test.get("test_metadata") or {"name": "", "kwargs": {}}
    arguments = metadata["kwargs"]
    match metadata["name"]:
        case "values_in_ranges":
            return list(arguments["ranges"])
        case "no_nulls_in_columns" | "no_blank_text_in_columns" | "null_together":
            return list(arguments["columns"])
        case "adds_up":
            return [arguments["total"], *arguments["parts"]]
    return []


def _key_of(unique_id: str, manifest: Manifest) -> Sequence[str]:
    """The key of a node, as its uniqueness test names it."""
    for test in manifest["nodes"].values():
        if test.get("attached_node") == unique_id and test.get("test_metadata"):
            if test["test_metadata"]["name"] == "unique":
                return [test["column_name"]]
            if test["test_metadata"]["name"] == "unique_combination":
                return list(test["test_metadata"]["kwargs"]["columns"])
    return []


def _node_runs(results: Mapping[str, Any], manifest: Manifest) -> Iterator[NodeRun]:
    for unique_id, result in results.items():
        node = manifest["nodes"].get(unique_id)
        if node is not None and node["resource_type"] in BUILT:
            yield NodeRun(
                node_id=unique_id,
                resource_type=node["resource_type"],
                layer=layer_of(node),
                name=node["name"],
                materialization=node["config"]["materialized"],
                **_outcome(result),
            )


def _test_results(results: Mapping[str, Any], manifest: Manifest) -> Iterator[CheckRun]:
    for unique_id, result in results.items():
        test = manifest["nodes"].get(unique_id)
        if test is not None and test["resource_type"] == "test":
            tested = _tested(test, manifest)
            yield CheckRun(
                test_id=unique_id,
                test_name=test["name"],
                node_id=tested["unique_id"],
                layer=layer_of(tested),
                name=tested["name"],
                kind=_kind(test),
                failures=int(result["failures"] or 0),
                **_outcome(result),
            )


def _outcome(result: Mapping[str, Any]) -> dict[str, Any]:
    started = [timing["started_at"] for timing in result["timing"]]
    return {
        "status": result["status"],
        "started_at": datetime.fromisoformat(started[0]) if started else None,
        "seconds": result["execution_time"],
        "message": result["message"][:_MESSAGE_CHARACTERS] or None,
    }


def _kind(test: Mapping[str, Any]) -> str:
    if "reconciliation" in test["tags"]:
        return "reconciliation"
    return "generic" if test.get("test_metadata") else "singular"


def _tested(test: Mapping[str, Any], manifest: Manifest) -> Mapping[str, Any]:
    """The node that a test belongs to: the one it is attached to, the one its meta names, or the first it reads."""
    named = test["config"].get("meta", {}).get("dagster", {}).get("ref", {}).get("name")
    nodes: Mapping[str, Mapping[str, Any]] = manifest["nodes"]
    parents = [nodes[each] for each in test["depends_on"]["nodes"] if each in nodes]
    attached = nodes.get(test.get("attached_node") or "")
    return attached or next((parent for parent in parents if parent["name"] == named), parents[0])
