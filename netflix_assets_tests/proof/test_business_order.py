"""A few days of business, arriving in random order and in pieces, give the tables of the same days at once.

Twin builds, as in test_shuffles.py, for extracts of databases, exchange rates and headlines. Objects arrive late, or
wrong at first, or are deleted again, and superseded loads are purged. So orders, their deletions, costs and rates come,
change and go in any order. After each piece, the tables must also equal a full refresh of the same raw rows.
"""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from netflix_assets.contracts.extract import DELETED, VERSION_COLUMNS
from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.dev.business import make_world
from netflix_assets.dev.business.news import headlines
from netflix_assets.dev.business.rates import daily_rates, hourly_rates
from netflix_assets_tests.dev.business.extracts import copy_of, hours_of, play_in, verdict_on, write_extracts
from netflix_assets_tests.proof.arrivals import Put, random, shuffled
from netflix_assets_tests.proof.quick_dbt import QuickDbt
from netflix_assets_tests.proof.test_shuffles import Place, Tables, place, rows_of

SCALE, DAYS, PIECES = 0.01, 4, 3
BUSINESS = ("crm", "shop", "finance", "frankfurter", "openexchangerates", "alphavantage", "sentiment")
EVERY_DATASET = [
    each if each.mode == "overwrite" else each.model_copy(update={"deleted_objects": "remove"})
    for each in all_datasets(load_sources())
]
DATASETS = [each for each in EVERY_DATASET if each.source in BUSINESS]
FACTS = ("fct_order_lines", "fct_shipments", "fct_stock_levels")


def objects(folder: Path) -> list[Put]:
    """The extracts of the history and of each day, and the rates and headlines of the days, in the order they came."""
    world, before, found = make_world(SCALE), {}, []
    for number in range(DAYS + 1):
        taken_at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=number)
        if number:
            play_in(world, [number - 1])
        files = write_extracts(folder / str(number), number + 1, taken_at, world, before)
        found += [Put(key, "1", path.read_bytes()) for key, path in files.items()]
        found += [Put(key, "1", content) for key, content in _answers(taken_at.date()).items()]
        before = copy_of(world)
    return found


def _answers(day: date) -> Mapping[str, bytes]:
    rates = {currency: float(rate) for currency, rate in (daily_rates(day) or {}).items()}
    feed = headlines(day)
    verdicts = "".join(f"{json.dumps(verdict_on(item))}\n" for item in feed)
    documents = {
        f"frankfurter/rates/{day}.json": {"base": "EUR", "date": day.isoformat(), "rates": rates},
        f"alphavantage/news/{day}.json": {"feed": feed},
    }
    found = {key: json.dumps(document).encode() for key, document in documents.items()}
    if day.day != 3:  # on the third, the other provider's rates count
        found[f"openexchangerates/rates/{day}.json"] = _hours(day)
    return {**found, **({f"sentiment/headlines/{day}.jsonl": verdicts.encode()} if verdicts else {})}


def _hours(day: date) -> bytes:
    rates = [(hour, hourly_rates(hour)) for hour in hours_of(day, 1)[::6]]
    documents = [
        {"base": "USD", "timestamp": int(hour.timestamp()), "rates": {name: float(rate) for name, rate in of.items()}}
        for hour, of in rates
    ]
    return json.dumps(documents).encode()


# ---------------------------------------------------------------- what is wrong at first


def dataset_of(put: Put) -> Dataset:
    return next(dataset for dataset in DATASETS if dataset.owns_key(put.key))


def wrong(put: Put, chance: Random) -> Put:
    """An earlier version of an object: rows are missing, deleted or have values of other rows."""
    if not put.key.endswith(".csv"):
        return Put(put.key, "wrong", _wrong_rates(put.content, chance))
    dataset = dataset_of(put)
    fixed = {column.file_name for column in dataset.columns if column.name in dataset.key}
    fixed |= {column.name for column in VERSION_COLUMNS}
    rows = list(csv.DictReader(io.StringIO(put.content.decode())))
    alive = [row for row in rows if row.get(DELETED) != "true"]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(_wrong_row(row, alive, fixed, chance) for row in rows if chance.random() < 0.7)
    return Put(put.key, "wrong", text.getvalue().encode())


def _wrong_row(row: dict[str, str], alive: list[dict[str, str]], fixed: set[str], chance: Random) -> dict[str, str]:
    match chance.choice(("right", "right", "deleted", "mixed")):
        case "deleted" if DELETED in row:
            return {name: row[name] if name in fixed else "" for name in row} | {DELETED: "true"}
        case "mixed" if alive and (DELETED in row or len(row) > len(fixed)):
            other = chance.choice(alive)
            whole = row.get(DELETED) == "true"  # a deleted row has no values of its own
            taken = {name for name in row if name not in fixed and (whole or chance.random() < 0.5)}
            return row | {name: other[name] for name in taken} | ({DELETED: "false"} if DELETED in row else {})
    return row


def _wrong_rates(content: bytes, chance: Random) -> bytes:
    documents = json.loads(content)
    for each in documents if isinstance(documents, list) else [documents]:
        each["rates"] = {
            name: round(rate * chance.choice((1, 1, 1.01)), 6)
            for name, rate in each["rates"].items()
            if chance.random() < 0.7 or name == "JPY"  # a document without records would be refused
        }
    return json.dumps(documents).encode()


def strays(puts: Sequence[Put], chance: Random) -> list[Put]:
    """Objects that are deleted again: later extracts than all others with wrong rows, and rates of the third."""
    copied = [put for put in puts if dataset_of(put).mode != "overwrite" and put.key.endswith(".csv")]
    found = [Put(put.key.replace("-0000", "-9000"), "stray", wrong(put, chance).content) for put in copied]
    later = [
        Put(put.key, put.version, put.content.replace(b",2025-01-0", b",2025-01-1"))
        for put in chance.sample(found, len(found) // 2)
    ]
    return [*later, Put("openexchangerates/rates/stray.json", "stray", _hours(date(2025, 1, 3)))]


def is_whole(put: Put) -> bool:
    return dataset_of(put).mode == "overwrite"


def disordered(chains: Sequence[Sequence[Put]], chance: Random) -> list[Put]:
    """The versions of objects in another order. Snapshots of whole tables keep theirs: the newest is the table."""
    snapshots = iter([put for versions in chains for put in versions if is_whole(put)])
    return [next(snapshots) if is_whole(put) else put for put in shuffled(chains, chance)]


def business_nodes(dbt: QuickDbt) -> set[str]:
    """dbt's ids of the business marts and everything that they are made of."""
    nodes = dbt.manifest.nodes
    waiting = [name for name, node in nodes.items() if node.resource_type == "model" and "business" in node.fqn]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in found:
            found.add(name)
            waiting += getattr(nodes[name].depends_on, "nodes", ())  # a seed has none
    return found


def tables(at: Place, nodes: set[str]) -> Tables:
    relations = {
        f"{node.schema}.{node.alias}"
        for node in (at.dbt.manifest.nodes[name] for name in nodes)
        if node.resource_type == "model" and node.config.materialized != "ephemeral" and node.name != "stg_ops__loads"
    }
    with at.warehouse() as warehouse:
        return {name: rows_of(warehouse, name) for name in sorted(relations)}


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> QuickDbt:
    return QuickDbt(tmp_path_factory.mktemp("quick_dbt"))


@dataclass
class Twins:
    """The objects of the days, and their tables when all arrive at once and are built once."""

    puts: list[Put]
    expected: Tables


@pytest.fixture
def twins(bucket, tmp_path: Path, dbt: QuickDbt) -> Iterator[Twins]:
    puts = objects(tmp_path)
    with place(bucket, tmp_path, "at_once", dbt) as at:
        for put in puts:
            at.put(put)
        at.sync(EVERY_DATASET)
        dbt.build_what_differs(at.home, business_nodes(dbt))
        yield Twins(puts, tables(at, business_nodes(dbt)))


def facts(dbt: QuickDbt) -> set[str]:
    """dbt's ids of the facts that are built by loads, and of what they read."""
    upstream = dbt.upstream_of_stateful() & business_nodes(dbt)
    assert {f"model.netflix_assets.{name}" for name in FACTS} <= upstream
    return upstream


def refreshed(at: Place, nodes: set[str]) -> Tables:
    """The tables of a full refresh of the same raw rows, in a copy of the warehouse."""
    copy = at.home.with_name(f"{at.home.name}-refreshed")
    copy.mkdir()
    shutil.copy(at.home / "warehouse.duckdb", copy)
    twin = Place(at.store, copy, at.dbt)
    at.dbt.build(copy, "--full-refresh", "--select", *(f"+{name}" for name in FACTS))
    found = tables(twin, nodes)
    shutil.rmtree(copy)
    return found


def assert_equal(found: Tables, expected: Tables) -> None:
    different = {name: set(found[name]) ^ set(rows) for name, rows in expected.items() if found[name] != rows}
    assert {name: sorted(rows)[:4] for name, rows in different.items()} == {}


def erase(bucket, at: Place, puts: Iterable[Put]) -> None:
    for put in puts:
        bucket.delete(f"{at.home.name}/{put.key}")


@pytest.mark.long
def test_days_of_business_in_any_order_and_in_pieces_equal_the_same_days_at_once(
    bucket, tmp_path, dbt, twins, cases
) -> None:
    every, of_facts = business_nodes(dbt), facts(dbt)
    for case in range(cases(1)):
        chance = random(f"business order {case}")
        gone = strays(twins.puts, chance)
        judged = ("alphavantage/", "sentiment/")  # their tables are made whole
        chains = [
            [put] if put.key.startswith(judged) or chance.random() < 0.5 else [wrong(put, chance), put]
            for put in twins.puts
        ]
        arriving = [*disordered(chains, chance)]
        for put in gone:
            arriving.insert(chance.randint(0, len(arriving) // 2), put)
        with place(bucket, tmp_path, f"pieces-{case}", dbt) as at:
            for number in range(PIECES):
                for put in arriving[number * len(arriving) // PIECES : (number + 1) * len(arriving) // PIECES]:
                    at.put(put)
                if number == PIECES - 1:
                    erase(bucket, at, gone)
                at.sync(EVERY_DATASET)
                if chance.random() < 0.5:
                    at.purge()
                dbt.build_what_differs(at.home, of_facts)
                assert_equal(tables(at, of_facts), refreshed(at, of_facts))
            dbt.build_what_differs(at.home, every)
            assert_equal(tables(at, every), twins.expected)
    filled = (
        "core.fct_order_lines",
        "marts.mart_revenue_by_month",
        "marts.mart_exchange_rates",
        "marts.mart_headlines",
    )
    assert all(twins.expected[name] for name in filled)
