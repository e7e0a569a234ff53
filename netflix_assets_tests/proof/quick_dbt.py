"""dbt in this process: parsed once (5 s of CPU), after which a build of the whole project takes 2 s without its tests.

The product runs dbt as a program (``netflix_assets/dbt.py``); the suites that need hundreds of builds run it here.
"""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest import mock

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from netflix_assets.settings import REPO


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

    def build(self, home: Path, *arguments: str, without: Sequence[str] = ("test", "unit_test")) -> None:
        """Build seeds, models and snapshots into the warehouse of ``home``, by default without tests."""
        # dbt marks compiled nodes in the manifest and would not recompile them for the next build.
        runner = dbtRunner(manifest=self.manifest.deepcopy())
        self._invoke(runner, "build", home, "--exclude-resource-type", *without, *arguments)

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

    def _invoke(self, runner: dbtRunner, command: str, home: Path, *arguments: str):
        environment = {"NETFLIX_HOME": str(home), "NETFLIX_ENV": "local"}
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


def _close_connections() -> None:
    # dbt-duckdb keeps the file open as long as the process lives; its close_all_connections does not close it.
    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
        DuckDBConnectionManager.close_all_connections()
