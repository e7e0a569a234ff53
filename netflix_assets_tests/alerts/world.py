"""A small asset graph with alerts: real runs on Dagster's SQLite storage, real HTTP to the test Slack server."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from netflix_assets.alerts.incidents import AlertState
from netflix_assets.alerts.rules import Rule, Rules
from netflix_assets.defs.alerts.hook import Alerting, slack_on_failure
from netflix_assets.defs.alerts.sensor import alerts_sensor
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import Settings, read_settings
from netflix_assets_tests.alerts.slack_server import CHANNEL, TOKEN, SlackServer

EVERYTHING = Rules(
    rules=(
        Rule(
            events=(
                "asset_materialization_failure",
                "job_failure",
                "step_retry",
                "asset_check_severity_error",
                "asset_check_severity_warn",
                "asset_freshness_fail",
                "asset_freshness_warn",
                "tick_failure",
                "job_long_running",
                "files_parked",
                "objects_refused",
            ),
            to=("slack", "sns"),
        ),
    ),
)


@dataclass
class World:
    """Assets with the hook and the sensor. The sensor's clock runs ahead of the real one."""

    settings: Settings
    instance: dg.DagsterInstance
    assets: list[Any]
    rules: Rules = EVERYTHING
    cursor: str | None = None
    later: float = 0.0
    log: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        alerting = replace(Alerting.of(self.settings, self.settings.sources(), self.assets), rules=self.rules)
        hook = slack_on_failure(alerting)
        self.sensor = alerts_sensor(alerting)
        hooked = [each.with_hooks({hook}) if isinstance(each, dg.AssetsDefinition) else each for each in self.assets]
        self.defs = dg.Definitions(
            assets=hooked,
            jobs=[dg.define_asset_job("all_of_it", selection=dg.AssetSelection.all())],
            executor=dg.in_process_executor,
            **self.extra,
        )
        self.tick(0)  # earlier runs are not reported

    def run(self, *assets: str, **options: Any) -> dg.ExecuteInProcessResult:
        return self.defs.resolve_job_def("all_of_it").execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey.from_user_string(each) for each in assets] or None,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            **options,
        )

    def tick(self, after: float = 30.0) -> str:
        """The summary of a tick some seconds later."""
        self.later += after
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, repository_def=self._repository())
        now = time.time() + self.later
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("netflix_assets.defs.alerts.sensor.time.time", lambda: now)
            result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return str(result.skip_message)

    def settle(self, most: int = 200) -> int:
        """Tick until nothing is pending. Returns the number of ticks."""
        for number in range(1, most + 1):
            if not re.search(r"[1-9]\d* pending$", self.tick()):
                return number
        raise AssertionError(f"still pending after {most} ticks: {self.tick()}")

    @property
    def state(self) -> AlertState:
        return AlertState.from_cursor(self.cursor or "")

    def _repository(self) -> Any:
        return self.defs.get_repository_def() if self.extra else None


@contextmanager
def world(home: Path, *assets: Any, slack: SlackServer | None = None, **options: Any) -> Iterator[World]:
    """A world with its own Dagster instance."""
    given = {"slack_token": TOKEN, "slack_channel": CHANNEL, "slack_base_url": slack.url} if slack else {}
    kept = {name: options.pop(name) for name in ("rules", "extra") if name in options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        settings = read_settings(home=home, **{**given, **options})
        with open_instance(settings) as instance:
            yield World(settings, instance, list(assets), **kept)
