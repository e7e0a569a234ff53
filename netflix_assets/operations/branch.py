"""A branch in its own schemas: build what it changes there, next to copies of all other tables, and drop them again.

The base is the dbt project that the branch started from. It is taken from git and parsed here, so no manifest has to be
kept anywhere, and none can be old.
"""

import contextlib
import io
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import yaml
from dagster_dbt import DagsterDbtCliRuntimeError, DbtProject

from netflix_assets.defs.dbt.project import (
    DbtProjectError,
    dbt_project,
    dbt_resource,
    exported,
    manifest_of,
    one_build_at_a_time,
)
from netflix_assets.defs.dbt.results import BUILT, Manifest, layer_of
from netflix_assets.defs.dbt.subset import schemas_of
from netflix_assets.operations.connections import warehouse
from netflix_assets.operations.errors import InputError, OperationError
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import load_definitions, run_graph
from netflix_assets.settings import Settings
from netflix_assets.warehouse.builds import Builds


def build_branch(
    settings: Settings, base: Path, progress: Callable[[str], None] = lambda _: None
) -> tuple[Sequence[str], RunOutcome | None]:
    """Copy every table of the environment into the branch's schemas, then build there what differs from the base.

    Incremental models are rebuilt from all rows, so that the tables are what the branch's code makes of them.

    ``base``: the dbt project that the branch started from. Returns the asset keys of the nodes to build, and their run;
    None if there are none.

    Raises: InputError without a schema prefix or a dbt project; OperationError; WarehouseError; StorageError.
    """
    _assert_branch(settings)
    _assert_project(base)
    # Only the manifest goes into this home. The names of tables do not depend on it.
    of_base = settings.model_copy(
        update={"dbt_project": base, "schema_prefix": "", "home": settings.home / "dbt" / "base"}
    )
    progress(f"parsing {base}")
    state = _parsed(of_base).manifest_path
    manifest = manifest_of(_parsed(settings))
    progress("copying tables")
    with one_build_at_a_time(settings):
        _dbt(settings, "clone", "--full-refresh", "--state", str(state.parent))
    changed = _changed(settings, state.parent)
    changed |= uses_of(changed_variables(base, settings.dbt_project), manifest)
    nodes = affected_nodes(changed, manifest)
    keys = sorted(f"{layer_of(manifest['nodes'][each])}/{manifest['nodes'][each]['name']}" for each in nodes)
    if not keys:
        return keys, None
    outcome = run_graph(
        settings,
        load_definitions(settings),
        select=" or ".join(f'key:"{key}"' for key in keys),
        full_refresh=True,
        progress=progress,
    )
    return keys, outcome


def drop_branch(settings: Settings) -> Sequence[str]:
    """Drop the branch's schemas and the records of its builds. Returns the schemas that existed.

    Raises: InputError without a schema prefix; OperationError; WarehouseError.
    """
    _assert_branch(settings)
    schemas = [
        schema for schema in schemas_of(manifest_of(_parsed(settings))) if schema.startswith(settings.schema_prefix)
    ]
    with one_build_at_a_time(settings), warehouse(settings).open("transformer", asset="drop branch") as connection:
        found = sorted({schema for schema, _ in connection.columns(schemas)})
        for schema in schemas:
            connection.execute(f"drop schema if exists {schema} cascade")
        Builds(connection, settings.schema_prefix).forget()
    return found


def affected_nodes(changed: Set[str], manifest: Manifest) -> frozenset[str]:
    """The models, seeds and snapshots to build: those changed, all that read them, and what changed tests read.

    ``changed``: dbt's ids of nodes, sources and tests.
    """
    nodes = manifest["nodes"]
    tests = {each for each in changed if each in nodes and nodes[each]["resource_type"] == "test"}
    found: set[str] = set()
    open_ids = [each for each in changed - tests if each in manifest["child_map"]]
    while open_ids:
        unique_id = open_ids.pop()
        if unique_id not in found:
            found.add(unique_id)
            open_ids += manifest["child_map"][unique_id]
    for test in tests:
        read = set(nodes[test]["depends_on"]["nodes"])
        if found.isdisjoint(read):  # otherwise it runs with the node
            found |= {nodes[test]["attached_node"]} if nodes[test].get("attached_node") else read
    return frozenset(each for each in found if each in nodes and _is_built(nodes[each]))


def _is_built(node: Mapping[str, Any]) -> bool:
    return node["resource_type"] in BUILT and node["config"]["materialized"] != "ephemeral"


def changed_variables(base: Path, project: Path) -> frozenset[str]:
    """The variables of dbt_project.yml that differ. dbt's ``state:modified`` does not look at them."""
    before, after = (
        yaml.safe_load((each / "dbt_project.yml").read_text(encoding="utf-8")).get("vars") or {}
        for each in (base, project)
    )
    return frozenset(name for name in {*before, *after} if before.get(name) != after.get(name))


def uses_of(variables: Collection[str], manifest: Manifest) -> set[str]:
    """The nodes and tests that read one of these variables, themselves or through a macro."""
    if not variables:
        return set()
    use = re.compile(rf"\bvar\(\s*\\?['\"](?:{'|'.join(map(re.escape, variables))})\\?['\"]")
    macros = {name for name, macro in manifest["macros"].items() if use.search(macro["macro_sql"])}
    while more := {
        name
        for name, macro in manifest["macros"].items()
        if name not in macros and not macros.isdisjoint(macro["depends_on"]["macros"])
    }:
        macros |= more
    return {
        unique_id
        for unique_id, node in manifest["nodes"].items()
        if use.search(json.dumps(node)) or not macros.isdisjoint(node["depends_on"]["macros"])
    }


def _changed(settings: Settings, state: Path) -> set[str]:
    """dbt's ids of everything that differs from the manifest in a folder."""
    # Not the tests of changed nodes: those run with them.
    arguments = ["--indirect-selection", "empty", "--output", "json", "--output-keys", "unique_id"]
    events = _dbt(settings, "ls", "--select", "state:modified", "--state", str(state), *arguments)
    listed = [event["data"]["msg"] for event in events if event["info"]["name"] == "PrintEvent"]
    return {json.loads(each)["unique_id"] for each in listed}


def _dbt(settings: Settings, *arguments: str) -> list[Any]:
    """Run dbt in the branch. Returns its log. Raises: OperationError with what dbt says."""
    project = _parsed(settings)
    with exported(settings), contextlib.redirect_stdout(io.StringIO()):  # dagster-dbt prints everything that dbt prints
        invocation = dbt_resource(settings, project).cli(
            list(arguments), target_path=settings.dbt_runs_folder / f"{settings.schema_prefix}{arguments[0]}"
        )
        try:
            return [event.raw_event for event in invocation.stream_raw_events()]
        except DagsterDbtCliRuntimeError as error:
            raise OperationError(f"dbt {arguments[0]} failed: {error}") from error


def _parsed(settings: Settings) -> DbtProject:
    """The dbt project of these settings. Raises: OperationError when dbt cannot read it."""
    try:
        return dbt_project(settings)
    except DbtProjectError as error:
        raise OperationError(str(error)) from error


def _assert_project(base: Path) -> None:
    for name in ("dbt_project.yml", "profiles.yml"):
        if not (base / name).is_file():
            nested = base / "dbt"
            advice = f". Pass --base {nested}" if (nested / name).is_file() else ""
            raise InputError(f"--base {base} is not a dbt project: it has no {name}{advice}")


def _assert_branch(settings: Settings) -> None:
    if not settings.schema_prefix:
        raise InputError("a branch needs its own schemas. Set NETFLIX_SCHEMA_PREFIX, for example to pr_7_")
