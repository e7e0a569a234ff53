"""A dbt build with a transient failure: which nodes are rebuilt, what Dagster is told, what may be served.

The tests of this module run in order in one home, because each full run takes seconds. Nodes fail inside dbt: they ask
the build markers which attempt of the run this is.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from netflix_assets.definitions import build_defs
from netflix_assets.defs.dbt import build as dbt_module
from netflix_assets.defs.dbt.results import Results, retry_selection
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.dev.samples import generate
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import REPO, Settings, read_settings
from netflix_assets.warehouse.builds import Build, Builds, CheckRun, NodeRun
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

pytestmark = pytest.mark.long


@dataclass
class Project:
    """A home with a copy of the dbt project that a test can break."""

    settings: Settings

    def run(self, **options: Any) -> RunOutcome:
        return run_graph(self.settings, build_defs(self.settings), **options)

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
        """A model and all nodes built from it in the first dbt invocation, by dbt's manifest."""
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
            and "observation" not in manifest["nodes"][node]["tags"]
        }

    def events(self, run_id: str, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        with open_instance(self.settings) as instance:
            records = instance.get_records_for_run(run_id, of_type=kind).records
        return [record.event_log_entry.dagster_event for record in records]


@pytest.fixture(scope="module")
def project(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        home = demo.parsed_in(tmp_path_factory.mktemp("retries"))
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        dbt_copy = home / "dbt-copy"
        shutil.copytree(REPO / "dbt", dbt_copy, ignore=shutil.ignore_patterns("target", "logs"))
        (dbt_copy / "macros" / "fail_in_attempt.sql").write_text(FAIL_ONCE)
        settings = read_settings(home=home, dbt_project=dbt_copy, settle_seconds=0.2, step_retry_delay_seconds=0.01)
        with landing_bucket(settings).open() as store:
            for path in generate(home / "samples", scale=0.05):
                store.put(landing_key(path), path)
        yield Project(settings)


@pytest.fixture(scope="module")
def first_run(project: Project) -> RunOutcome:
    """The first run of this home: everything is built, one model in the second attempt."""
    project.make_fail("dim_genres", 1)
    return project.run()


def test_a_retry_executes_only_the_failed_nodes_and_their_descendants(project: Project, first_run: RunOutcome) -> None:
    assert first_run.success, first_run.errors
    first, second = project.attempts(first_run.run_id)
    everything = {
        unique_id
        for unique_id, node in project.manifest()["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot")
        and node["config"]["materialized"] != "ephemeral"
        and "observation" not in node["tags"]
    }
    assert second == project.descendants("dim_genres")
    assert 2 <= len(second) < len(everything) / 2
    assert first == everything - second | {"model.netflix_assets.dim_genres"}


def test_all_attempts_are_recorded_as_one_build(project: Project, first_run: RunOutcome) -> None:
    first, second, observations = project.query(
        "select invocation_id, part, is_whole, has_passed, node_count, retry_of from ops.builds "
        f"where run_id = '{first_run.run_id}' order by started_at"
    )
    assert first[1:4] == ("models", True, False)
    assert second[1:4] == ("models", True, True)
    assert second[4] == first[4]
    assert (first[5], second[5], observations[5]) == (None, first[0], None)
    assert project.query("select is_whole, has_passed, n_failed, problem from marts.mart_pipeline_runs") == [
        (True, True, 0, None)
    ]
    record = json.loads((project.settings.published_folder / "current" / "manifest.json").read_text())
    assert record["run_id"] == first_run.run_id


def test_every_table_and_check_is_reported_once(project: Project, first_run: RunOutcome) -> None:
    run_id = first_run.run_id
    built = Counter(
        event.asset_key.to_user_string()
        for event in project.events(run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)
        if event.asset_key.path[0] != "s3"
    )
    runnable = build_defs(project.settings).resolve_asset_graph().executable_asset_keys
    assert built == Counter(key.to_user_string() for key in runnable)
    checks = project.events(run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    reported = Counter((check.asset_key, check.check_name) for each in checks if (check := each.event_specific_data))
    assert set(reported.values()) == {1}
    failed = [each.event_specific_data.check_name for each in checks if not each.event_specific_data.passed]
    assert failed == ["no_rejected_rows"]
    (retry,) = project.events(run_id, dg.DagsterEventType.STEP_UP_FOR_RETRY)
    assert RESET in retry.event_specific_data.error.cause.message


@pytest.mark.usefixtures("first_run")
def test_a_test_that_lost_its_connection_is_retried_without_rebuilding_its_asset(project: Project) -> None:
    project.restore()
    (project.settings.dbt_project / "tests" / "broken.sql").write_text(
        f"-- {{{{ fail_in_attempt([1], '{RESET}') }}}}\nselect * from {{{{ ref('dim_genres') }}}} where false\n"
    )
    # This selection does not make observations wait for the models: they are built between the two attempts.
    outcome = project.run(select='key:"core/dim_genres"+ and not key:"published/marts"')

    assert outcome.success, outcome.errors
    first, second = project.attempts(outcome.run_id)
    assert first == {"model.netflix_assets.dim_genres"}
    assert second == project.descendants("dim_genres") - first
    assert outcome.materialized.count("core/dim_genres") == 1
    assert outcome.failed_checks == ()


@pytest.mark.usefixtures("first_run")
@pytest.mark.parametrize("message", ["Binder Error: no such column", "This model has an enforced contract that failed"])
def test_a_permanent_failure_is_not_retried(project: Project, message: str) -> None:
    project.restore()
    project.make_fail("dim_genres", 1, message=message)
    outcome = project.run(select="core/dim_genres")
    assert not outcome.success
    assert len(project.attempts(outcome.run_id)) == 1
    assert any(message in error for error in outcome.errors)


@pytest.mark.usefixtures("first_run")
def test_nothing_is_retried_when_one_of_two_failures_is_permanent(project: Project) -> None:
    project.restore()
    project.make_fail("dim_genres", 1)
    project.make_fail("dim_dates", 1, message="Binder Error: no such column")
    outcome = project.run(select='key:"core/dim_genres" or key:"core/dim_dates"')
    assert not outcome.success
    assert len(project.attempts(outcome.run_id)) == 1


@pytest.mark.usefixtures("first_run")
def test_a_failing_data_test_is_not_retried(project: Project) -> None:
    project.restore()
    (project.settings.dbt_project / "tests" / "broken.sql").write_text("select * from {{ ref('dim_genres') }}\n")
    outcome = project.run(select="core/dim_genres")
    assert not outcome.success
    assert len(project.attempts(outcome.run_id)) == 1
    assert any("broken" in check for check in outcome.failed_checks)
    with open_instance(project.settings) as instance:
        logged = [entry.user_message for entry in instance.all_logs(outcome.run_id)]
    (alert,) = [text for text in logged if text.startswith("alert (NETFLIX_SLACK_TOKEN is not set):")]
    lines = alert.splitlines()
    assert lines[1] == "🔴 core/dim_genres failed"
    assert "test broken of core/dim_genres: broken found (" in lines[2]
    assert re.search(r"^Stale: dashboards/", alert, re.M)
    assert "Owner: team:" in alert


@pytest.mark.usefixtures("first_run")
def test_the_step_fails_after_the_last_attempt_and_nothing_is_published(project: Project) -> None:
    project.restore()
    project.make_fail("dim_genres", *range(1, 9))
    before = (project.settings.published_folder / "current").resolve()
    outcome = project.run()
    assert not outcome.success
    assert [len(each) for each in project.attempts(outcome.run_id)[1:]] == [1, 1, 1]
    assert any(RESET in error for error in outcome.errors)
    assert (project.settings.published_folder / "current").resolve() == before
    built = Counter(outcome.materialized)
    assert "core/dim_genres" not in built
    assert set(built.values()) == {1}


NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NODE = NodeRun("model.p.a", "model", "core", "a", "table", "error", NOON, 1.0, RESET)
TEST = CheckRun("test.p.t.1f", "t", "model.p.b", "core", "b", "generic", "error", 0, NOON, 1.0, RESET)
FIRST = Results(
    "first",
    NOON,
    [NODE, replace(NODE, node_id="model.p.b", status="success"), replace(NODE, node_id="model.p.c", status="skipped")],
    [TEST, replace(TEST, test_id="test.p.u.2f", status="pass")],
    frozenset({"model.p.d"}),
    [],
)


def test_failed_and_skipped_nodes_are_retried() -> None:
    assert FIRST.to_retry == {"model.p.a", "model.p.c", "test.p.t.1f"}
    assert retry_selection(FIRST, Path("/x")) == [
        "--select", "result:error result:skipped", "--state", "/x", "--indirect-selection", "empty",
    ]  # fmt: skip
    second = replace(
        FIRST, invocation_id="second", nodes=[replace(NODE, status="success")], tests=[replace(TEST, status="pass")]
    )
    together = second.after(FIRST)
    assert {node.node_id: node.status for node in together.nodes} == {
        "model.p.a": "success", "model.p.b": "success", "model.p.c": "skipped",
    }  # fmt: skip
    assert {test.test_id: test.status for test in together.tests} == {"test.p.t.1f": "pass", "test.p.u.2f": "pass"}
    assert together.invocation_id == "second"
    assert together.missing == {"model.p.d"}


@pytest.mark.parametrize(
    ("change", "is_reusable"),
    [("nothing", True), ("other rows", False), ("another build", False), ("no record", False), ("rows removed", False)],
)
def test_earlier_results_are_reusable_only_if_nothing_changed_since(
    change: str, is_reusable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(home=tmp_path)
    monkeypatch.setattr(dbt_module, "read_results", lambda *_: FIRST)
    inputs = {"movielens/ratings": 3}
    with warehouse(settings).open("transformer") as connection:
        connection.prepare(settings.sources()[0].datasets[0])
        builds = Builds(connection)
        builds.prepare()
        build = Build("first", "run-1", "", NOON, "models", NOON, inputs=inputs)
        builds.finish(build if change != "no record" else replace(build, finished_at=None), [], [], {})
        if change == "another build":
            builds.finish(replace(build, invocation_id="x", started_at=NOON.replace(hour=13)), [], [], {})
        if change == "rows removed":
            connection.execute("insert into ops.loads (dataset, removed_at) values ('movielens/tags', now())")
    now = {"movielens/ratings": 4} if change == "other rows" else inputs
    results = dbt_module.find_reusable_results([tmp_path], "models", "run-1", now, warehouse(settings), settings)
    assert (results is not None) == is_reusable
