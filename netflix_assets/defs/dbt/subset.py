"""Tests that have to wait when only some of the nodes are built: they also read a table that is missing or stale."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from netflix_assets.defs.dbt.results import Manifest

Relation = tuple[str, str]  # schema and name, in lower case


def schemas_of(manifest: Manifest) -> list[str]:
    """The schemas into which dbt builds."""
    return sorted({node["schema"].lower() for node in manifest["nodes"].values() if node["resource_type"] != "test"})


def postponed_tests(
    selected: Collection[str], existing: Collection[Relation], manifest: Manifest
) -> dict[str, Relation]:
    """Tests that dbt would run with the ``selected`` nodes and cannot, with a table that each of them lacks.

    dbt runs every test that reads a selected node. In a new home, the test of a foreign key would fail where the
    dimension was not built yet; in another one, where it lacks the rows of new files. Tests whose tables all exist, or
    are selected, run. ``existing``: the tables that are there, and up to date.
    """
    postponed = {}
    for test_id, test in manifest["nodes"].items():
        if test["resource_type"] == "test" and any(parent in selected for parent in test["depends_on"]["nodes"]):
            for unique_id, relation in _tables_read(test, manifest):
                if unique_id not in selected and relation not in existing:
                    postponed[test_id] = relation
    return postponed


def _tables_read(node: Mapping[str, Any], manifest: Manifest) -> Iterator[tuple[str, Relation]]:
    """The tables and views that a query reads, also through ephemeral models."""
    for unique_id in node["depends_on"]["nodes"]:
        parent = manifest["nodes"].get(unique_id)
        if parent is None:  # a source; every run creates those
            continue
        if parent["config"]["materialized"] == "ephemeral":
            yield from _tables_read(parent, manifest)
        else:
            yield unique_id, (parent["schema"].lower(), parent["alias"].lower())
