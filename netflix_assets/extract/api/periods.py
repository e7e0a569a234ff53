"""The periods that a dataset is requested for, and the keys of their responses."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.request import Request

# Names of periods, which are also the names of partitions. Hours are in UTC, because a clock change repeats one.
NAME_FORMATS = {"day": "%Y-%m-%d", "hour": "%Y-%m-%dT%HZ"}


@dataclass(frozen=True)
class Period:
    """An hour or a day: from ``start`` (inclusive) to ``end`` (exclusive), in the request's time zone."""

    start: datetime
    end: datetime
    name: str

    def is_ready(self, request: Request, now: datetime) -> bool:
        """Whether the response is complete. Without history it is only until the period ends."""
        ready_at = self.start.astimezone(UTC) + timedelta(minutes=request.ready_after_minutes)
        return ready_at <= now and (request.history or now < self.end)


def period_at(request: Request, moment: datetime) -> Period:
    """The period that a moment is in. ``moment`` has a time zone."""
    zone = ZoneInfo(request.time_zone)
    if request.per == "hour":
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        start, end = hour.astimezone(zone), (hour + timedelta(hours=1)).astimezone(zone)
        return Period(start, end, hour.strftime(NAME_FORMATS["hour"]))
    day = moment.astimezone(zone).date()
    return Period(_midnight(day, zone), _midnight(day + timedelta(days=1), zone), day.strftime(NAME_FORMATS["day"]))


def period_named(request: Request, name: str) -> Period:
    """The period with this name. Raises: ValueError."""
    found = datetime.strptime(name, NAME_FORMATS[request.per])
    zone = UTC if request.per == "hour" else ZoneInfo(request.time_zone)
    return period_at(request, found.replace(tzinfo=zone))


def periods_between(request: Request, first: date, last: date, now: datetime) -> list[Period]:
    """The periods of these days that are ready and not before the first day that can be requested, in order."""
    zone = ZoneInfo(request.time_zone)
    until = min(_midnight(last + timedelta(days=1), zone), now)
    period, found = period_at(request, _midnight(max(first, request.start), zone)), []
    while period.start.astimezone(UTC) < until.astimezone(UTC):  # in one zone, Python compares the clocks' faces
        if period.is_ready(request, now):
            found.append(period)
        period = period_at(request, period.end)
    return found


def first_period(request: Request) -> Period:
    """The first period that can be requested."""
    return period_at(request, _midnight(request.start, ZoneInfo(request.time_zone)))


def recent_periods(request: Request, now: datetime) -> list[Period]:
    """The latest periods that are ready, at most ``look_back`` of them, in order."""
    return list(_backwards(request, now))[::-1]


def _backwards(request: Request, now: datetime) -> Iterator[Period]:
    period, first, left = period_at(request, now), request.start, request.look_back
    while left and period.start.date() >= first:
        if period.is_ready(request, now):
            yield period
            left -= 1
        elif not request.history:
            return
        period = period_at(request, period.start.astimezone(UTC) - timedelta(minutes=1))


def response_key(dataset: Dataset, period: Period, page: int) -> str:
    """The key of a page of a response, from 1. The first page lands last: once it is there, all pages are."""
    return (
        f"{dataset.key_prefix}/{period.name}.json" if page == 1 else f"{further_pages(dataset, period)}{page:04}.json"
    )


def further_pages(dataset: Dataset, period: Period) -> str:
    """What the keys of all pages but the first begin with."""
    return f"{dataset.key_prefix}/{period.name}-p"


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
