"""Objects like those of extracts, made by the generators without a database or an API: for tests of what follows."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from netflix_assets.contracts.extract import VERSION_COLUMNS
from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.dev.business.days import make_day
from netflix_assets.dev.business.news import headlines
from netflix_assets.dev.business.rates import daily_rates, hourly_rates
from netflix_assets.dev.business.world import Transaction, World, events
from netflix_assets.settings import read_settings

Tables = Mapping[str, Mapping[tuple[Any, ...], Mapping[str, Any]]]


def write_extracts(folder: Path, number: int, taken_at: datetime, world: World, before: Tables) -> dict[str, Path]:
    """Write what an extract finds that was not there ``before``. Returns the files by object key."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for dataset in all_datasets(read_settings().sources()):
        if dataset.extract is not None:
            name = f"{dataset.source}/{dataset.name}-{number:08d}.csv"
            path = folder / name.replace("/", "-")
            if _write(path, dataset, number, taken_at, world, before):
                files[name] = path
    return files


def play_in(world: World, days: Iterable[int], seed: int = 1) -> list[Transaction]:
    """Play days of activity in the generator's rows. Returns their transactions."""
    played = []
    for day in days:
        transactions = make_day(world, seed, day)
        played += transactions
        for moment, transaction in events(transactions):
            if moment == "end":
                world.apply(transaction)
    return played


SCORER = "words-1.0"


def write_feeds(folder: Path, days: Iterable[date], hours: Iterable[datetime]) -> dict[str, Path]:
    """Write the rates and headlines of days, the rates of hours, and verdicts on the headlines.

    Returns the files by object key, one per dataset; a later call replaces them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = list(days)
    items = [item for day in known for item in headlines(day)]
    files = {}
    for key, records in {
        "frankfurter/rates.jsonl": [record for day in known for record in _daily(day)],
        "openexchangerates/rates.jsonl": [record for hour in hours for record in _hourly(hour)],
        "alphavantage/news.jsonl": items,
        "sentiment/headlines.jsonl": [verdict_on(item) for item in items],
    }.items():
        path = folder / key.replace("/", "-")
        path.write_text(
            "".join(f"{json.dumps(record, ensure_ascii=False, default=float)}\n" for record in records),
            encoding="utf-8",
        )
        if records:
            files[key] = path
    return files


def _daily(day: date) -> Iterator[dict[str, Any]]:
    for currency, units in (daily_rates(day) or {}).items():
        yield {"base": "EUR", "date": day.isoformat(), "currency": currency, "rate": units}


def _hourly(hour: datetime) -> Iterator[dict[str, Any]]:
    for currency, units in hourly_rates(hour).items():
        yield {"base": "USD", "timestamp": int(hour.timestamp()), "currency": currency, "rate": units}


def hours_of(first: date, count: int) -> list[datetime]:
    """The hours of days, of which every 50th was an outage."""
    start = datetime.combine(first, datetime.min.time(), UTC)
    return [start + timedelta(hours=number) for number in range(24 * count) if number % 50 != 49]


def verdict_on(item: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict of the right form; what is judged depends on the characters, and the score on the length."""
    is_english = item["title"].isascii() and " " in item["title"]
    score = (len(item["title"]) % 21 - 10) / 10 if is_english else None
    verdict = "not_judged" if score is None else "positive" if score > 0 else "negative" if score < 0 else "neutral"
    return {
        "url": item["url"], "title": item["title"], "scorer": SCORER, "language": "en" if is_english else None,
        "score": score,
        "verdict": verdict, "reason": None if is_english else "not English",
    }  # fmt: skip


def copy_of(world: World) -> Tables:
    """The rows as they are now."""
    return {table: dict(rows) for table, rows in world.tables.items()}


def _write(path: Path, dataset: Dataset, number: int, taken_at: datetime, world: World, before: Tables) -> bool:
    assert dataset.extract is not None
    table = dataset.extract.table
    old, new = before.get(table, {}), world.tables[table]
    if not dataset.tombstone:
        written, gone = new if new != old else {}, {}
        added: list[str] = []
    else:
        written = {key: row for key, row in new.items() if old.get(key) != row}
        gone = {key: row for key, row in old.items() if key not in new}
        added = [column.name for column in VERSION_COLUMNS]
    columns = [column for column in dataset.columns if column.name not in added]
    keys = [column.file_name for column in columns if column.name in dataset.key]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(column.file_name for column in columns), *added])
        for rows, is_gone in ((written, False), (gone, True)):
            for row in rows.values():
                version = [number, text_of(taken_at), text_of(is_gone)][: len(added)]
                names = [column.file_name for column in columns]
                values = [text_of(row[name]) if name in keys or not is_gone else None for name in names]
                writer.writerow([*values, *version])
    return bool(written or gone)


def text_of(value: Any) -> Any:
    """A value as an extract writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ")
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=float)
    return value
