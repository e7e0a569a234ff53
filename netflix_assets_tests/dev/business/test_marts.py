"""From sample databases, rates and headlines to the marts: extracted, loaded, built, and equal to the generators'."""

import json
import tempfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.dev.business.load import load, play_days
from netflix_assets.dev.business.news import headlines
from netflix_assets.dev.business.products import Prices
from netflix_assets.dev.business.rates import daily_rates, hourly_rates
from netflix_assets.dev.business.scenario import LAST_DAY, STATES
from netflix_assets.dev.business.world import KEYS, Event, Row, World
from netflix_assets.dev.postgres import READER, Postgres, temporary
from netflix_assets.dev.questions import questions
from netflix_assets.dev.samples import generate
from netflix_assets.extract.postgres.run import Extracted, extract_database
from netflix_assets.ingest.sync import sync
from netflix_assets.settings import REPO, Settings, read_settings
from netflix_assets.settings.named import DatabaseSettings
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets_tests.conftest import landing_key, s3_client
from netflix_assets_tests.defs.dbt.metrics import Metrics
from netflix_assets_tests.demo import Demo
from netflix_assets_tests.dev.business.extracts import SCORER, hours_of, verdict_on, write_feeds
from netflix_assets_tests.proof.quick_dbt import QuickDbt

SCALE, DAYS = 0.05, 9
SOURCES = tuple(KEYS)

# Two days of the history have no rate, hourly rates come late in it, and a daily one is corrected.
FEED_DAYS = [date(2023, 1, 3) + timedelta(days=number) for number in range(731 + DAYS)]
HOURS = hours_of(date(2024, 12, 10), 22 + DAYS)
CORRECTED = {"base": "EUR", "date": "2024-06-04", "rates": {"USD": 1.5}}
MIN_MARGIN_LINES = 20


@dataclass
class Business:
    """The databases, what was extracted and loaded of them, and the generator's records.

    ``moves``: what addresses were, by customer, at each extract.
    """

    home: Path
    server: Postgres
    store: Any
    dbt: QuickDbt
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
            # Sample ratings have bad records on purpose.
            query = "select sum(rows_rejected) from ops.loads where dataset not like 'movielens/%'"
            assert warehouse.query(query)[1][0][0] == 0

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
        for path in generate(home / "samples"):
            if path.stem.startswith(("movies", "ratings", "titles")):
                store.put(landing_key(path), path)
        for key, path in write_feeds(home / "feeds", FEED_DAYS, HOURS).items():
            store.put(key, path)
        (home / "correction").write_text(json.dumps(CORRECTED))
        store.put("frankfurter/rates/correction.json", home / "correction")
        made = Business(home, server, store, QuickDbt(home / "dbt"))
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
        selected = ["+path:models/marts/business", *(f"path:models/staging/{source}" for source in SOURCES)]
        # Cautious: not the tests of tables that are not built, which share a source with those that are.
        made.dbt.build(home, "--select", *selected, "--indirect-selection", "cautious", without=("snapshot",))
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


def known_rates() -> dict[str, list[tuple[datetime, Decimal]]]:
    """US dollars for one unit of each currency, by the moment from which the rate is known, in UTC."""
    found: dict[str, dict[datetime, Decimal]] = defaultdict(dict)
    for hour in HOURS:
        for currency, units in hourly_rates(hour).items():
            if currency != "USD":
                found[currency][hour.replace(tzinfo=None)] = 1 / units
    hourly = {(currency, at.date()) for currency, moments in found.items() for at in moments}
    for day in FEED_DAYS:
        fixed = daily_rates(day)
        if fixed is None:
            continue
        corrected = day.isoformat() == CORRECTED["date"]
        dollars = Decimal(str(CORRECTED["rates"]["USD"])) if corrected else fixed["USD"]
        for currency, count in {**fixed, "EUR": Decimal(1)}.items():
            if currency != "USD" and (currency, day) not in hourly:
                found[currency][datetime.combine(day, time(15))] = dollars / count
    step = Decimal("1e-10")
    return {
        currency: sorted((at, rate.quantize(step, ROUND_HALF_UP)) for at, rate in moments.items())
        for currency, moments in found.items()
    }


def rate_at(rates: Mapping[str, list[tuple[datetime, Decimal]]], currency: str, at: datetime) -> Any:
    """When the newest rate was known, and the rate; None and 1 for US dollars, None twice if none was known."""
    if currency == "USD":
        return None, Decimal(1)
    known = rates[currency]
    place = bisect_right([moment for moment, _ in known], at)
    return known[place - 1] if place else (None, None)


def outcome(order: Row, line: Row) -> str:
    if order["status"] in ("cart", "cancelled"):
        return str(order["status"])
    if line["status"] == "cancelled":
        return "cancelled"
    return "refunded" if is_returned(order, line) else "kept"


def priced_lines(world: World) -> Iterator[Row]:
    """Every line with what the facts should say of it."""
    rates, costs, prices = known_rates(), cost_at(world), Prices(world)
    for line in world.rows("order_lines"):
        order = world.tables["orders"][line["order_id"],]
        at = order["ordered_at"].replace(tzinfo=None)
        known_at, rate = rate_at(rates, order["currency"], at)
        usd = None if rate is None else (net(line) * rate).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        cost = [each for since, each in costs[line["product_id"]] if since <= order["ordered_at"]][-1]
        yield {
            "order": order, "line": line, "at": at, "outcome": outcome(order, line), "rate_at": known_at, "rate": rate,
            "usd": usd, "cost": cost * line["quantity"], "product": line["product_id"],
            "list": prices.price(line["product_id"], order["currency"], order["ordered_at"]),
            "type": world.tables["products"][line["product_id"],]["product_type"],
        }  # fmt: skip


def measures(lines: Iterable[Row]) -> dict[str, Any]:
    """What sales_measures.sql makes of lines."""
    lines = list(lines)
    kept = [each for each in lines if each["outcome"] == "kept"]
    known = [each for each in kept if each["usd"] is not None]

    def usd_of(outcome: str) -> Decimal:
        return sum((each["usd"] for each in lines if each["outcome"] == outcome and each["usd"]), Decimal(0))

    revenue, cost = usd_of("kept"), sum((each["cost"] for each in known), Decimal(0))
    return {
        "n_orders": len({each["line"]["order_id"] for each in kept}),
        "n_lines": len(kept),
        "n_pieces": sum(each["line"]["quantity"] for each in kept),
        "n_lines_without_rate": len(kept) - len(known),
        "n_lines_without_cost": 0,
        "revenue_usd": revenue,
        "cost_usd": cost,
        "profit_usd": revenue - cost,
        "margin": pytest.approx(float((revenue - cost) / revenue)) if revenue else None,
        "refunded_usd": usd_of("refunded"),
        "cancelled_usd": usd_of("cancelled"),
    }


def measured(row: Mapping[str, Any], expected: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in expected}


def by(lines: Iterable[Row], key: Any) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for each in lines:
        found[key(each)].append(each)
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


def test_metrics_of_the_business_are_those_of_its_lines(business: Business, demo: Demo) -> None:
    pytest.importorskip("metricflow", reason="dbt-metricflow is not installed: the extra `metrics`")
    metrics = Metrics(demo.home / "dbt" / "target-local" / "semantic_manifest.json")
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


def test_lines_are_converted_by_the_newest_rate_of_their_time(business: Business) -> None:
    expected = {
        (each["line"]["order_id"], each["line"]["line_number"]): (
            each["outcome"], each["list"], each["rate"], each["rate_at"], each["usd"],
            each["usd"] if each["outcome"] == "kept" else each["usd"] and 0,
        )
        for each in priced_lines(business.world)
    }  # fmt: skip
    found = business.rows("select * from core.fct_order_lines")
    assert len(found) == len(expected)
    for row in found:
        outcome_, list_price, rate, known_at, usd, revenue = expected[row["order_id"], row["line_number"]]
        assert (row["outcome"], row["list_unit_price"], row["rate_to_usd"], row["rate_at"], row["net_usd"]) == (
            outcome_, list_price, rate, known_at, usd,
        )  # fmt: skip
        assert row["revenue_usd"] == (revenue if outcome_ == "kept" else 0)
        assert row["profit_usd"] == ((usd and usd - row["cost_usd"]) if outcome_ == "kept" else 0)
        age = known_at and (row["ordered_at"] - known_at).total_seconds() / 3600
        assert row["rate_age_hours"] == (age if age is None else pytest.approx(age, abs=1 / 3600))
    assert {row["outcome"] for row in found} == {"cart", "kept", "cancelled", "refunded"}
    without = [row for row in found if row["net_usd"] is None]
    assert without
    assert all(row["ordered_at"] < datetime(2023, 1, 3, 15) for row in without)
    assert any(row["list_unit_price"] > row["unit_price"] for row in found)
    assert any(row["rate_age_hours"] and row["rate_age_hours"] > 60 for row in found)  # a weekend


def test_rates_are_of_the_preferred_provider(business: Business) -> None:
    found = by(business.rows("select * from core.fct_exchange_rates"), lambda row: row["currency"])
    rates = known_rates()
    assert found.keys() == rates.keys()
    for currency, rows in found.items():
        assert sorted((row["valid_from"], row["rate_to_usd"]) for row in rows) == rates[currency]
    providers = {(row["rate_provider"], row["quoted_base"]) for rows in found.values() for row in rows}
    assert providers == {("frankfurter", "EUR"), ("openexchangerates", "USD")}


def test_revenue_by_month(business: Business) -> None:
    lines = [each for each in priced_lines(business.world) if each["outcome"] != "cart"]
    by_month = by(lines, lambda each: each["at"].date().replace(day=1))
    first, newest = min(each["at"] for each in lines).date(), max(each["at"] for each in lines).date()
    found = business.rows("select * from marts.mart_revenue_by_month order by month_day")
    assert [row["month_day"] for row in found] == sorted(by_month)
    complete = {}
    for row in found:
        expected = measures(by_month[row["month_day"]])
        assert measured(row, expected) == expected
        following = (row["month_day"] + timedelta(days=31)).replace(day=1)
        assert row["is_complete"] == (row["month_day"] >= first and newest >= following)
        if row["is_complete"]:
            complete[row["month_day"]] = expected
    assert [row["month_day"] for row in found if row["is_last_complete_month"]] == [LAST_DAY.replace(day=1)]
    assert not found[-1]["is_complete"]
    compared = 0
    for row in found:
        month = row["month_day"]
        before = {"month": (month - timedelta(days=1)).replace(day=1), "year": month.replace(year=month.year - 1)}
        for name, other in before.items():
            for measure in ("revenue", "profit"):
                change = row[f"{measure}_vs_{name}_before"]
                if month in complete and other in complete and complete[other][f"{measure}_usd"] > 0:
                    ratio = complete[month][f"{measure}_usd"] / complete[other][f"{measure}_usd"]
                    assert change == pytest.approx(float(ratio) - 1)
                    compared += 1
                else:
                    assert change is None
    assert compared > 60


def test_exchange_rates_by_day_and_the_largest_market(business: Business) -> None:
    rates, revenue = known_rates(), Counter[str]()
    for each in priced_lines(business.world):
        if each["outcome"] == "kept" and each["usd"]:
            revenue[each["order"]["currency"]] += each["usd"]
    ranked = sorted(rates, key=lambda currency: -revenue[currency])
    found = business.rows("select * from marts.mart_exchange_rates")
    first, newest = min(row["date_day"] for row in found), max(row["date_day"] for row in found)
    moments = [at for known in rates.values() for at, _ in known]
    assert (first, newest) == (min(moments).date(), max(moments).date())
    assert len(found) == len(rates) * ((newest - first).days + 1)
    at_end = {}
    for row in found:
        midnight = datetime.combine(row["date_day"] + timedelta(days=1), time())
        known_at, rate = rate_at(rates, row["currency"], midnight - timedelta(microseconds=1))
        assert (row["rate_at"], row["rate_to_usd"]) == (known_at, rate)
        assert row["rate_age_hours"] == pytest.approx((midnight - known_at).total_seconds() / 3600)
        assert row["units_per_usd"] == pytest.approx(float(1 / rate))
        assert row["is_newest_day"] == (row["date_day"] == newest)
        assert row["market_rank"] == ranked.index(row["currency"]) + 1
        assert row["is_largest_market"] == (row["currency"] == ranked[0])
        assert row["revenue_usd_of_currency"] == revenue[row["currency"]]
        at_end[row["currency"], row["date_day"]] = rate
    for row in found:
        for days in (30, 365):
            before = at_end.get((row["currency"], row["date_day"] - timedelta(days=days)))
            change = None if before is None else pytest.approx(float(row["rate_to_usd"] / before) - 1)
            assert row[f"change_{days}_days"] == change


def test_products_by_margin_and_types(business: Business) -> None:
    lines = list(priced_lines(business.world))
    for mart, key in (("mart_product_margins", "product"), ("mart_sales_by_product_type", "type")):
        expected = {value: measures(those) for value, those in by(lines, lambda each, key=key: each[key]).items()}
        name = "product_id" if key == "product" else "product_type"
        found = business.rows(f"select * from marts.{mart} order by revenue_rank")
        assert {row[name]: measured(row, expected[row[name]]) for row in found} == expected
        assert [row["revenue_usd"] for row in found] == sorted((row["revenue_usd"] for row in found), reverse=True)
        assert sum(row["revenue_share"] for row in found) == pytest.approx(1)
    products = business.rows("select * from marts.mart_product_margins order by margin_rank nulls last")
    margins = [row["margin"] for row in products if row["margin_rank"]]
    assert margins == sorted(margins, reverse=True)
    assert all((row["margin_rank"] is not None) == (row["n_lines"] >= MIN_MARGIN_LINES) for row in products)
    titles = {row["title_id"]: row["title"] for row in business.rows("select * from core.dim_netflix_titles")}
    assert {row["title_name"] for row in products} > {None}
    for row in products:
        assert row["title_id"] == business.world.tables["products"][row["product_id"],]["title_id"]
        assert row["title_name"] == titles.get(row["title_id"])


def test_revenue_by_state(business: Business) -> None:
    lines = [each for each in priced_lines(business.world) if each["order"]["country_code"] == "US"]
    by_state = by(lines, lambda each: each["order"]["state_code"])
    found = {row["state_code"]: row for row in business.rows("select * from marts.mart_revenue_by_state")}
    assert found.keys() == {state for state, *_ in STATES}
    for state, row in found.items():
        expected = measures(by_state[state])
        assert measured(row, ("revenue_usd", "profit_usd", "n_orders", "n_pieces", "refunded_usd")) == measured(
            expected, ("revenue_usd", "profit_usd", "n_orders", "n_pieces", "refunded_usd")
        )
    assert len({(row["tile_row"], row["tile_column"]) for row in found.values()}) == len(STATES)
    assert sum(row["revenue_usd"] for row in found.values()) == measures(lines)["revenue_usd"]


def test_revenue_by_audience_segment(business: Business) -> None:
    segments = {row["user_id"]: row["segment_name"] for row in business.rows("select * from marts.mart_user_segments")}
    customers = {row["customer_id"]: row for row in business.rows("select * from core.dim_customers")}

    def group(each: Row) -> tuple[str, str]:
        customer = each["order"]["customer_id"]
        if customer is None:
            return "forgotten", "forgotten"
        user = customers[customer]["rating_user_id"]
        if user is None:
            return "does not rate", "does not rate"
        return (segments[user], "rates") if user in segments else ("unknown user", "unknown user")

    lines = list(priced_lines(business.world))
    expected = {key: measures(those) for key, those in by(lines, group).items()}
    found = business.rows("select * from marts.mart_revenue_by_segment")
    assert {
        key: measured(row, expected[key]) for row in found if (key := (row["segment_name"], row["customer_group"]))
    } == expected
    assert sum(row["customer_group"] == "rates" for row in found) > 3
    assert {row["customer_group"] for row in found} >= {"rates", "does not rate", "forgotten"}
    assert sum(row["revenue_usd"] for row in found) == measures(lines)["revenue_usd"]


def test_headlines_and_sentiment_by_day(business: Business) -> None:
    items = {item["url"]: item for day in FEED_DAYS for item in headlines(day)}
    found = business.rows("select * from marts.mart_headlines order by recency_rank")
    assert {row["url"] for row in found} == items.keys()
    assert [row["published_at"] for row in found] == sorted((row["published_at"] for row in found), reverse=True)
    days: dict[date, list[tuple[float | None, float, str]]] = defaultdict(list)
    for row in found:
        item, verdict = items[row["url"]], verdict_on(items[row["url"]])
        assert row["published_at"] == datetime.strptime(item["time_published"], "%Y%m%dT%H%M%S")
        assert (row["title"], row["provider_score"], row["score"], row["verdict"], row["scorer"]) == (
            item["title"], item["overall_sentiment_score"], verdict["score"], verdict["verdict"], SCORER,
        )  # fmt: skip
        days[row["published_on"]].append((verdict["score"], item["overall_sentiment_score"], verdict["verdict"]))
    by_day = business.rows("select * from marts.mart_sentiment_by_day order by date_day")
    assert [row["date_day"] for row in by_day] == [
        min(days) + timedelta(days=number) for number in range((max(days) - min(days)).days + 1)
    ]
    for row in by_day:
        week = [each for back in range(7) for each in days[row["date_day"] - timedelta(days=back)]]
        for suffix, those in (("", days[row["date_day"]]), ("_moving", week)):
            judged = [(score, provider) for score, provider, _ in those if score is not None]
            assert row[f"n_judged{suffix}"] == len(judged)
            for name, place in (("avg_score", 0), ("avg_provider_score", 1)):
                mean = sum(each[place] for each in judged) / len(judged) if judged else None
                assert row[f"{name}{suffix}"] == (mean if mean is None else pytest.approx(mean, abs=1e-6))
        verdicts = Counter(verdict for _, _, verdict in days[row["date_day"]])
        assert (row["n_positive"], row["n_neutral"], row["n_negative"], row["n_not_judged"]) == tuple(
            verdicts[name] for name in ("positive", "neutral", "negative", "not_judged")
        )
    assert any(row["n_headlines"] == 0 for row in by_day)


def test_one_big_tables_have_every_fact_once_with_what_was_valid_then(business: Business) -> None:
    world = business.world
    facts = {(row["order_id"], row["line_number"]): row for row in business.rows("select * from core.fct_order_lines")}
    lines = business.rows("select * from marts.obt_order_lines")
    assert len(lines) == len(facts)
    for row in lines:
        fact = facts[row["order_id"], row["line_number"]]
        shared = fact.keys() & row.keys()
        assert measured(row, shared) == measured(fact, shared)
        assert row["product_type"] == world.tables["products"][row["product_id"],]["product_type"]
        promotion = world.tables["promotions"].get((row["promotion_id"],), {})
        assert row["promotion_code"] == promotion.get("code")
        assert (row["fiscal_year"], row["fiscal_week"]) == row["ordered_on"].isocalendar()[:2]
        assert (row["customer_since"] is None) == (row["customer_id"] is None)
    assert facts.keys() == {(row["order_id"], row["line_number"]) for row in lines}
    orders = {row["production_order_id"]: row for row in business.rows("select * from marts.obt_production_orders")}
    assert orders.keys() == {row["production_order_id"] for row in world.rows("production_orders")}
    for order in world.rows("production_orders"):
        row = orders[order["production_order_id"]]
        received = order["received_on"]
        assert (row["status"], row["cost_usd"]) == (order["status"], order["unit_cost"] * order["quantity"])
        assert row["is_late"] == bool(received and received > order["due_on"])
        assert row["lead_days"] == (received and (received - order["ordered_on"]).days)
    assert {row["is_late"] for row in orders.values()} == {True, False}


def test_the_questions_about_the_business_have_answers(business: Business) -> None:
    asked = [each for each in questions(REPO / "dbt") if each.number > 22]
    assert len(asked) == 8
    for each in asked:
        assert business.rows(each.sql), each.name


def test_the_questions_for_metabase_have_answers(business: Business) -> None:
    plan = yaml.safe_load((REPO / "deploy" / "metabase" / "business.yaml").read_text(encoding="utf-8"))
    assert [each["name"] for each in plan["questions"] if not business.rows(each["sql"])] == []


def test_a_fiscal_year_may_begin_in_another_month(business: Business, tmp_path: Path) -> None:
    """The first week has the fourth day of the month, and the year is named after that of its end."""
    business.dbt.build(tmp_path, "--select", "dim_dates", "--vars", '{"fiscal_year_first_month": 7}')
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute(
            """
            select fiscal_year, fiscal_week from core.dim_dates
            where date_day in ('2023-07-02', '2023-07-03', '2024-06-30', '2024-07-01', '2024-12-31') order by date_day
            """
        ).fetchall()
    assert found == [(2023, 52), (2024, 1), (2024, 52), (2025, 1), (2025, 27)]


def test_what_is_left_out_is_nowhere(business: Business) -> None:
    """Card numbers, names, streets and what people wrote are in no object of the bucket and in no table."""
    secrets = {row["card_number"] for row in business.world.rows("cards")}
    secrets |= {row["full_name"] for row in business.world.rows("customers") if len(row["full_name"]) > 12}
    secrets |= {row["email"] for row in business.world.rows("customers")}
    with duckdb.connect(str(business.home / "warehouse.duckdb"), read_only=True) as connection:
        columns = connection.execute(
            """
            select schema_name, table_name, column_name
            from duckdb_columns() inner join duckdb_tables() using (schema_name, table_name)
            where schema_name in ('raw', 'core', 'marts', 'ops')
            """
        ).fetchall()
        text = "\n".join(
            value or ""
            for schema, table, column in columns
            for (value,) in connection.execute(
                f'select distinct cast("{column}" as varchar) from {schema}.{table}'
            ).fetchall()
        )
    assert "PLAN-STD" in text
    assert not [secret for secret in secrets if secret in text]
