"""A dbt build with a transient failure: which nodes are rebuilt, what Dagster is told, what may be served.

The tests of this module run in order in one home, because each full run takes seconds. Nodes fail inside dbt: they ask
the build markers which attempt of the run this is.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator

import dagster as dg
import pytest

from netflix_assets.definitions import build_defs
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets_tests.defs.project_copy import RESET, Project, project_copy
from netflix_assets_tests.demo import Demo, built_by_a_run

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def project(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project_copy(demo, tmp_path_factory.mktemp("retries")) as found:
        yield found


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
        if node["resource_type"] in ("model", "seed", "snapshot") and node["config"]["materialized"] != "ephemeral"
    }
    assert second == project.descendants("dim_genres")
    assert 2 <= len(second) < len(everything) / 2
    assert first == everything - second | {"model.netflix_assets.dim_genres"}


def test_all_attempts_are_recorded_as_one_build(project: Project, first_run: RunOutcome) -> None:
    first, second = project.query(
        "select invocation_id, part, is_whole, has_passed, node_count, retry_of from ops.builds "
        f"where run_id = '{first_run.run_id}' order by started_at"
    )
    assert first[1:4] == ("models", True, False)
    assert second[1:4] == ("models", True, True)
    assert second[4] == first[4]
    assert (first[5], second[5]) == (None, first[0])
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
    runnable = built_by_a_run(build_defs(project.settings))
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
    # The records of builds are downstream of every node, and the views of them of these.
    outcome = project.run(select='key:"core/dim_genres"+ and not (group:"operations" or key:"published/marts")')

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
