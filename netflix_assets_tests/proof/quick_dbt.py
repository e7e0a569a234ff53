"""dbt in this process: parsed once (5 s of CPU), after which a build of the whole project takes 2 s without its tests.

The product runs dbt as a program (``netflix_assets/dbt.py``); the suites that need hundreds of builds run it here.
"""

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from netflix_assets.defs.dbt.plan import Planner, Task
from netflix_assets.defs.dbt.results import BUILT, Results, nodes_of
from netflix_assets.defs.dbt.reuse import Selection, Work, selection_of
from netflix_assets.settings import REPO, read_settings
from netflix_assets.warehouse.builds import Builds, NodeRun
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

_RUN = "quick"


class QuickDbt:
    """The dbt project, ready to build into any home.

    ``folder``: for dbt's own files. ``variables``: override those of dbt_project.yml.
    """

    def __init__(
        self, folder: Path, project: Path = REPO / "dbt", variables: Mapping[str, float | str] | None = None
    ) -> None:
        self._options = [
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
            *("--quiet", "--no-partial-parse", "--no-write-json", "--log-level-file", "none"),
            *("--vars", json.dumps(dict(variables or {}))),
        ]
        self.manifest = self._invoke(dbtRunner(), "parse", folder).result
        self._folder = folder
        self._manifest_file = folder / "manifest.json"
        self._manifest_file.write_text(json.dumps(self.manifest.writable_manifest().to_dict(omit_none=False)))
        self._as_json = json.loads(self._manifest_file.read_text())

    def build(self, home: Path, *arguments: str, without: Sequence[str] = ("test", "unit_test")) -> None:
        """Build seeds, models and snapshots into the warehouse of ``home``, by default without tests."""
        # dbt marks compiled nodes in the manifest and would not recompile them for the next build.
        runner = dbtRunner(manifest=self.manifest.deepcopy())
        self._invoke(runner, "build", home, "--exclude-resource-type", *without, *arguments)

    def build_what_differs(self, home: Path, nodes: Collection[str] | None = None) -> Work:
        """Build as a run does: what differs from its last build, of all nodes or of these (dbt's ids)."""
        selection = Selection(frozenset(self.nodes() if nodes is None else nodes), frozenset(), has_every_test=False)
        with self._planner(home, selection) as planner:
            work = planner.plan()
        if work.to_build:
            started_at = datetime.now(UTC)
            arguments = selection_of(work.to_build, self._manifest_file, self._folder / "work")
            runner = dbtRunner(manifest=self.manifest.deepcopy())
            rebuilt = {
                "NETFLIX_RUN_ID": _RUN,
                "NETFLIX_REBUILD_NODES": ",".join(self._as_json["nodes"][each]["name"] for each in work.from_scratch),
            }
            done = self._invoke(runner, "build", home, *arguments, **rebuilt)
            with self._planner(home, selection) as planner:
                planner.record(_results(done.result.results, started_at), {}, work, self._as_json)
        return work

    def nodes(self) -> list[str]:
        """dbt's ids of all that it builds."""
        return [each for each in nodes_of(self._as_json) if not each.startswith("test.")]

    @contextlib.contextmanager
    def _planner(self, home: Path, selection: Selection) -> Iterator[Planner]:
        with DuckDBWarehouse(home / "warehouse.duckdb", wait_seconds=0) as warehouse:
            Builds(warehouse).prepare()
            task = Task(_RUN, selection)
            yield Planner(task, self._as_json, read_settings(home=home), warehouse, lambda _: True)

    def stateful(self) -> list[str]:
        """Selectors of the stateful nodes (incremental models, snapshots) and everything upstream of them."""
        nodes = self.manifest.nodes.values()
        return [f"+{node.name}" for node in nodes if node.config.materialized in ("incremental", "snapshot")]

    def relations(self) -> list[str]:
        """Every table and view of the project that does not describe runs, as ``schema.name``."""
        return [
            f"{node.schema}.{node.alias}"
            for node in self.manifest.nodes.values()
            if node.resource_type in ("model", "seed")
            and node.config.materialized != "ephemeral"
            and "run_dependent" not in node.tags
        ]

    def upstream_of_stateful(self) -> set[str]:
        """dbt's ids of what ``stateful`` selects."""
        found: set[str] = set()
        waiting = [
            unique_id
            for unique_id, node in self._as_json["nodes"].items()
            if node["config"]["materialized"] in ("incremental", "snapshot")
        ]
        while waiting:
            unique_id = waiting.pop()
            if unique_id in self._as_json["nodes"] and unique_id not in found:
                found.add(unique_id)
                waiting += self._as_json["nodes"][unique_id]["depends_on"]["nodes"]
        return found

    def _invoke(self, runner: dbtRunner, command: str, home: Path, *arguments: str, **environment: str):
        environment |= {"NETFLIX_HOME": str(home), "NETFLIX_ENV": "local"}
        with mock.patch.dict(os.environ, environment), contextlib.chdir(Path.cwd()):
            try:
                done = runner.invoke([command, *self._options, *arguments])
            finally:
                _close_connections()
        if done.exception is not None:
            raise done.exception
        results = getattr(done.result, "results", ())
        failed = [f"{each.node.name}: {each.message}" for each in results if each.status in ("error", "fail")]
        assert done.success, f"dbt {command}: {failed or done.result}"
        return done


def _results(results: Iterable[Any], started_at: datetime) -> Results:
    nodes = [
        NodeRun(
            node_id=each.node.unique_id,
            resource_type=each.node.resource_type,
            layer="",
            name=each.node.name,
            materialization=each.node.config.materialized,
            status=str(each.status),
            started_at=None,
            seconds=0.0,
            message=None,
        )
        for each in results
        if each.node.resource_type in BUILT  # hooks have a result too
    ]
    return Results("quick", started_at, nodes, [], frozenset(), [])


def _close_connections() -> None:
    # dbt-duckdb keeps the file open as long as the process lives; its close_all_connections does not close it.
    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
        DuckDBConnectionManager.close_all_connections()
