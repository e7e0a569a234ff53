"""When the schedules tick: at the documented hour in UTC, whatever time zone the machine is in."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from netflix_assets.defs.schedules import schedules
from netflix_assets.settings import read_settings

# Where clocks go forward and back, also at midnight (Beirut) and by half an hour (Lord Howe); and where they never do.
ZONES = ("America/New_York", "Asia/Beirut", "Australia/Lord_Howe", "Asia/Kolkata")
# The days in 2026 (UTC) on which clocks change in one of them.
CHANGES = ((3, 8), (3, 28), (4, 4), (10, 3), (10, 24), (11, 1))
UTC_TIMES = {"daily": (5, 0), "tidy": (3, 30)}


@pytest.fixture(params=ZONES)
def machine_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def ticks(schedule: dg.ScheduleDefinition, start: datetime, count: int) -> list[datetime]:
    """The next ticks, as Dagster's daemon works them out."""
    found = schedule_execution_time_iterator(
        start.timestamp(), schedule.cron_schedule, schedule.execution_timezone or "UTC"
    )
    return [each.astimezone(UTC) for each in islice(found, count)]


@pytest.mark.parametrize("change", CHANGES)
def test_no_tick_is_lost_or_doubled_when_clocks_change(machine_zone: str, change: tuple[int, int]) -> None:
    settings = read_settings()
    start = datetime(2026, *change, tzinfo=UTC) - timedelta(days=2)
    found = {each.name: ticks(each, start, 5) for each in schedules(settings, settings.sources())}
    assert found == {
        name: [start.replace(hour=hour, minute=minute) + timedelta(days=day) for day in range(5)]
        for name, (hour, minute) in UTC_TIMES.items()
    }
