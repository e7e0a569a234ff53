"""A few days of business, arriving in random order and in pieces, give the tables of the same days at once.

Twin builds, as in test_shuffles.py, for extracts of databases, exchange rates and headlines.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import all_datasets
from netflix_assets.dev.business import make_world
from netflix_assets.dev.business.news import headlines
from netflix_assets.dev.business.rates import daily_rates
from netflix_assets_tests.dev.business.extracts import copy_of, play_in, verdict_on, write_extracts
from netflix_assets_tests.proof.arrivals import Put, random
from netflix_assets_tests.proof.quick_dbt import QuickDbt
from netflix_assets_tests.proof.test_shuffles import Place, Tables, place, rows_of

SCALE, DAYS, PIECES = 0.01, 4, 3
BUSINESS = ("crm", "shop", "finance", "frankfurter", "alphavantage", "sentiment")
DATASETS = [each for each in all_datasets(load_sources()) if each.source in BUSINESS]


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
    return {**found, **({f"sentiment/headlines/{day}.jsonl": verdicts.encode()} if verdicts else {})}


def disordered(puts: list[Put], chance: Random) -> list[Put]:
    """The objects in another order. Snapshots of whole tables keep theirs: the newest object is the table."""
    whole = [dataset for dataset in DATASETS if dataset.mode == "overwrite"]
    is_whole = [any(dataset.owns_key(put.key) for dataset in whole) for put in puts]
    snapshots = iter([put for put, kept in zip(puts, is_whole, strict=True) if kept])
    order = list(range(len(puts)))
    chance.shuffle(order)
    return [next(snapshots) if is_whole[at] else puts[at] for at in order]


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


@pytest.mark.long
def test_days_of_business_in_any_order_and_in_pieces_equal_the_same_days_at_once(bucket, tmp_path, dbt) -> None:
    chance, puts, nodes = random("business order"), objects(tmp_path), business_nodes(dbt)
    with place(bucket, tmp_path, "pieces", dbt) as at:
        shuffled = disordered(puts, chance)
        for number in range(PIECES):
            for put in shuffled[number * len(puts) // PIECES : (number + 1) * len(puts) // PIECES]:
                at.put(put)
            at.sync()
            dbt.build_what_differs(at.home, nodes)
        found = tables(at, nodes)
    with place(bucket, tmp_path, "at_once", dbt) as at:
        for put in puts:
            at.put(put)
        at.sync()
        dbt.build_what_differs(at.home, nodes)
        expected = tables(at, nodes)
    assert {name for name in expected if expected[name] != found[name]} == set()
    filled = (
        "core.fct_order_lines",
        "marts.mart_revenue_by_month",
        "marts.mart_exchange_rates",
        "marts.mart_headlines",
    )
    assert all(expected[name] for name in filled)
