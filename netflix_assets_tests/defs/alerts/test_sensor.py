"""Real runs that fail, and what Slack has of them in the end."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from netflix_assets_tests.alerts.slack_server import SlackServer, slack_server
from netflix_assets_tests.alerts.world import World, world

FAILED = "🔴 raw/shop/things failed"


class Step:
    """What a step does: how often it asks for a retry first, what it does meanwhile, how it ends."""

    retries: int = 0
    meanwhile: Callable[[], object] = staticmethod(lambda: None)
    error: Exception | None = None
    check: tuple[bool, dg.AssetCheckSeverity] = (True, dg.AssetCheckSeverity.WARN)


THINGS = dg.AssetKey(["raw", "shop", "things"])


@dg.asset(
    key=THINGS,
    owners=["team:shop"],
    check_specs=[
        dg.AssetCheckSpec("is_whole", asset=THINGS, blocking=True),
        dg.AssetCheckSpec("is_usual", asset=THINGS),
    ],
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2)),
)
def things(context: dg.AssetExecutionContext) -> Iterator[Any]:
    if context.retry_number:
        Step.meanwhile()
    if context.retry_number < Step.retries:
        raise dg.RetryRequested(max_retries=3, seconds_to_wait=0) from ConnectionError("the lock is held")
    if not Step.retries:
        Step.meanwhile()
    if Step.error:
        raise Step.error
    passed, severity = Step.check
    name = "is_whole" if severity == dg.AssetCheckSeverity.ERROR else "is_usual"
    for each in ("is_whole", "is_usual"):
        own = each != name or passed
        yield dg.AssetCheckResult(check_name=each, passed=own, severity=severity, description=None if own else "3 of 9")
    yield dg.MaterializeResult(metadata={"rows_rejected": 4})


@dg.asset(key=["marts", "mart_things"], deps=[things])
def mart() -> None:
    pass


@dg.asset(key=["raw", "shop", "prices"], owners=["team:prices"])
def prices() -> None:
    if Step.error:
        raise Step.error


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


@pytest.fixture
def shop(tmp_path: Path, slack: SlackServer) -> Iterator[World]:
    Step.retries, Step.error, Step.meanwhile = 0, None, staticmethod(lambda: None)
    Step.check = (True, dg.AssetCheckSeverity.WARN)
    slack.forget()
    with world(tmp_path, things, mart, prices, slack=slack) as found:
        yield found


def run_things(shop: World) -> dg.ExecuteInProcessResult:
    return shop.run("raw/shop/things", "marts/mart_things")


def test_a_failure_is_told_by_the_hook_at_once_and_by_nobody_again(shop: World, slack: SlackServer) -> None:
    good = run_things(shop)
    Step.error = ValueError("disk & table <full>")
    result = run_things(shop)
    (message,) = slack.messages
    text = message["text"]
    assert text.startswith(f"{FAILED}\nValueError: disk & table <full>\nEnvironment: local\n")
    assert "Owner: team:shop" in text
    assert f"({good.run_id[:8]})" in text
    assert "Stale since 20" in text
    assert f"http://127.0.0.1:3000/runs/{result.run_id}?focusedTime=" in text
    assert "http://127.0.0.1:3000/assets/raw/shop/things" in text
    assert "disk &amp; table &lt;full&gt;" in str(message["blocks"])
    assert shop.settle() == 1
    (parent,) = slack.parents
    assert parent["ts"] == message["ts"]
    assert """Run again: netflix-assets run --select 'key:"raw/shop/things"+'""" in text
    assert shop.tick() == "1 open incidents, 0 pending"
    assert len(slack.messages) == 1


def test_the_same_again_counts_up_in_the_same_message_until_it_has_recovered(shop: World, slack: SlackServer) -> None:
    Step.error = ValueError("no")
    for _ in range(3):
        run_things(shop)
        shop.tick()
    (parent,) = slack.parents
    assert parent["text"].startswith(f"{FAILED} 3 times\nValueError: no\n")
    Step.error = None
    run_things(shop)
    shop.tick()
    assert parent["text"].startswith("🟢 raw/shop/things recovered after ")
    assert parent["metadata"]["event_payload"]["open"] is False
    Step.error = ValueError("again")
    run_things(shop)
    shop.settle()
    assert [each["text"].split("\n")[0] for each in slack.parents][1:] == [FAILED]


def test_a_retry_under_way_is_told_and_the_same_message_says_that_it_has_recovered(
    shop: World, slack: SlackServer
) -> None:
    said: list[str] = []

    def look() -> None:
        shop.tick()
        said.append(slack.parents[0]["text"].split("\n")[0])

    Step.retries, Step.meanwhile = 2, staticmethod(look)
    assert run_things(shop).success
    assert said == ["🟡 raw/shop/things is retrying 1/3", "🟡 raw/shop/things is retrying 2/3"]
    assert "ConnectionError: the lock is held" in slack.parents[0]["text"]
    shop.settle()
    (parent,) = slack.messages
    assert parent["text"].startswith("🟢 raw/shop/things recovered after ")


def test_a_retry_under_way_that_fails_after_all_is_one_message(shop: World, slack: SlackServer) -> None:
    Step.retries, Step.meanwhile, Step.error = 1, staticmethod(shop.tick), ValueError("no")
    assert not run_things(shop).success
    shop.settle()
    assert [each["text"].split("\n")[0] for each in slack.parents] == [FAILED]


def test_a_retry_that_is_over_before_anybody_looks_is_no_news(shop: World, slack: SlackServer) -> None:
    Step.retries = 2
    assert run_things(shop).success
    assert shop.settle() == 1
    assert slack.messages == []


def test_without_a_hook_the_sensor_tells(shop: World, slack: SlackServer) -> None:
    slack.fault = lambda _: "500 before"
    Step.error = ValueError("no")
    run_things(shop)
    assert slack.messages == []
    slack.fault = lambda _: None
    shop.settle()
    assert [each["text"].split("\n")[0] for each in slack.parents] == [FAILED]


@pytest.mark.parametrize("fault", ["500 after", "reset after", "silence after", "html"])
def test_what_was_posted_without_an_answer_is_found_in_the_channel(shop: World, slack: SlackServer, fault: Any) -> None:
    slack.fault = lambda method: fault if method == "chat.postMessage" else None
    Step.error = ValueError("no")
    run_things(shop)
    assert len(slack.messages) == (fault != "html")
    slack.fault = lambda _: None
    shop.settle()
    assert len(slack.parents) == 1


def test_a_tick_whose_memory_was_lost_posts_nothing_twice(shop: World, slack: SlackServer) -> None:
    slack.fault = lambda _: "500 before"
    Step.error = ValueError("no")
    run_things(shop)
    slack.fault = lambda _: None
    before = shop.cursor
    shop.tick()
    shop.cursor = before
    shop.tick()
    shop.settle()
    assert len(slack.parents) == 1


def test_a_silent_slack_costs_two_seconds_and_no_result(shop: World, slack: SlackServer) -> None:
    Step.error = ValueError("no")
    slack.fault, slack.silence_s = lambda _: "silence before", 8.0
    began = time.monotonic()
    result = run_things(shop)
    assert time.monotonic() - began < 2.0 + 2.5
    assert not result.success
    assert [each.step_key for each in result.get_step_failure_events()] == ["raw__shop__things"]
    assert [each for each in result.all_events if each.event_type_value == "HOOK_ERRORED"] == []
    slack.forget()
    shop.settle()
    assert len(slack.parents) == 1


def test_what_is_skipped_after_a_failure_folds_and_two_causes_are_two_incidents(
    shop: World, slack: SlackServer
) -> None:
    Step.error = ValueError("no")
    shop.run()
    shop.settle()
    heads = sorted(each["text"].split("\n")[0] for each in slack.parents)
    assert heads == ["🔴 raw/shop/prices failed", FAILED]
    assert ["team:prices" in each["text"] for each in slack.parents].count(True) == 1


def test_a_run_that_died_without_a_step_and_the_next_one_that_did_not(shop: World, slack: SlackServer) -> None:
    run = shop.instance.create_run_for_job(shop.defs.resolve_job_def("all_of_it"), status=dg.DagsterRunStatus.STARTED)
    shop.tick()
    shop.instance.report_run_failed(run, "the process of the run (pid 7) is gone")
    shop.settle()
    (parent,) = slack.parents
    assert parent["text"].startswith("🔴 run of all_of_it failed\nthe process of the run (pid 7) is gone")
    assert "\nRun again: netflix-assets run\n" in parent["text"]
    shop.run()
    shop.settle()
    assert parent["text"].startswith("🟢 run of all_of_it recovered")


def test_a_blocking_check_is_the_cause_of_its_step_and_stands_in_the_thread(shop: World, slack: SlackServer) -> None:
    good = run_things(shop)
    Step.check = (False, dg.AssetCheckSeverity.ERROR)
    for _ in range(2):  # the asset is made each time, and then the check fails
        assert not run_things(shop).success
        shop.settle()
    (parent,) = slack.parents
    assert parent["text"].startswith(f"{FAILED} 2 times\n")
    assert f"({good.run_id[:8]})" in parent["text"]
    assert "failed check: is_whole of raw/shop/things: 3 of 9" in parent["text"]
    assert "4 rejected rows in raw/shop/things" in parent["text"]


def test_a_check_that_warns_is_told_once_until_it_passes(shop: World, slack: SlackServer) -> None:
    Step.check = (False, dg.AssetCheckSeverity.WARN)
    for _ in range(2):
        assert run_things(shop).success
        shop.settle()
    (parent,) = slack.parents
    assert parent["text"].startswith("🟠 check is_usual of raw/shop/things failed\n3 of 9\n")
    Step.check = (True, dg.AssetCheckSeverity.WARN)
    run_things(shop)
    shop.settle()
    assert parent["text"].startswith("🟢 check is_usual of raw/shop/things recovered")


def test_a_run_that_takes_long(shop: World, slack: SlackServer) -> None:
    Step.meanwhile = staticmethod(lambda: [shop.tick(3 * 3_600), shop.tick()])
    run_things(shop)
    shop.settle()
    (parent,) = slack.parents
    assert parent["text"].startswith("🟢 run of all_of_it recovered after ")
    assert "longer than 120" in parent["text"]


def test_many_at_once_are_one_digest(shop: World, slack: SlackServer, tmp_path: Path) -> None:
    slack.fault = lambda _: "500 before"
    Step.error = ValueError("no")
    rules = shop.rules.model_copy(update={"digest_above": 1})
    with world(tmp_path / "other", things, mart, prices, slack=slack, rules=rules) as other:
        other.run()
        slack.fault = lambda _: None
        other.settle()
        (parent,) = slack.parents
        assert parent["text"].split("\n") == [
            "🔴 2 incidents in local",
            "• 🔴 raw/shop/prices failed: ValueError: no",
            f"• {FAILED}: ValueError: no",
            """Run again: netflix-assets run --select 'key:"raw/shop/prices"+ or key:"raw/shop/things"+'""",
        ]
        Step.error = None
        other.run("raw/shop/prices")
        other.settle()
        assert parent["text"].startswith("🔴 2 incidents in local, 1 recovered\n• 🟢 raw/shop/prices recovered")
        other.run()
        other.settle()
        assert parent["text"].startswith("🟢 2 incidents in local, 2 recovered")
        assert [each.subject for each in other.state.incidents if each.is_open] == []
