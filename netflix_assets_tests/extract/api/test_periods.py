"""Which periods are requested, and when."""

from datetime import UTC, date, datetime, timedelta

import pytest

from netflix_assets.contracts.request import Request, fill
from netflix_assets.extract.api.periods import period_named, periods_between, recent_periods

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)


def request(**changes: object) -> Request:
    return Request.model_validate(
        {"path": "/", "per": "day", "start": "2026-01-01", "ready_after_minutes": 1440, **changes}
    )


def names(request: Request, first: str, last: str, now: datetime = NOW) -> list[str]:
    return [each.name for each in periods_between(request, date.fromisoformat(first), date.fromisoformat(last), now)]


def test_days_are_in_the_providers_time_zone() -> None:
    day = period_named(request(time_zone=BERLIN), "2026-11-27")
    assert (day.start.isoformat(), day.end.isoformat()) == ("2026-11-27T00:00:00+01:00", "2026-11-28T00:00:00+01:00")


@pytest.mark.parametrize(("name", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-27", 24)])
def test_a_day_with_a_clock_change_is_whole(name: str, hours: int) -> None:
    day = period_named(request(time_zone=BERLIN), name)
    assert day.end.astimezone(UTC) - day.start.astimezone(UTC) == timedelta(hours=hours)


def test_hours_have_no_gap_and_no_double_where_the_clock_changes() -> None:
    found = names(request(per="hour", time_zone=BERLIN, ready_after_minutes=60), "2026-10-25", "2026-10-25")
    assert (found[0], found[-1], len(found), len(set(found))) == ("2026-10-24T22Z", "2026-10-25T22Z", 25, 25)


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_the_latest_hours_are_looked_at_across_a_clock_change(day: str) -> None:
    hourly = request(per="hour", time_zone=BERLIN, ready_after_minutes=60, look_back=6)
    now = datetime.fromisoformat(f"{day}T04:30:00+00:00")
    hours = [f"{date.fromisoformat(day) - timedelta(days=1)}T22Z", f"{date.fromisoformat(day) - timedelta(days=1)}T23Z"]
    assert [each.name for each in recent_periods(hourly, now)] == [
        *hours,
        *(f"{day}T{number:02}Z" for number in range(4)),
    ]


@pytest.mark.parametrize("name", ["2026-03-29T00Z", "2026-10-25T00Z", "2026-10-25T01Z"])
def test_the_last_second_is_an_hour_after_the_first(name: str) -> None:
    hour = period_named(request(per="hour", time_zone=BERLIN, ready_after_minutes=60), name)
    texts = [fill(f"{{{each}:%Y-%m-%dT%H:%M:%S%z}}", hour.start, hour.end) for each in ("start", "last")]
    first, last = map(datetime.fromisoformat, texts)
    assert last - first == timedelta(minutes=59, seconds=59)


def test_a_request_writes_times_in_its_time_zone() -> None:
    hour = period_named(request(per="hour", time_zone=BERLIN, ready_after_minutes=60), "2026-07-01T22Z")
    assert fill("{start:%Y-%m-%dT%H}/{last:%H:%M:%S}/{end:%d}", hour.start, hour.end) == "2026-07-02T00/00:59:59/02"


def test_only_what_is_complete_is_requested() -> None:
    daily = request(ready_after_minutes=1500)
    assert names(daily, "2026-11-28", "2026-12-05") == ["2026-11-28", "2026-11-29"]
    assert names(daily, "2026-11-29", "2026-11-30", datetime(2026, 11, 30, 0, 59, tzinfo=UTC)) == []
    assert names(daily, "2026-11-29", "2026-11-30", datetime(2026, 11, 30, 1, 0, tzinfo=UTC)) == ["2026-11-29"]


def test_nothing_before_the_start_is_requested() -> None:
    assert names(request(start="2026-11-28"), "2020-01-01", "2026-11-29") == ["2026-11-28", "2026-11-29"]


def test_the_latest_periods_are_looked_at() -> None:
    daily = request(look_back=3)
    assert [each.name for each in recent_periods(daily, NOW)] == ["2026-11-27", "2026-11-28", "2026-11-29"]
    assert [each.name for each in recent_periods(request(start="2026-11-29"), NOW)] == ["2026-11-29"]


def test_an_api_without_history_is_asked_only_within_the_hour() -> None:
    latest = request(per="hour", ready_after_minutes=5, history=False)
    assert [each.name for each in recent_periods(latest, NOW)] == ["2026-11-30T12Z"]
    assert recent_periods(latest, NOW.replace(minute=4)) == []
    assert names(latest, "2026-11-29", "2026-11-30") == ["2026-11-30T12Z"]


def test_names_sort_by_time() -> None:
    found = names(request(per="hour", ready_after_minutes=60), "2026-01-31", "2026-02-02")
    assert found == sorted(found)
