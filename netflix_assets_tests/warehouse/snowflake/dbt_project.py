"""The dbt project with the target `snowflake`, for its tests."""

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from netflix_assets.settings import REPO
from netflix_assets_tests.warehouse.snowflake.sql import Schema

PROJECT = REPO / "dbt"
DATABASE = "NETFLIX_DEV_7"
PREFIX = "branch_7_"
RUN_ID = "3f1c9a52-run"

# Six users and 600 ratings reach none of the usual thresholds, and comparing two empty tables proves nothing.
THRESHOLDS = {
    "liked_min_likes": 1,
    "co_rating_min_co_likes": 1,
    "segment_n_clusters": 2,
    "similar_users_min_common": 1,
}

NAMES = {
    "NETFLIX_ENV": "dev",
    "NETFLIX_SNOWFLAKE_DATABASE": DATABASE,
    "NETFLIX_SNOWFLAKE_WAREHOUSE": "NETFLIX_DEV_TRANSFORM",
    "NETFLIX_SNOWFLAKE_ROLE": "NETFLIX_DEV_TRANSFORMER",
    "NETFLIX_SCHEMA_PREFIX": PREFIX,
}


class SnowflakeDbt:
    """The project, parsed once for the target `snowflake`, to be compiled or built with it."""

    def __init__(self, folder: Path) -> None:
        self._options = [
            *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(folder / "target")),
            *("--log-path", str(folder / "logs"), "--quiet", "--log-level-file", "none", "--no-partial-parse"),
            *("--vars", json.dumps(THRESHOLDS)),
        ]
        self.manifest: Manifest = self._run(dbtRunner(), "parse").result

    def run(self, command: str, *arguments: str, **variables: str) -> list[Any]:
        """Run a command and return its results. Raises: AssertionError with the messages of the nodes that failed."""
        # dbt marks compiled nodes in the manifest and would not compile them again.
        runner = dbtRunner(manifest=self.manifest.deepcopy())
        done = self._run(runner, command, "--no-write-json", *arguments, **variables)
        failed = [
            f"{each.node.name}: {each.message}" for each in done.result.results if each.status in ("error", "fail")
        ]
        assert done.success, "\n".join(failed)
        return list(done.result.results)

    def _run(self, runner: dbtRunner, command: str, *arguments: str, **variables: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("NETFLIX_")]:
                patch.delenv(name)
            for name, value in {**NAMES, **variables}.items():
                patch.setenv(name, value)
            done = runner.invoke([command, *self._options, *arguments])
        if done.exception is not None:
            raise done.exception
        return done

    def columns(self) -> Schema:
        """The columns of all relations, with their types."""
        columns: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
        for node in [*self.manifest.nodes.values(), *self.manifest.sources.values()]:
            if node.resource_type in ("model", "seed", "snapshot", "source"):
                types = {
                    name: "array" if "[]" in each.data_type else each.data_type for name, each in node.columns.items()
                }
                name = node.identifier if node.resource_type == "source" else node.alias
                columns[node.database][node.schema][name] = types
        return columns
