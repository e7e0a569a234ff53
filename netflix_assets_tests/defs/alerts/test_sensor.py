"""Hook and sensor on real runs: which messages Slack has in the end."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from netflix_assets_tests.alerts.slack_server import CHANNEL, SlackServer, slack_server
from netflix_assets_tests.alerts.world import World, world

FAILED = "🔴 raw/shop/things failed"


class Step:
    """The behaviour of a step: retries, a callback during the run, and the error or check result at its end."""

    retries: int = 0
    meanwhile: Callable[[], object] = staticmethod(lambda: None)
    error: Exception | None = None
    check: tuple[bool, dg.AssetCheckSeverity] = (True, dg.AssetCheckSeverity.WARN)


# Written by the version that kept claims and threads: one incident delivered, one pending, a run in progress.
OLD_CURSOR = """{"since": 1700000002.8, "read": {"ec860ac0": "", "ed488ae8": "5"}, "incidents": [
  {"found": {"subject": "step:raw__shop__things", "event": "asset_materialization_failure", "state": "failed",
    "at": 1700000000.9, "title": "raw/shop/things", "cause": "ValueError: no", "assets": ["raw/shop/things"],
    "run_id": "bdd27616", "owners": ["team:shop"], "stale": ["marts/mart_things"], "stale_count": 1,
    "good_at": 1699999997.4, "good_run": "ec860ac0"},
   "opened_at": 1700000000.9, "count": 1, "to": ["slack"], "channel": "C0ALERTS", "ts": "1700000001.000001",
   "posted_at": 1700000030.2, "told": "asset_materialization_failure failed 0 1", "threaded": true,
   "claimed": "bdd27616"},
  {"found": {"subject": "step:raw__shop__prices", "event": "asset_materialization_failure", "state": "failed",
    "at": 1700000002.3, "title": "raw/shop/prices", "cause": "ValueError: no", "assets": ["raw/shop/prices"],
    "run_id": "ed488ae8", "owners": ["team:prices"]},
   "opened_at": 1700000002.3, "count": 1, "to": ["slack"], "channel": "C0ALERTS", "claimed": "ed488ae8"}],
 "away_since": 1700000090.9, "quiet_until": 0.0, "beat_at": 1700000000.0}"""

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
    yield dg.MaterializeResult()


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


def test_the_hook_posts_a_failure_at_once_and_the_sensor_does_not_repeat_it(shop: World, slack: SlackServer) -> None:
    run_things(shop)
    Step.error = ValueError("disk & table <full>")
    result = run_things(shop)
    (message,) = slack.messages
    text = message["text"]
    assert text.startswith(f"{FAILED}\n`ValueError: disk &amp; table &lt;full&gt;`\nEnvironment: local\n")
    assert "Owner: team:shop" in text
    assert "\nStale: marts/mart_things\n" in text
    assert f"http://127.0.0.1:3000/runs/{result.run_id}?focusedTime=" in text
    assert "http://127.0.0.1:3000/assets/raw/shop/things" in text
    assert shop.settle() == 1
    (parent,) = slack.parents
    assert parent["ts"] == message["ts"]
    assert "\nRun again: `netflix-assets run`\n" in text
    assert "\nWhat to do: docs/operations.md#asset_materialization_failure\n" in text
    assert shop.tick() == "1 open incident, 0 pending"
    assert len(slack.messages) == 1


def test_repeated_failures_count_up_in_one_message_until_recovery(shop: World, slack: SlackServer) -> None:
    Step.error = ValueError("no")
    for _ in range(3):
        run_things(shop)
        shop.tick()
    (parent,) = slack.parents
    assert parent["text"].startswith(f"{FAILED} 3 times\n`ValueError: no`\n")
    Step.error = None
    run_things(shop)
    shop.tick()
    assert parent["text"].startswith("🟢 raw/shop/things recovered after ")
    assert parent["metadata"]["event_payload"]["open"] is False
    Step.error = ValueError("again")
    run_things(shop)
    shop.settle()
    assert [each["text"].split("\n")[0] for each in slack.parents][1:] == [FAILED]


def test_a_running_retry_is_shown_and_recovers_in_the_same_message(shop: World, slack: SlackServer) -> None:
    seen: list[str] = []

    def look() -> None:
        shop.tick()
        seen.append(slack.parents[0]["text"].split("\n")[0])

    Step.retries, Step.meanwhile = 2, staticmethod(look)
    assert run_things(shop).success
    assert seen == ["🟡 raw/shop/things is retrying 1/3", "🟡 raw/shop/things is retrying 2/3"]
    assert "ConnectionError: the lock is held" in slack.parents[0]["text"]
    shop.settle()
    (parent,) = slack.messages
    assert parent["text"].startswith("🟢 raw/shop/things recovered after ")


def test_a_retry_that_fails_in_the_end_is_one_message(shop: World, slack: SlackServer) -> None:
    Step.retries, Step.meanwhile, Step.error = 1, staticmethod(shop.tick), ValueError("no")
    assert not run_things(shop).success
    shop.settle()
    assert [each["text"].split("\n")[0] for each in slack.parents] == [FAILED]


def test_a_retry_that_succeeds_between_ticks_is_not_reported(shop: World, slack: SlackServer) -> None:
    Step.retries = 2
    assert run_things(shop).success
    assert shop.settle() == 1
    assert slack.messages == []


def test_the_sensor_posts_failures_that_the_hook_missed(shop: World, slack: SlackServer) -> None:
    slack.fault = lambda _: "500 before"
    Step.error = ValueError("no")
    run_things(shop)
    assert slack.messages == []
    slack.fault = lambda _: None
    shop.settle()
    assert [each["text"].split("\n")[0] for each in slack.parents] == [FAILED]


def test_without_a_sensor_the_hook_posts_the_first_failure_after_each_success(shop: World, slack: SlackServer) -> None:
    for error in (ValueError("no"), ValueError("no"), None, ValueError("again")):
        Step.error = error
        run_things(shop)
    assert [each["text"].split("\n")[1] for each in slack.parents] == ["`ValueError: no`", "`ValueError: again`"]
    shop.settle()
    first, second = slack.parents
    assert first["text"].split("\n")[0].endswith("(failed 2 times)")
    assert second["text"].startswith(f"{FAILED}\n`ValueError: again`\n")


def test_without_read_access_only_the_sensor_posts(shop: World, slack: SlackServer) -> None:
    slack.unreadable = True
    Step.error = ValueError("no")
    for _ in range(2):
        run_things(shop)
        assert not slack.messages or shop.state.incidents
        shop.settle()
    assert [each["text"].split("\n")[0] for each in slack.parents] == [f"{FAILED} 2 times"]


def test_a_cursor_of_an_earlier_version_goes_on(shop: World, slack: SlackServer) -> None:
    old = {"ts": "1700000001.000001", "text": FAILED, "channel": CHANNEL, "blocks": [{"type": "divider"}]}
    slack.messages.append(old)
    shop.cursor = OLD_CURSOR
    assert shop.tick() == "2 open incidents, 0 pending"
    assert [each["text"].split("\n")[0] for each in slack.parents] == [FAILED, "🔴 raw/shop/prices failed"]
    run_things(shop)
    assert shop.tick() == "1 open incident, 0 pending"
    assert slack.parents[0]["text"].startswith("🟢 raw/shop/things recovered")
    assert slack.parents[0]["blocks"] == []
    assert len(slack.messages) == 2


@pytest.mark.parametrize("fault", ["500 after", "reset after", "silence after", "html"])
def test_a_message_whose_answer_was_lost_is_found_in_the_channel(shop: World, slack: SlackServer, fault: Any) -> None:
    slack.fault = lambda method: fault if method == "chat.postMessage" else None
    Step.error = ValueError("no")
    run_things(shop)
    assert len(slack.messages) == (fault != "html")
    slack.fault = lambda _: None
    shop.settle()
    assert len(slack.parents) == 1


def test_a_tick_whose_cursor_was_lost_posts_nothing_twice(shop: World, slack: SlackServer) -> None:
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


def test_a_silent_slack_costs_a_run_two_seconds_and_does_not_fail_it(shop: World, slack: SlackServer) -> None:
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


def test_skipped_assets_fold_into_their_failure_and_two_causes_are_two_incidents(
    shop: World, slack: SlackServer
) -> None:
    Step.error = ValueError("no")
    shop.run()
    shop.settle()
    heads = sorted(each["text"].split("\n")[0] for each in slack.parents)
    assert heads == ["🔴 raw/shop/prices failed", FAILED]
    assert ["team:prices" in each["text"] for each in slack.parents].count(True) == 1


def test_a_run_without_a_failed_step_is_an_incident_of_its_job(shop: World, slack: SlackServer) -> None:
    run = shop.instance.create_run_for_job(shop.defs.resolve_job_def("all_of_it"), status=dg.DagsterRunStatus.STARTED)
    shop.tick()
    shop.instance.report_run_failed(run, "the process of the run (pid 7) is gone")
    shop.settle()
    (parent,) = slack.parents
    assert parent["text"].startswith("🔴 run of all_of_it failed\n`the process of the run (pid 7) is gone`")
    assert "\nRun again: `netflix-assets run`\n" in parent["text"]
    shop.run()
    shop.settle()
    assert parent["text"].startswith("🟢 run of all_of_it recovered")


def test_a_failed_blocking_check_is_a_detail_of_its_step(shop: World, slack: SlackServer) -> None:
    run_things(shop)
    Step.check = (False, dg.AssetCheckSeverity.ERROR)
    for _ in range(2):  # each time the asset is materialized before the check fails
        assert not run_things(shop).success
        shop.settle()
    (parent,) = slack.parents
    assert parent["text"].startswith(f"{FAILED} 2 times\n")
    assert "failed check: is_whole of raw/shop/things: 3 of 9" in parent["text"]


def test_a_warning_check_is_reported_once_until_it_passes(shop: World, slack: SlackServer) -> None:
    Step.check = (False, dg.AssetCheckSeverity.WARN)
    for _ in range(2):
        assert run_things(shop).success
        shop.settle()
    (parent,) = slack.parents
    assert parent["text"].startswith("🟠 check is_usual of raw/shop/things failed 2 times\n`3 of 9`\n")
    Step.check = (True, dg.AssetCheckSeverity.WARN)
    run_things(shop)
    shop.settle()
    assert parent["text"].startswith("🟢 check is_usual of raw/shop/things recovered")


def test_a_long_run_is_reported_and_recovers(shop: World, slack: SlackServer) -> None:
    Step.meanwhile = staticmethod(lambda: [shop.tick(3 * 3_600), shop.tick()])
    run_things(shop)
    shop.settle()
    (parent,) = slack.parents
    assert parent["text"].startswith("🟢 run of all_of_it recovered after ")
    assert "longer than 120" in parent["text"]
