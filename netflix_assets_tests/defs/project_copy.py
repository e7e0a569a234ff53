"""A home with a copy of the dbt project, which a test can change and break between two runs."""

import json
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from netflix_assets.definitions import build_defs
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.dev.samples import generate
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import REPO, Settings, read_settings
from netflix_assets.settings.environment import for_dbt
from netflix_assets_tests.conftest import landing_key
from netflix_assets_tests.demo import Demo

FAIL_ONCE = """
{% macro fail_in_attempt(numbers, message) -%}
    {%- if execute and flags.WHICH == 'build' -%}
        {%- set count = run_query(
            "select count(*) from ops.builds where run_id = '" ~ env_var('NETFLIX_RUN_ID', '') ~ "'"
        ).rows[0][0] -%}
        {%- if count in numbers %}{{ exceptions.raise_compiler_error(message) }}{% endif -%}
    {%- endif -%}
{%- endmacro %}
"""
RESET = "250003: Connection reset by peer"


@dataclass
class Project:
    """A home with a copy of the dbt project that a test can break."""

    settings: Settings

    def run(self, **options: Any) -> RunOutcome:
        return run_graph(self.settings, build_defs(self.settings), **options)

    def dbt(self, *arguments: str) -> None:
        """Run dbt by hand."""
        program = Path(sysconfig.get_path("scripts")) / "dbt"
        project = ["--project-dir", self.settings.dbt_project, "--profiles-dir", self.settings.dbt_project]
        subprocess.run([program, *arguments, *project], env=for_dbt(self.settings), check=True, capture_output=True)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse_file), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def manifest(self) -> dict[str, Any]:
        return json.loads(next((self.settings.home / "dbt").glob("target-*/manifest.json")).read_text())

    def make_fail(self, name: str, *attempts: int, message: str = RESET) -> None:
        """Make a model fail in these attempts."""
        (path,) = self.settings.dbt_project.glob(f"models/**/{name}.sql")
        path.write_text(f"-- {{{{ fail_in_attempt({list(attempts)}, '{message}') }}}}\n{path.read_text()}")

    def restore(self) -> None:
        shutil.copytree(REPO / "dbt", self.settings.dbt_project, dirs_exist_ok=True)
        for path in (self.settings.dbt_project / "tests").glob("broken*.sql"):
            path.unlink()

    def attempts(self, run_id: str) -> list[set[str]]:
        """Models, seeds and snapshots that each attempt executed, first attempt first."""
        rows = self.query(
            f"""
            select builds.started_at, node_id from ops.builds left join ops.node_runs using (invocation_id)
            where builds.run_id = '{run_id}' and part = 'models' and status <> 'skipped' order by 1
            """
        )
        moments = sorted({at for at, _ in rows})
        return [{node for at, node in rows if at == moment} for moment in moments]

    def descendants(self, name: str) -> set[str]:
        """A model and all nodes built from it, by dbt's manifest."""
        manifest = self.manifest()
        nodes, frontier = set(), {f"model.netflix_assets.{name}"}
        while frontier:
            nodes |= frontier
            frontier = {child for node in frontier for child in manifest["child_map"][node]} - nodes
        return {
            node
            for node in nodes
            if node.startswith(("model.", "snapshot."))
            and manifest["nodes"][node]["config"]["materialized"] != "ephemeral"
        }

    def events(self, run_id: str, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        with open_instance(self.settings) as instance:
            records = instance.get_records_for_run(run_id, of_type=kind).records
        return [record.event_log_entry.dagster_event for record in records]


@contextmanager
def project_copy(demo: Demo, folder: Path) -> Iterator[Project]:
    """A home with sample files, in which nothing was run yet, with $DAGSTER_HOME in it."""
    with pytest.MonkeyPatch.context() as patch:
        home = demo.parsed_in(folder)
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        yield _project_in(home)


def _project_in(home: Path) -> Project:
    dbt_copy = home / "dbt-copy"
    shutil.copytree(REPO / "dbt", dbt_copy, ignore=shutil.ignore_patterns("target", "logs"))
    (dbt_copy / "macros" / "fail_in_attempt.sql").write_text(FAIL_ONCE)
    settings = read_settings(home=home, dbt_project=dbt_copy, settle_seconds=0.2, step_retry_delay_seconds=0.01)
    with landing_bucket(settings).open() as store:
        for path in generate(home / "samples", scale=0.05):
            store.put(landing_key(path), path)
    return Project(settings)
