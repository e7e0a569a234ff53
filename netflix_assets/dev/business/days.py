"""One day of activity after the history: the transactions that the applications of the business would make."""

from collections.abc import Callable, Iterable, Sequence, Set
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from netflix_assets.dev.business import crm, finance, stock
from netflix_assets.dev.business.draws import Draws
from netflix_assets.dev.business.orders import Counter, is_physical, net, new_shipment
from netflix_assets.dev.business.products import Prices, changed_cost, changed_price, new_promotion, prices_of
from netflix_assets.dev.business.scenario import LAST_DAY, N_DAYS, SALES, Part, money
from netflix_assets.dev.business.world import DATABASE_OF, Change, Delete, Insert, Key, Row, Transaction, Update, World

MIN_ORDERS = 6  # a day


def make_day(world: World, seed: int, day: int) -> list[Transaction]:
    """The transactions of a day, in the order in which they begin.

    Day 1 follows the history. ``world`` has the rows at the end of the day before; only its numbers change here.
    Transactions that are open at the same time never write the same row.
    """
    made = _Day(world, Draws(seed, Part.DAYS, day), day)
    for step in _STEPS:
        step(made)
    return made.transactions


class _Day:
    """The day so far."""

    def __init__(self, world: World, draws: Draws, day: int) -> None:
        self.world, self.draws, self.day = world, draws, day
        self.date = LAST_DAY + timedelta(days=day)
        self.orders = max(MIN_ORDERS, len(world.tables["orders"]) // (N_DAYS + day))
        self.counter = Counter(world, draws)
        self.transactions: list[Transaction] = []
        self._clock = datetime.combine(self.date, time(), UTC)
        self._step_us = 80_000_000_000 // (4 * self.orders + 60)
        self._touched: set[tuple[str, Key]] = set()
        self.lines: dict[int, list[Row]] = {}
        for line in world.rows("order_lines"):
            self.lines.setdefault(line["order_id"], []).append(line)

    def now(self) -> datetime:
        """When the next transaction begins."""
        self._clock += timedelta(microseconds=1 + int(self.draws.unit() * self._step_us))
        return self._clock

    def add(self, kind: str, at: datetime, changes: Iterable[Change], **options: Any) -> None:
        """Add a transaction. The tables of its changes are all of one database."""
        written = tuple(changes)
        if not written:
            return
        number, database = len(self.transactions), DATABASE_OF[written[0].table]
        self.transactions.append(Transaction(database, self.day, number, kind, at, written, **options))

    def take(self, table: str, count: int, where: Callable[[Row], bool] = lambda row: True) -> list[Row]:
        """Up to ``count`` random rows that no other transaction of the day writes."""
        found = [
            row for key, row in self.world.tables[table].items() if (table, key) not in self._touched and where(row)
        ]
        chosen = []
        for _ in range(min(count, len(found))):
            chosen.append(found.pop(int(self.draws.unit() * len(found))))
        self._touched |= {(table, World.key_of(table, row)) for row in chosen}
        return chosen

    def take_all(self, table: str, column: str, values: Set[Any]) -> list[Row]:
        """All rows with such a value that no other transaction of the day writes."""
        return self.take(table, len(self.world.tables[table]), lambda row: row[column] in values)

    def is_taken(self, table: str, key: Key) -> bool:
        """Whether a transaction of the day writes a row."""
        return (table, key) in self._touched

    def update(self, table: str, row: Row, at: datetime | None, **values: Any) -> Update:
        """A change of a row, with its ``updated_at`` unless there is no ``at``."""
        return Update(table, World.key_of(table, row), {**values, **({"updated_at": at} if at else {})})


def _pay(made: _Day) -> None:
    """Orders of yesterday are paid, or cancelled."""
    cards = {row["customer_id"]: row for row in made.world.rows("cards")}
    for order in made.take("orders", made.orders * 2, lambda row: row["status"] == "placed"):
        at, lines = made.now(), made.lines[order["order_id"]]
        if made.draws.chance(0.1):
            changes = [made.update("order_lines", line, at, status="cancelled") for line in lines]
            made.add("cancel", at, [made.update("orders", order, at, status="cancelled"), *changes])
            continue
        made.add("pay", at, [made.update("orders", order, at, status="paid")])
        amount = sum((net(line) for line in lines), Decimal(0))
        if amount:
            at, number, card = made.now(), made.world.next("payments"), cards.get(order["customer_id"])
            payment = finance.new_payment(made.draws, number, order, card, amount, at)
            made.add("payment", at, [Insert("payments", payment)])


def _ship(made: _Day) -> None:
    """Paid orders are shipped if they contain a parcel, else completed."""
    for order in made.take("orders", made.orders * 2, lambda row: row["status"] == "paid"):
        at, lines = made.now(), made.lines[order["order_id"]]
        parcel = any(is_physical(made.world, line) for line in lines)
        changes: list[Change] = [made.update("orders", order, at, status="shipped" if parcel else "completed")]
        changes += [made.update("order_lines", line, at, status="fulfilled") for line in lines]
        if parcel:
            shipment = new_shipment(made.draws, made.world.next("shipments"), order, at)
            changes.append(Insert("shipments", shipment))
        made.add("ship", at, changes)


def _deliver(made: _Day) -> None:
    """Parcels arrive after three days or more."""
    before = datetime.combine(made.date - timedelta(days=3), time(), UTC)
    shipments = {row["order_id"]: row for row in made.world.rows("shipments")}
    for order in made.take(
        "orders", made.orders, lambda row: row["status"] == "shipped" and row["updated_at"] < before
    ):
        at, shipment = made.now(), shipments.get(order["order_id"])
        arrived = [made.update("shipments", shipment, at, delivered_at=at)] if shipment else []
        made.add("deliver", at, [made.update("orders", order, at, status="completed"), *arrived])


def _come(made: _Day) -> None:
    """Customers come."""
    for _ in range(max(1, made.orders // 6)):
        at, number = made.now(), made.world.next("customers")
        customer = crm.new_customer(made.draws, number, None, at)
        address = crm.new_address(made.draws, made.world.next("addresses"), number, "billing", at)
        made.add("customer", at, [Insert("customers", customer), Insert("addresses", address)])
        if made.draws.chance(0.8):
            card = finance.new_card(made.draws, made.world.next("cards"), customer)
            made.add("card", made.now(), [Insert("cards", card)])


def _order(made: _Day) -> None:
    """Orders are placed, and carts filled. One commits late, and one is written partly under savepoints."""
    for index, customer in enumerate(made.take("customers", made.orders)):
        at, status = made.now(), "cart" if index % 5 == 4 else "placed"
        order, lines = made.counter.order(made.world.next("orders"), customer["customer_id"], status, at)
        first, rest = [Insert("orders", order), Insert("order_lines", lines[0])], lines[1:]
        if index == 0:
            made.add("late_order", at, [*first, *(Insert("order_lines", line) for line in rest)], late_by=4)
        elif index == 1:
            undone = Insert("order_lines", {**lines[0], "line_number": 99})
            second = [*rest, {**lines[0], "line_number": len(lines) + 1}]  # the same line twice: two of them are sold
            nested = tuple(Insert("order_lines", line) for line in second)
            made.add("savepoint_order", at, first, nested=nested, undone=(undone,))
        else:
            made.add(status, at, [*first, *(Insert("order_lines", line) for line in rest)])


def _clear_carts(made: _Day) -> None:
    """Carts become orders or are deleted; the number of one is used again by a later order."""
    for index, order in enumerate(made.take("orders", 3, lambda row: row["status"] == "cart")):
        at, lines = made.now(), made.lines[order["order_id"]]
        if index == 0:
            changes = [made.update("order_lines", line, at) for line in lines]
            made.add("cart_bought", at, [made.update("orders", order, at, status="placed", ordered_at=at), *changes])
            continue
        gone = [_delete("order_lines", line) for line in lines]
        made.add("cart_cleared", at, [*gone, _delete("orders", order)])
        if index == 1:
            at, customer = made.now(), made.take("customers", 1)[0]["customer_id"]
            order, lines = made.counter.order(order["order_id"], customer, "placed", at)
            made.add("key_reuse", at, [Insert("orders", order), *(Insert("order_lines", line) for line in lines)])


def _correct(made: _Day) -> None:
    """Old orders are corrected: quantity, price or discount of a line. One correction commits late."""
    before = datetime.combine(made.date - timedelta(days=60), time(), UTC)
    orders = made.take("orders", 2, lambda row: row["status"] == "completed" and row["ordered_at"] < before)
    for index, order in enumerate(orders):
        at, line = made.now(), made.draws.one_of(made.lines[order["order_id"]])
        currency = order["currency"]
        values: Row = made.draws.one_of((
            {"quantity": line["quantity"] + 1},
            {"unit_price": money(line["unit_price"] * 9 / 10, currency), "discount": Decimal("0.00")},
            {"discount": money(net(line) / 2, currency)},
        ))  # fmt: skip
        changes = [made.update("order_lines", line, at, **values), made.update("orders", order, at)]
        made.add("late_correction" if index else "correction", at, changes, late_by=3 * index)


def _return(made: _Day) -> None:
    """A line of a completed order comes back and is refunded."""
    payments = {row["order_id"]: row for row in made.world.rows("payments") if row["status"] == "captured"}
    for order in made.take("orders", 1, lambda row: row["status"] == "completed" and row["order_id"] in payments):
        kept = [line for line in made.lines[order["order_id"]] if line["status"] == "fulfilled" and net(line)]
        if not kept:
            continue
        at, line = made.now(), made.draws.one_of(kept)
        made.add("return", at, [made.update("order_lines", line, at, status="returned")])
        at, payment = made.now(), payments[order["order_id"]]
        number = made.world.next("refunds")
        refund = finance.new_refund(made.draws, number, payment, line["line_number"], net(line), at)
        made.add("refund", at, [Insert("refunds", refund)])


def _reprice(made: _Day) -> None:
    """A price changes at midnight, a cost at once."""
    prices = Prices(made.world)
    for product in made.take("products", 1, lambda row: row["product_type"] != "gift_card"):
        at, number = made.now(), product["product_id"]
        midnight = datetime.combine(made.date + timedelta(days=1), time(), UTC)
        price = changed_price(made.draws, prices.price(number, "USD", midnight))
        changes = [Insert("product_prices", row) for row in prices_of(number, price, midnight)]
        made.add("price_change", at, [*changes, made.update("products", product, at)])
    for product in made.take("products", 1):
        at, number = made.now(), product["product_id"]
        cost = changed_cost(made.draws, product["unit_cost"])
        row = {"product_id": number, "valid_from": at, "unit_cost": cost}
        made.add(
            "cost_change", at, [Insert("product_costs", row), made.update("products", product, at, unit_cost=cost)]
        )


def _promote(made: _Day) -> None:
    """Promotions are announced ten days ahead."""
    starts_on = made.date + timedelta(days=10)
    for sale in SALES:
        if (sale.month, sale.day) == (starts_on.month, starts_on.day):
            at = made.now()
            row = new_promotion(made.world.next("promotions"), sale, starts_on, at)
            made.add("promotion", at, [Insert("promotions", row)])


def _move(made: _Day) -> None:
    """Customers move. One move commits late; one is taken back."""
    addresses = made.take("addresses", 3, lambda row: row["kind"] == "billing")
    for index, address in enumerate(addresses):
        at = made.now()
        customer = made.world.tables["customers"][address["customer_id"],]
        changes = [made.update("addresses", address, at, **crm.place(made.draws))]
        if not made.is_taken("customers", (address["customer_id"],)):
            changes.append(made.update("customers", customer, at))
        if index == 2:
            made.add("rollback_move", at, changes, ends="rollback")
        else:
            made.add("late_move" if index else "move", at, changes, late_by=3 * index)


def _complain(made: _Day) -> None:
    """Tickets are opened, and closed without a new ``updated_at``."""
    recent = datetime.combine(made.date - timedelta(days=40), time(), UTC)
    orders = [row for row in made.world.rows("orders") if row["customer_id"] and row["ordered_at"] > recent]
    for order in [order for order in orders if not made.is_taken("customers", (order["customer_id"],))][:2]:
        at = made.now()
        ticket = crm.new_ticket(made.draws, made.world.next("support_tickets"), order, at)
        made.add("ticket", at, [Insert("support_tickets", ticket)])
    for ticket in made.take("support_tickets", 2, lambda row: row["status"] != "closed"):
        at = made.now()
        made.add("ticket_closed", at, [made.update("support_tickets", ticket, None, **crm.closed(made.draws, at))])


def _forget(made: _Day) -> None:
    """A customer asks to be forgotten: gone from crm and from the cards, without a name in orders and payments."""
    busy = {row["customer_id"] for row in made.world.rows("orders") if row["status"] in ("cart", "placed", "paid")}
    for customer in made.take("customers", 1, lambda row: row["customer_id"] not in busy):
        whose = {customer["customer_id"]}
        gone = [
            _delete(table, row)
            for table in ("support_tickets", "addresses")
            for row in made.take_all(table, "customer_id", whose)
        ]
        made.add("forget", made.now(), [*gone, _delete("customers", customer)])
        at, orders = made.now(), made.take_all("orders", "customer_id", whose)
        made.add("forget_orders", at, [made.update("orders", each, at, customer_id=None, note=None) for each in orders])
        at, cards = made.now(), made.take_all("cards", "customer_id", whose)
        payments = made.take_all("payments", "card_id", {card["card_id"] for card in cards})
        changes = [made.update("payments", each, at, card_id=None, card_number=None) for each in payments]
        made.add("forget_cards", at, [*changes, *(_delete("cards", card) for card in cards)])


def _delete(table: str, row: Row) -> Delete:
    return Delete(table, World.key_of(table, row))


def _give_up(made: _Day) -> None:
    """A transaction writes in several tables and is rolled back; its numbers are not used again."""
    at, customer = made.now(), made.take("customers", 1)[0]["customer_id"]
    order, lines = made.counter.order(made.world.next("orders"), customer, "placed", at)
    changes: list[Change] = [Insert("orders", order), *(Insert("order_lines", line) for line in lines)]
    changes += [
        made.update("orders", each, at, status="refunded")
        for each in made.take("orders", 2, lambda row: row["status"] == "completed")
    ]
    made.add("rollback", at, changes, ends="rollback")


def _produce(made: _Day) -> None:
    """Production orders arrive when they are due, but for one in three, which waits for another day."""
    for order in made.take(
        "production_orders", 5, lambda row: row["status"] == "ordered" and row["due_on"] <= made.date
    ):
        if made.draws.chance(0.66):
            at = made.now()
            row = stock.received(made.draws, order, made.date)
            values = {name: row[name] for name in ("status", "scrap_rate", "received_on")}
            made.add("received", at, [made.update("production_orders", order, at, **values)])


def _recount(made: _Day) -> None:
    """The last count of a shelf was wrong: the application deletes the row and writes another with its key."""
    last = max(row["counted_on"] for row in made.world.rows("stock_levels"))
    for row in made.take("stock_levels", 1, lambda row: row["counted_on"] == last):
        at = made.now()
        counted = {**row, "on_hand": row["on_hand"] + made.draws.between(-2, 3), "updated_at": at}
        counted["on_hand"] = max(counted["on_hand"], 0)
        made.add("recount", at, [_delete("stock_levels", row), Insert("stock_levels", counted)])


def _count_stock(made: _Day) -> None:
    """On Sundays all shelves are counted, and what runs low is ordered."""
    if made.date.weekday() != 6:
        return
    previous = made.date - timedelta(days=7)
    shelves = [row for row in made.world.rows("stock_levels") if row["counted_on"] == previous]
    demand, arrived = stock.Demand.of(made.world), _arrivals(made.world, previous)
    open_shelves = {
        (row["warehouse_id"], row["product_id"])
        for row in made.world.rows("production_orders")
        if row["status"] == "ordered"
    }
    prices = Prices(made.world)
    for warehouse in made.world.tables["warehouses"]:
        at, counts, low = made.now(), [], []
        for row in [each for each in shelves if each["warehouse_id"] == warehouse[0]]:
            shelf = (row["warehouse_id"], row["product_id"])
            on_hand = max(row["on_hand"] - demand.pieces[shelf, made.date], 0) + arrived.get(shelf, 0)
            counts.append(Insert("stock_levels", stock.count(shelf, made.date, on_hand, row["reorder_point"], at)))
            if on_hand <= row["reorder_point"] and shelf not in open_shelves:
                low.append((shelf, row["reorder_point"]))
        made.add("stock_count", at, counts)
        made.add("production", at, _more(made, low, prices, at))


def _more(made: _Day, low: Sequence[tuple[stock.Shelf, int]], prices: Prices, at: datetime) -> list[Change]:
    return [
        Insert(
            "production_orders",
            stock.new_production_order(
                made.draws, made.world.next("production_orders"), shelf, 2 * point, prices.cost(shelf[1], at), at
            ),
        )
        for shelf, point in low
    ]


def _arrivals(world: World, after: date) -> dict[stock.Shelf, int]:
    """Pieces that arrived on each shelf after a day."""
    found: dict[stock.Shelf, int] = {}
    for row in world.rows("production_orders"):
        if row["received_on"] and row["received_on"] > after:
            shelf = (row["warehouse_id"], row["product_id"])
            found[shelf] = found.get(shelf, 0) + row["quantity"]
    return found


_STEPS = (
    _pay, _ship, _deliver, _forget, _order, _clear_carts, _move, _give_up, _correct, _return, _reprice, _promote, _come,
    _complain, _produce, _recount, _count_stock,
)  # fmt: skip
