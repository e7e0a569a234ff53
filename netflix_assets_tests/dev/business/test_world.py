"""The rows of the sample databases and the days of activity, without a database."""

import hashlib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from netflix_assets.dev.business import make_world
from netflix_assets.dev.business.scenario import END, START, STATES, WHOLE_UNITS
from netflix_assets.dev.business.world import Insert, Row, Transaction, Update, World, events
from netflix_assets_tests.dev.business.extracts import play_in

DAYS = 14


def digest(scale: float, seed: int) -> str:
    world = make_world(scale, seed)
    played = play_in(world, range(1, 4), seed)
    return hashlib.sha256(repr((world.tables, played)).encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(0.1)


@pytest.fixture(scope="module")
def played() -> tuple[World, list[Transaction]]:
    world = make_world(0.1)
    return world, play_in(world, range(1, DAYS + 1))


def net(line: Row) -> Decimal:
    return line["unit_price"] * line["quantity"] - line["discount"]


# -- history -----------------------------------------------------------------------------------------------------------


def test_the_same_scale_and_seed_give_the_same_rows_and_transactions() -> None:
    first = digest(0.02, 7)
    assert digest(0.02, 7) == first
    assert digest(0.02, 8) != first
    # Fails where a machine or a numpy makes other data; after a change of the generator, put in the new value.
    assert first == "d07d05670284b28b"


@pytest.mark.parametrize(("scale", "seed"), [(0.001, 1), (26, 1), (1, -1)])
def test_scales_and_seeds_that_do_not_work_are_refused(scale: float, seed: int) -> None:
    with pytest.raises(ValueError, match=r"not between 0.01 and 25|is negative"):
        make_world(scale, seed)


def test_the_scale_sets_the_size(world: World) -> None:
    assert len(world.tables["orders"]) == 5_000
    assert len(world.tables["customers"]) == 500
    assert 11_500 < len(world.tables["order_lines"]) < 12_500
    assert len(make_world(0.2).tables["orders"]) == 10_000


def test_references_between_databases_hold(played: tuple[World, list[Transaction]]) -> None:
    """Within a database, PostgreSQL checks them."""
    world, _ = played
    customers = {row["customer_id"] for row in world.rows("customers")}
    orders = {row["order_id"] for row in world.rows("orders")}
    shelves = {(row["warehouse_id"], row["product_id"]) for row in world.rows("stock_levels")}
    assert {row["customer_id"] for row in world.rows("orders")} - {None} <= customers
    assert {row["customer_id"] for row in world.rows("cards")} <= customers
    assert {row["order_id"] for row in world.rows("payments")} <= orders
    assert {(row["warehouse_id"], row["product_id"]) for row in world.rows("production_orders")} <= shelves


def test_prices_are_those_of_the_moment_in_the_currency_of_the_order(world: World) -> None:
    prices: dict[tuple[int, str], list[tuple[datetime, Decimal]]] = {}
    for row in world.rows("product_prices"):
        prices.setdefault((row["product_id"], row["currency"]), []).append((row["valid_from"], row["list_price"]))
    orders, at_list, lines = world.tables["orders"], 0, world.rows("order_lines")
    for line in lines:
        order = orders[line["order_id"],]
        valid = [price for at, price in prices[line["product_id"], order["currency"]] if at <= order["ordered_at"]]
        at_list += line["unit_price"] == valid[-1]
        assert line["unit_price"] <= valid[-1]
        assert 0 <= line["discount"] < line["unit_price"] * line["quantity"]
        if order["currency"] in WHOLE_UNITS:
            assert not line["unit_price"] % 1
            assert not line["discount"] % 1
    assert 0.95 < at_list / len(lines) < 1


def test_what_was_paid_is_what_was_bought(world: World) -> None:
    lines: dict[int, list[Row]] = {}
    for line in world.rows("order_lines"):
        lines.setdefault(line["order_id"], []).append(line)
    refunded = Counter()
    for refund in world.rows("refunds"):
        refunded[refund["order_id"]] += refund["amount"]
    for payment in world.rows("payments"):
        order = world.tables["orders"][payment["order_id"],]
        sold = [
            line for line in lines[order["order_id"]]
            if order["status"] == "cancelled" or line["status"] != "cancelled"
        ]  # fmt: skip
        assert payment["amount"] == sum(map(net, sold))
        assert payment["currency"] == order["currency"]
        if order["status"] in ("refunded", "cancelled") and payment["status"] == "captured":
            assert refunded[order["order_id"]] == payment["amount"]


def test_stock_is_what_was_there_less_what_was_shipped_plus_what_arrived(world: World) -> None:
    counts = world.tables["stock_levels"]
    arrived = Counter(
        {
            (row["warehouse_id"], row["product_id"], row["received_on"]): row["quantity"]
            for row in world.rows("production_orders")
            if row["received_on"]
        }
    )
    shipments = {row["order_id"]: row for row in world.rows("shipments")}
    shipped: Counter[tuple[int, int, date]] = Counter()
    merchandise = {row["product_id"] for row in world.rows("products") if row["product_type"] == "merchandise"}
    for line in world.rows("order_lines"):
        shipment = shipments.get(line["order_id"])
        if shipment and line["status"] in ("fulfilled", "returned") and line["product_id"] in merchandise:
            week = (shipment["shipped_at"] - timedelta(hours=20)).date()  # counted on Sundays at 20:00
            sunday = week + timedelta(days=6 - week.weekday())
            if shipment["shipped_at"] - timedelta(hours=20) == datetime.combine(week, datetime.min.time(), UTC):
                sunday = week
            if week.weekday() == 6:
                sunday = week + timedelta(days=7)
            shipped[shipment["warehouse_id"], line["product_id"], sunday] += line["quantity"]
    weeks = 0
    for (warehouse, product, day), row in counts.items():
        before = counts.get((warehouse, product, day - timedelta(days=7)))
        if before:
            came = sum(arrived[warehouse, product, day - timedelta(days=back)] for back in range(7))
            assert row["on_hand"] == max(before["on_hand"] - shipped[warehouse, product, day], 0) + came
            weeks += 1
    assert weeks > 9_000


def test_the_traps_are_there(world: World) -> None:
    changes = {row["valid_from"] for row in world.rows("product_costs") if row["valid_from"] >= START}
    assert sum(order["ordered_at"] in changes for order in world.rows("orders")) > 10
    completed = {order["order_id"] for order in world.rows("orders") if order["status"] == "completed"}
    kinds = Counter(line["status"] for line in world.rows("order_lines") if line["order_id"] in completed)
    assert kinds["returned"] > 50 < kinds["cancelled"]
    assert any(
        ticket["closed_at"] and ticket["updated_at"] == ticket["opened_at"] for ticket in world.rows("support_tickets")
    )
    sundays = {row["counted_on"] for row in world.rows("stock_levels")}
    assert any((day - timedelta(days=6)).year != day.year for day in sundays)
    low = sum(row["on_hand"] <= row["reorder_point"] for row in world.rows("stock_levels"))
    assert 0.1 < low / len(world.tables["stock_levels"]) < 0.5
    text = repr(world.tables)
    assert all(each in text for each in ("\\n", "\\t", "\\r", "\\\\", "ü", "字", "🙂", "', \"", "b'\\x89PNG"))


def test_customers_are_users_who_rate_and_live_everywhere() -> None:
    world = make_world(0.3)
    users = [row["rating_user_id"] for row in world.rows("customers") if row["rating_user_id"]]
    assert len(users) == len(set(users)) > 500
    assert min(users) >= 1
    assert max(users) <= 600
    states = {row["state_code"] for row in world.rows("orders")} - {None}
    assert 45 < len(states) <= len(STATES) == 51
    assert len({row["currency"] for row in world.rows("orders")}) == 8


def test_card_numbers_have_the_form_of_card_numbers(world: World) -> None:
    for card in world.rows("cards"):
        digits = [int(digit) for digit in card["card_number"]]
        doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
        assert len(digits) == 16
        assert (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


# -- days --------------------------------------------------------------------------------------------------------------


def test_every_kind_of_activity_occurs(played: tuple[World, list[Transaction]]) -> None:
    kinds = Counter(transaction.kind for transaction in played[1])
    assert set(kinds) == {
        "pay", "payment", "cancel", "ship", "deliver", "customer", "card", "placed", "cart", "late_order",
        "savepoint_order", "cart_bought", "cart_cleared", "key_reuse", "correction", "late_correction", "return",
        "refund", "price_change", "cost_change", "move", "late_move", "rollback_move", "ticket", "ticket_closed",
        "forget", "forget_orders", "forget_cards", "rollback", "received", "recount", "stock_count", "production",
    }  # fmt: skip
    assert kinds["late_order"] == DAYS


def test_late_transactions_commit_after_newer_ones(played: tuple[World, list[Transaction]]) -> None:
    by_day: dict[int, list[Transaction]] = {}
    for transaction in played[1]:
        by_day.setdefault(transaction.day, []).append(transaction)
    overtaken = 0
    for transactions in by_day.values():
        ended: list[Transaction] = []
        for moment, transaction in events(transactions):
            if moment == "end":
                overtaken += any(
                    other.at > transaction.at and other.database == transaction.database for other in ended
                )
                ended.append(transaction)
        assert len(ended) == len(transactions)
        assert sorted(each.at for each in transactions) == [each.at for each in transactions]
        assert {each.at.date() for each in transactions} == {END.date() + timedelta(days=transactions[0].day - 1)}
    assert overtaken >= 2 * DAYS


def test_transactions_that_are_open_together_write_different_rows(played: tuple[World, list[Transaction]]) -> None:
    open_rows: dict[int, set[tuple[str, object]]] = {}
    together = 0
    for moment, transaction in (
        event for day in range(1, DAYS + 1) for event in events(each for each in played[1] if each.day == day)
    ):
        if moment == "end":
            del open_rows[transaction.number]
            continue
        rows = {
            (change.table, World.key_of(change.table, change.row) if isinstance(change, Insert) else change.key)
            for change in (*transaction.changes, *transaction.nested, *transaction.undone)
        }
        for other in open_rows.values():
            together += 1
            assert not rows & other
        open_rows[transaction.number] = rows
    assert together > 50


def test_a_closed_ticket_keeps_its_updated_at(played: tuple[World, list[Transaction]]) -> None:
    closed = [transaction for transaction in played[1] if transaction.kind == "ticket_closed"]
    assert closed
    for transaction in closed:
        (change,) = transaction.changes
        assert isinstance(change, Update)
        assert "updated_at" not in change.values


def test_who_is_forgotten_is_nowhere(played: tuple[World, list[Transaction]]) -> None:
    world, transactions = played
    gone = {
        change.key[0]
        for transaction in transactions
        if transaction.kind == "forget"
        for change in transaction.changes
        if change.table == "customers" and not isinstance(change, Insert)
    }
    assert len(gone) == DAYS
    for table in ("customers", "addresses", "support_tickets", "orders", "cards"):
        assert not gone & {row["customer_id"] for row in world.rows(table)}


def test_applying_a_row_twice_is_an_error() -> None:
    world = World()
    row = {"country_code": "US", "name": "x", "currency": "USD"}
    transaction = Transaction("crm", 1, 0, "x", START, (Insert("countries", row),))
    world.apply(transaction)
    with pytest.raises(ValueError, match="exists"):
        world.apply(transaction)
