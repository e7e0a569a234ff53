"""Sample files with the history of the sample APIs: what they had answered before the project began to request them.

Files and responses of a dataset go together. Requesting two years day by day would take as many objects and requests.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Source
from netflix_assets.dev.business.news import headlines
from netflix_assets.dev.business.rates import daily_rates, hourly_rates
from netflix_assets.dev.business.scenario import FIRST_DAY, LAST_DAY
from netflix_assets.extract.api.periods import periods_between, response_key

HISTORY = {
    "frankfurter": "frankfurter/rates-history.json",
    "openexchangerates": "openexchangerates/rates-history.json",
    "alphavantage": "alphavantage/news-history.json",
}
REQUESTED_DAYS = 3  # the last days of the samples, which are requested from the local servers
_HOURLY_DAYS = 31  # hourly rates begin that long before the end


def first_requested_day() -> date:
    """The first day that is not in the files."""
    return LAST_DAY - timedelta(days=REQUESTED_DAYS - 1)


def sample_keys(sources: Sequence[Source]) -> dict[str, frozenset[str]]:
    """The keys of all sample objects of each API: its file, and the answers for the last days."""
    return {
        source.source: frozenset({HISTORY[source.source], *_responses(source)})
        for source in sources
        if source.source in HISTORY
    }


def _responses(source: Source) -> Iterator[str]:
    for dataset in source.datasets:
        request = dataset.request
        if request is not None and request.history:
            for period in periods_between(request, first_requested_day(), LAST_DAY, datetime.now(UTC)):
                yield response_key(dataset, period, 1)


def write_history(folder: Path, api: str) -> tuple[str, Path]:
    """Write the file of an API into a folder. Returns the key of its object, and the file."""
    key = HISTORY[api]
    records = {"frankfurter": _daily_rates, "openexchangerates": _hourly_rates, "alphavantage": _headlines}[api]()
    path = folder / key.replace("/", "-")
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return key, path


def _days(first: date) -> Iterator[date]:
    count = (first_requested_day() - first).days
    return (first + timedelta(days=number) for number in range(count))


def _daily_rates() -> Iterator[dict[str, Any]]:
    for day in _days(FIRST_DAY):
        for currency, rate in (daily_rates(day) or {}).items():
            yield {"base": "EUR", "date": day.isoformat(), "currency": currency, "rate": float(rate)}


def _hourly_rates() -> Iterator[dict[str, Any]]:
    for day in _days(LAST_DAY - timedelta(days=_HOURLY_DAYS)):
        for hour in range(24):
            at = datetime.combine(day, time(hour), UTC)
            for currency, rate in hourly_rates(at).items():
                yield {"base": "USD", "timestamp": int(at.timestamp()), "currency": currency, "rate": float(rate)}


def _headlines() -> Iterator[dict[str, Any]]:
    for day in _days(FIRST_DAY):
        yield from headlines(day)
