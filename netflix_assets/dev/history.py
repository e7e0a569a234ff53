"""Sample files with the history of the sample APIs: what they had answered before the project began to request them.

Files and answers of a dataset go together. Requesting two years day by day would take as many objects and requests.
"""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from netflix_assets.dev.business.news import headlines
from netflix_assets.dev.business.rates import daily_rates, hourly_rates
from netflix_assets.dev.business.scenario import FIRST_DAY, LAST_DAY

REQUESTED_DAYS = 3  # the last days of the samples, which are requested from the local servers
_HOURLY_DAYS = 31  # hourly rates begin that long before the end


def first_requested_day() -> date:
    """The first day that is not in the files."""
    return LAST_DAY - timedelta(days=REQUESTED_DAYS - 1)


def write_history(folder: Path) -> dict[str, Path]:
    """Write the files into a folder. Returns each by the key of its object."""
    written = {}
    for key, records in {
        "frankfurter/rates-history.json": _daily_rates(),
        "openexchangerates/rates-history.json": _hourly_rates(),
        "alphavantage/news-history.json": _headlines(),
    }.items():
        written[key] = folder / key.replace("/", "-")
        lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
        written[key].write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return written


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
