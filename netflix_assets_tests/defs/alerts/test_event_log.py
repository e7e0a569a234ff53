"""Conditions outside runs: failing sensors, files that do not load, stale data."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster_shared.error import SerializableErrorInfo

from netflix_assets.defs.landing.cursor import Cursor
from netflix_assets_tests.alerts.slack_server import SlackServer, slack_server
from netflix_assets_tests.alerts.world import World, world

WINDOW = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=2), warn_window=timedelta(days=1))
LANDING = dg.AssetSpec(["s3", "shop", "things"], freshness_policy=WINDOW, owners=["team:shop"])


@dg.asset(key=["raw", "shop", "things"], deps=[LANDING], freshness_policy=WINDOW)
def raw() -> None:
    pass


@dg.sensor(name="landing", job_name="all_of_it")
def landing() -> None:
    pass


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with slack_server() as server:
        yield server


@pytest.fixture
def shop(tmp_path: Path, slack: SlackServer) -> Iterator[World]:
    with world(tmp_path, LANDING, raw, slack=slack, extra={"sensors": [landing]}) as found:
        yield found


def head(slack: SlackServer) -> list[str]:
    return [each["text"].split("\n")[0].split(" after ")[0] for each in slack.parents]


class Landing:
    """The landing sensor's ticks, as the daemon records them."""

    def __init__(self, shop: World) -> None:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("netflix_assets"), "__repository__")
        origin = RemoteInstigatorOrigin(repository, "landing")
        self.instance = shop.instance
        self.state = InstigatorState(
            origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData(cursor=None)
        )
        self.instance.add_instigator_state(self.state)

    def tick(self, status: TickStatus, problem: str = "", cursor: str | None = None) -> None:
        error = SerializableErrorInfo(f"RuntimeError: {problem}\n", [], "RuntimeError") if problem else None
        origin, selector = self.state.instigator_origin_id, self.state.selector_id
        self.instance.create_tick(
            TickData(origin, "landing", InstigatorType.SENSOR, status, time.time(), error=error, selector_id=selector)
        )
        self.state = self.state.with_data(SensorInstigatorData(cursor=cursor))
        self.instance.update_instigator_state(self.state)


def test_a_failing_sensor_is_reported_once_and_recovers(shop: World, slack: SlackServer) -> None:
    sensor = Landing(shop)
    sensor.tick(TickStatus.SKIPPED)
    shop.tick()
    for _ in range(3):
        sensor.tick(TickStatus.FAILURE, "no credentials: https://ada:hunter2@s3.example")
        sensor.tick(TickStatus.STARTED)
        shop.tick()
    shop.settle()
    assert head(slack) == ["🔴 sensor landing is failing"]
    assert "RuntimeError: no credentials: https://(not shown)@s3.example" in slack.parents[0]["text"]
    sensor.tick(TickStatus.SKIPPED)
    shop.settle()
    assert head(slack) == ["🟢 sensor landing recovered"]


def test_exhausted_files_are_reported(shop: World, slack: SlackServer) -> None:
    sensor = Landing(shop)
    asked = Cursor({"shop/things": "x"}, "basis", count=7, attempt=3, requested_at=1.0)
    sensor.tick(TickStatus.SKIPPED, cursor=asked.to_text())
    shop.settle()
    assert head(slack) == []
    sensor.tick(TickStatus.SKIPPED, cursor=replace(asked, exhausted=True).to_text())
    shop.tick()
    shop.settle()
    assert head(slack) == ["🔴 new files are not loading"]
    assert "3 runs failed for the same files" in slack.parents[0]["text"]
    sensor.tick(TickStatus.SKIPPED, cursor=replace(asked, count=8, attempt=1).to_text())
    shop.settle()
    assert head(slack) == ["🟢 new files recovered"]


def test_stale_assets_downstream_fold_into_the_one_upstream(shop: World, slack: SlackServer) -> None:
    keys = [LANDING.key, dg.AssetKey(["raw", "shop", "things"])]

    def become(state: FreshnessState) -> None:
        for key in keys:
            change = FreshnessStateChange(
                key=key, new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=time.time()
            )
            shop.instance.report_runless_asset_event(change)

    become(FreshnessState.WARN)
    shop.tick()
    shop.settle()
    assert head(slack) == ["🟠 s3/shop/things is late"]
    assert "Owner: team:shop" in slack.parents[0]["text"]
    assert "Stale: raw/shop/things" in slack.parents[0]["text"]
    become(FreshnessState.FAIL)
    shop.settle()
    assert head(slack) == ["🔴 s3/shop/things is overdue"]
    become(FreshnessState.PASS)
    shop.settle()
    assert head(slack) == ["🟢 s3/shop/things recovered"]


def test_an_idle_tick_sends_nothing_and_keeps_a_small_cursor(shop: World, slack: SlackServer) -> None:
    shop.tick()
    slack.calls.clear()
    assert shop.tick() == "no open incidents"
    assert slack.calls == []
    assert set(json.loads(shop.cursor or "")) == {"since"}
