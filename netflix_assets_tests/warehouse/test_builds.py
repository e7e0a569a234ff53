"""The record of builds: what may be served after builds that passed, failed, were killed or were run by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds, CheckRun, NodeRun, NotServableError

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MODELS = Build(
    "models-1", "run-1-of-the-day", "", NOON, NOON + timedelta(seconds=9), is_whole=True, has_passed=True,
    node_count=20, test_count=90, inputs={"movielens/ratings": 3},
)  # fmt: skip


def later(build: Build, **changes: object) -> Build:
    """The same build a day later."""
    return replace(
        build,
        **{
            "invocation_id": f"{build.invocation_id}-later",
            "run_id": "run-2-of-the-day",
            "started_at": build.started_at + timedelta(days=1),
            **changes,
        },
    )


@pytest.fixture
def builds(warehouse: Warehouse) -> Builds:
    warehouse.make_schema("ops")
    builds = Builds(warehouse)
    builds.prepare()
    return builds


def finish(builds: Builds, *finished: Build) -> None:
    for build in finished:
        builds.finish(build, [], [], {})


def begin(warehouse: Warehouse, build: Build) -> None:
    """Record the start of a build, as dbt's hook does."""
    warehouse.execute(
        "insert into ops.builds (invocation_id, run_id, schema_prefix, started_at) values (?, ?, ?, ?)",
        (build.invocation_id, build.run_id, build.schema_prefix, build.started_at.replace(tzinfo=None)),
    )


def test_a_complete_passed_build_is_servable_and_read_back_unchanged(builds: Builds) -> None:
    finish(builds, MODELS)
    assert builds.servable() == MODELS
    assert builds.all() == [MODELS]
    finish(builds, later(MODELS))
    assert builds.servable() == later(MODELS)


def test_the_second_invocations_of_older_versions_do_not_matter(builds: Builds, warehouse: Warehouse) -> None:
    finish(builds, MODELS, later(MODELS, has_passed=False, problem="marts/x: broken"))
    warehouse.execute("update ops.builds set part = 'observations' where not has_passed")
    assert builds.servable() == MODELS
    assert builds.all() == [MODELS]


def test_a_finished_build_replaces_its_started_record(builds: Builds, warehouse: Warehouse) -> None:
    begin(warehouse, MODELS)
    finish(builds, MODELS)
    assert builds.all() == [MODELS]


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ([], "no build has been recorded yet"),
        (
            [MODELS, later(MODELS, has_passed=False, problem="test relevance_score_test: Got 2 results")],
            "of run run-2-of at 2026-05-02 12:00 UTC failed: test relevance_score_test: Got 2 results",
        ),
        (
            [MODELS, later(MODELS, is_whole=False, node_count=3, test_count=7)],
            "covered 3 nodes and 7 tests, not all",
        ),
    ],
)
def test_a_partial_or_failed_build_is_not_servable(builds: Builds, after: list[Build], reason: str) -> None:
    finish(builds, *after)
    with pytest.raises(NotServableError, match=reason) as refused:
        builds.servable()
    assert "netflix-assets run" in str(refused.value)


@pytest.mark.parametrize(
    ("started", "reason"),
    [
        (later(MODELS), "of run run-2-of at 2026-05-02 12:00 UTC has not ended: it is running or was killed"),
        (later(MODELS, run_id=""), "dbt was run by hand at 2026-05-02 12:00 UTC"),
    ],
)
def test_an_unfinished_build_blocks_serving_until_the_next_complete_build(
    builds: Builds, warehouse: Warehouse, started: Build, reason: str
) -> None:
    finish(builds, MODELS)
    begin(warehouse, started)
    with pytest.raises(NotServableError, match=reason):
        builds.servable()
    day_after = later(later(MODELS))
    finish(builds, day_after)
    assert builds.servable() == day_after


def test_overlapping_builds_are_not_servable(builds: Builds) -> None:
    slow = replace(MODELS, invocation_id="slow", started_at=NOON - timedelta(seconds=5))
    slow = replace(slow, finished_at=NOON + timedelta(seconds=60), has_passed=False, problem="core/x: broken")
    finish(builds, slow, MODELS)
    with pytest.raises(NotServableError, match="overlapped"):
        builds.servable()


FAILED = replace(
    MODELS,
    invocation_id="models-0",
    started_at=NOON - timedelta(minutes=1),
    finished_at=NOON - timedelta(seconds=1),
    has_passed=False,
    problem="core/x: reset",
)
RETRY = replace(MODELS, retry_of="models-0")
STRANGER = replace(
    MODELS,
    invocation_id="stranger",
    run_id="another-run",
    started_at=NOON - timedelta(seconds=30),
    finished_at=NOON - timedelta(seconds=1),
)


@pytest.mark.parametrize(
    "recorded",
    [
        [FAILED, RETRY],
        [RETRY, FAILED],
        [STRANGER, replace(FAILED, started_at=NOON - timedelta(seconds=20)), RETRY],
        [FAILED, STRANGER, RETRY],
    ],
)
def test_the_last_attempt_decides_whether_a_build_is_servable(builds: Builds, recorded: list[Build]) -> None:
    finish(builds, *recorded)
    assert builds.servable() == RETRY


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        ([FAILED, replace(RETRY, has_passed=False, problem="core/y: reset")], "failed: core/y: reset"),
        ([FAILED, replace(RETRY, is_whole=False)], "not all"),
    ],
)
def test_a_broken_chain_of_attempts_is_not_servable(builds: Builds, recorded: list[Build], reason: str) -> None:
    finish(builds, *recorded)
    with pytest.raises(NotServableError, match=reason):
        builds.servable()


def test_an_attempt_retries_the_one_before_it_in_its_run(builds: Builds, warehouse: Warehouse) -> None:
    killed = replace(FAILED, invocation_id="killed", finished_at=None)
    begin(warehouse, killed)
    assert builds.last_attempt(FAILED.run_id, "killed") is None
    finish(builds, STRANGER, replace(FAILED, retry_of="killed"), RETRY)
    assert builds.last_attempt(FAILED.run_id, "new") == RETRY.invocation_id
    assert builds.last_attempt("a run without builds", "new") is None


def test_what_was_confirmed_is_as_fresh_as_what_was_built(builds: Builds) -> None:
    node = NodeRun("model.x.fct", "model", "core", "fct", "table", "success", NOON, 1.5, "OK")
    builds.finish(MODELS, [node], [], {})
    assert builds.newest_runs() == {("core", "fct"): NOON}
    assert builds.confirmed_at(MODELS.invocation_id) is None
    before = datetime.now(UTC)
    builds.confirm()
    assert builds.confirmed_at(MODELS.invocation_id) >= before
    assert builds.newest_runs()["core", "fct"] >= before
    builds.finish(later(MODELS, is_whole=False), [], [], {})  # of other nodes; says nothing of this one
    assert builds.newest_runs()["core", "fct"] < datetime.now(UTC)


def test_nothing_is_servable_while_a_retry_is_running(builds: Builds, warehouse: Warehouse) -> None:
    finish(builds, FAILED)
    begin(warehouse, RETRY)
    with pytest.raises(NotServableError, match="has not ended: it is running or was killed"):
        builds.servable()


def test_each_branch_has_separate_builds(builds: Builds, warehouse: Warehouse) -> None:
    finish(builds, MODELS, later(MODELS, schema_prefix="branch_7_", has_passed=False))
    assert builds.servable() == MODELS
    with pytest.raises(NotServableError):
        Builds(warehouse, "branch_7_").servable()


def test_results_are_stored_with_a_sample_of_the_failing_rows(builds: Builds, warehouse: Warehouse) -> None:
    node = NodeRun("model.x.fct", "model", "core", "fct", "table", "success", NOON, 1.5, "OK", 7)
    test = CheckRun("test.x.t", "t", "model.x.fct", "core", "fct", "generic", "fail", 2, NOON, 0.5, "Got 2")
    builds.finish(MODELS, [node], [test], {"test.x.t": [{"title": "Amélie", "n": 1}, {"title": None, "n": 2}]})
    assert warehouse.execute("select node_id, seconds, row_count, started_at from ops.node_runs") == [
        ("model.x.fct", 1.5, 7, NOON.replace(tzinfo=None))
    ]
    assert warehouse.execute("select test_id, status, failures, run_id from ops.test_results") == [
        ("test.x.t", "fail", 2, MODELS.run_id)
    ]
    assert [row[0] for row in warehouse.execute("select row_text from ops.failing_rows order by row_number")] == [
        '{"title": "Amélie", "n": 1}',
        '{"title": null, "n": 2}',
    ]


def test_a_missing_column_is_added(builds: Builds, warehouse: Warehouse) -> None:
    finish(builds, MODELS)
    warehouse.execute("alter table ops.builds drop column inputs")
    builds.prepare()
    assert builds.all() == [replace(MODELS, inputs=None)]
