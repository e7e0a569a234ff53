"""From the sample databases to the marts: extracted, loaded, built by dbt, and equal to the generator's own records."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.dbt.project import dbt_project
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.dev.business.load import load, play_days
from netflix_assets.dev.business.world import KEYS, Event, Row, World
from netflix_assets.dev.postgres import READER, Postgres, temporary
from netflix_assets.extract.postgres.run import Extracted, extract_database
from netflix_assets.ingest.sync import sync
from netflix_assets.settings import DatabaseSettings, Settings, read_settings
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets_tests.conftest import s3_client
from netflix_assets_tests.defs.dbt.metrics import Metrics
from netflix_assets_tests.proof.quick_dbt import QuickDbt

SCALE, DAYS = 0.05, 9
SOURCES = tuple(KEYS)


@dataclass
class Business:
    """The databases, what was extracted and loaded of them, and the generator's records.

    ``moves``: what addresses were, by customer, at each extract.
    """

    home: Path
    server: Postgres
    store: Any
    world: World = field(default_factory=World)
    gone: set[int] = field(default_factory=set)
    lived: dict[int, list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def settings(self) -> Settings:
        databases = {
            name: DatabaseSettings(url=self.server.address(name), password=self.server.passwords[READER])
            for name in KEYS
        }
        return read_settings(home=self.home, databases=databases)

    def extract(self, world: World) -> None:
        """Extract every table as the reader, and note where customers live."""
        datasets = [each for each in all_datasets(self.settings.sources()) if each.source in SOURCES]
        for database in KEYS:
            of_database = [each for each in datasets if each.extract and each.extract.database == database]
            for outcome in extract_database(database, of_database, self.settings, self.store):
                assert isinstance(outcome, Extracted), outcome
                assert outcome.state.news == ()
        for row in world.rows("addresses"):
            seen = (row["country_code"], row["state_code"], row["city"])
            if row["kind"] == "billing" and self.lived[row["customer_id"]][-1:] != [seen]:
                self.lived[row["customer_id"]].append(seen)

    def sync(self) -> None:
        """Load what was extracted; nothing may be rejected."""
        with DuckDBWarehouse(self.home / "warehouse.duckdb", wait_seconds=0) as warehouse:
            for dataset in all_datasets(self.settings.sources()):
                report = sync(dataset, self.store, warehouse, "run", work_folder=self.home / "work")
                assert not report.refused, report.refused
            assert warehouse.query("select sum(rows_rejected) from ops.loads")[1][0][0] == 0

    def rows(self, query: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def business(s3_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Business]:
    """Nine days of activity, extracted in the middle of transactions too, and all models with their tests."""
    home = tmp_path_factory.mktemp("business")
    s3_client(s3_server).create_bucket(Bucket="business")
    with (
        tempfile.TemporaryDirectory(prefix="postgres-") as folder,
        temporary(Path(folder)) as server,
        LandingBucket(bucket="business", local_home=str(s3_server.home)).open() as store,
    ):
        made = Business(home, server, store)
        loaded = load(server, SCALE, 1)
        assert loaded is not None
        made.extract(loaded)
        made.sync()
        before = {row["customer_id"] for row in loaded.rows("customers")}

        def extract_at_times(event: Event, world: World) -> None:
            moment, transaction = event
            if moment == "begin" and transaction.kind == "late_move":  # three late transactions of the day are open
                made.extract(world)

        made.world, _ = play_days(server, DAYS, extract_at_times)
        made.extract(made.world)
        made.extract(made.world)  # nothing new
        made.sync()
        made.gone = before - {row["customer_id"] for row in made.world.rows("customers")}
        selected = [f"source:{source}+" for source in SOURCES]
        QuickDbt(home / "dbt").build(home, "--select", *selected, without=("snapshot",))
        yield made


def net(line: Row) -> Decimal:
    return line["unit_price"] * line["quantity"] - line["discount"]


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def sold_lines(world: World) -> Iterator[tuple[Row, Row]]:
    """Lines that count as sold, with their orders."""
    for line in world.rows("order_lines"):
        order = world.tables["orders"][line["order_id"],]
        if order["status"] not in ("cart", "cancelled") and line["status"] != "cancelled":
            yield order, line


def is_returned(order: Row, line: Row) -> bool:
    return order["status"] == "refunded" or line["status"] == "returned"


def cost_at(world: World) -> Mapping[int, list[tuple[datetime, Decimal]]]:
    found: dict[int, list[tuple[datetime, Decimal]]] = defaultdict(list)
    for row in sorted(world.rows("product_costs"), key=lambda row: row["valid_from"]):
        found[row["product_id"]].append((row["valid_from"], row["unit_cost"]))
    return found


def test_every_line_is_there_once_with_the_cost_of_its_time(business: Business) -> None:
    world, costs = business.world, cost_at(business.world)
    expected = {}
    for line in world.rows("order_lines"):
        order = world.tables["orders"][line["order_id"],]
        valid = [cost for at, cost in costs[line["product_id"]] if at <= order["ordered_at"]]
        expected[line["order_id"], line["line_number"]] = (
            order["customer_id"], order["status"], line["status"], order["currency"],
            order["ordered_at"].replace(tzinfo=None), line["quantity"], net(line), valid[-1] * line["quantity"],
        )  # fmt: skip
    found = business.rows("select * from core.fct_order_lines")
    assert len(found) == len(expected)
    assert {
        (row["order_id"], row["line_number"]): (
            row["customer_id"], row["order_status"], row["line_status"], row["currency"], row["ordered_at"],
            row["quantity"], row["net_amount"], row["cost_usd"],
        )
        for row in found
    } == expected  # fmt: skip


def test_weekly_sales(business: Business) -> None:
    world, costs = business.world, cost_at(business.world)
    expected: dict[tuple[date, str, str], list[Any]] = defaultdict(lambda: [set(), 0, 0, 0, 0, 0])
    for order, line in sold_lines(world):
        product = world.tables["products"][line["product_id"],]
        week = expected[monday(order["ordered_at"].date()), product["product_type"], order["currency"]]
        week[0].add(order["order_id"])
        week[1] += 1
        week[2] += line["quantity"]
        week[3] += net(line)
        week[4] += net(line) if is_returned(order, line) else 0
        valid = [cost for at, cost in costs[line["product_id"]] if at <= order["ordered_at"]]
        week[5] += valid[-1] * line["quantity"]
    found = business.rows("select * from marts.mart_weekly_sales")
    assert {
        (row["week_start"], row["product_type"], row["currency"]): [
            row["n_orders"], row["n_lines"], row["n_pieces"], row["net_amount"], row["returned_amount"],
            row["cost_usd"],
        ]
        for row in found
    } == {key: [len(orders), *rest] for key, (orders, *rest) in expected.items()}  # fmt: skip
    weeks = {row["week_start"] for row in found}
    assert any(week.year != (week + timedelta(days=6)).year for week in weeks)
    assert sum(row["returned_amount"] for row in found) > 0


def test_metrics_of_the_business_are_those_of_its_lines(business: Business) -> None:
    pytest.importorskip("metricflow", reason="dbt-metricflow is not installed: the extra `metrics`")
    metrics = Metrics(dbt_project(business.settings).manifest_path.parent / "semantic_manifest.json")
    names = ["revenue", "profit", "orders", "average_order_value"]
    found = business.rows(metrics.sql(names, "product__product_type"))
    expected = business.rows("""
        select product_type as product__product_type, sum(revenue_usd) as revenue, sum(profit_usd) as profit,
            count(distinct order_id) filter (outcome = 'kept') as orders,
            cast(sum(revenue_usd) as double) / count(distinct order_id) filter (outcome = 'kept') as average_order_value
        from core.fct_order_lines
        join core.dim_products using (product_id)
        group by product_type
    """)
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert all(row["revenue"] > row["profit"] for row in found)


def test_sales_by_promotion(business: Business) -> None:
    world = business.world
    expected: dict[tuple[str, str], list[Any]] = defaultdict(lambda: [set(), 0, 0, 0])
    for order, line in sold_lines(world):
        promotion = world.tables["promotions"].get((order["promotion_id"],))
        code = "none" if order["promotion_id"] is None else promotion["code"] if promotion else "unknown"
        sales = expected[code, order["currency"]]
        sales[0].add(order["order_id"])
        sales[1] += line["unit_price"] * line["quantity"]
        sales[2] += line["discount"]
        sales[3] += net(line)
    assert {
        (row["promotion_code"], row["currency"]): [
            row["n_orders"], row["gross_amount"], row["discount"], row["net_amount"],
        ]
        for row in business.rows("select * from marts.mart_sales_by_promotion")
    } == {key: [len(orders), *rest] for key, (orders, *rest) in expected.items()}  # fmt: skip


def test_stock_by_week(business: Business) -> None:
    world = business.world
    counts: dict[tuple[date, int, int], Row] = {}
    for row in sorted(world.rows("stock_levels"), key=lambda row: row["counted_on"]):
        counts[monday(row["counted_on"]), row["warehouse_id"], row["product_id"]] = row
    shipments = {row["order_id"]: row for row in world.rows("shipments")}
    shipped: Counter[tuple[date, int, int]] = Counter()
    for line in world.rows("order_lines"):
        shipment = shipments.get(line["order_id"])
        if shipment and line["status"] in ("fulfilled", "returned"):
            week = monday(shipment["shipped_at"].date())
            shipped[week, shipment["warehouse_id"], line["product_id"]] += line["quantity"]
    found = business.rows("select * from marts.mart_stock_by_week")
    assert {
        (row["week_start"], row["warehouse_id"], row["product_id"]): (
            row["counted_on"], row["on_hand"], row["is_low_stock"], row["n_shipped"]
        )
        for row in found
    } == {
        key: (row["counted_on"], row["on_hand"], row["on_hand"] <= row["reorder_point"], shipped[key])
        for key, row in counts.items()
    }  # fmt: skip
    assert {row["is_low_stock"] for row in found} == {True, False}
    for row in found:
        weeks = [row["week_start"] - timedelta(days=7 * back) for back in range(4)]
        before = [key for week in weeks if (key := (week, row["warehouse_id"], row["product_id"])) in counts]
        mean = sum(shipped[key] for key in before) / len(before)
        assert row["avg_shipped_4_weeks"] == pytest.approx(mean)
        assert row["weeks_of_supply"] == (pytest.approx(row["on_hand"] / mean) if mean else None)


def test_customers_by_month(business: Business) -> None:
    world = business.world
    customers = business.rows("select * from core.dim_customers")
    alive = {row["customer_id"] for row in customers if not row["is_deleted"]}
    assert alive == {row["customer_id"] for row in world.rows("customers")}
    assert business.gone
    assert business.gone <= {row["customer_id"] for row in customers if row["is_deleted"]}
    active: dict[date, set[int]] = defaultdict(set)
    for order, _ in sold_lines(world):
        if order["customer_id"]:
            active[order["ordered_at"].date().replace(day=1)].add(order["customer_id"])
    found = business.rows("select * from marts.mart_customers_by_month order by month_day")
    assert {row["month_day"]: row["n_active"] for row in found if row["n_active"]} == {
        month: len(those) for month, those in active.items()
    }
    assert found[-1]["n_customers"] == len(alive)
    assert sum(row["n_gone"] for row in found) == len(customers) - len(alive)


def test_versions_of_customers_are_those_that_extracts_saw(business: Business) -> None:
    versions: dict[int, list[Row]] = defaultdict(list)
    for row in business.rows("select * from core.dim_customer_versions order by customer_id, version_number"):
        versions[row["customer_id"]].append(row)
    moved = 0
    for customer, rows in versions.items():
        seen = [(row["country_code"], row["state_code"], row["city"]) for row in rows]
        changes = [each for at, each in enumerate(seen) if at == 0 or each != seen[at - 1]]
        assert changes == business.lived[customer], customer
        moved += len(changes) > 1
        assert rows[0]["valid_from"] == datetime(1970, 1, 1)
        for before, after in pairwise(rows):
            assert before["valid_to"] == after["valid_from"]
        assert (rows[-1]["valid_to"] is None) == ((customer,) in business.world.tables["customers"])
    assert moved >= DAYS
    assert set(versions) == set(business.lived)


def test_facts_are_joined_to_the_version_of_their_time(business: Business) -> None:
    joined = business.rows(
        """
        select l.order_id, l.line_number, l.ordered_at, v.valid_from, v.valid_to
        from core.fct_order_lines as l
        left join core.dim_customer_versions as v
            on l.customer_id = v.customer_id and l.customer_version_number = v.version_number
        where l.customer_id is not null
        """
    )
    with_customer = [
        line
        for line in business.world.rows("order_lines")
        if business.world.tables["orders"][line["order_id"],]["customer_id"]
    ]
    assert len(joined) == len(with_customer)
    for row in joined:
        assert row["valid_from"] <= row["ordered_at"]
        assert row["valid_to"] is None or row["ordered_at"] < row["valid_to"]


def test_what_is_left_out_is_nowhere(business: Business) -> None:
    """Card numbers, names, streets and what people wrote are in no object of the bucket and in no table."""
    secrets = {row["card_number"] for row in business.world.rows("cards")}
    secrets |= {row["full_name"] for row in business.world.rows("customers") if len(row["full_name"]) > 12}
    secrets |= {row["email"] for row in business.world.rows("customers")}
    text = "\n".join(
        repr(business.rows(f"select * from {schema}.{name}"))
        for schema, name in (
            (row["schema_name"], row["table_name"])
            for row in business.rows("select schema_name, table_name from duckdb_tables()")
            if row["schema_name"] in ("raw", "core", "marts", "ops")
        )
    )
    assert "PLAN-STD" in text
    assert not [secret for secret in secrets if secret in text]
