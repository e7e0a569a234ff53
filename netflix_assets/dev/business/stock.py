"""Weekly stock of merchandise by warehouse, and the orders to produce more."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from netflix_assets.dev.business.draws import Draws
from netflix_assets.dev.business.orders import is_physical
from netflix_assets.dev.business.products import Prices
from netflix_assets.dev.business.scenario import FIRST_DAY, LAST_DAY
from netflix_assets.dev.business.world import Row, World

_LEAD_DAYS = 21  # from ordering to receiving, when nothing is late
_COUNTED_AT = time(20)  # UTC, on Sundays

Shelf = tuple[int, int]  # warehouse, product


@dataclass
class Demand:
    """Pieces that left each shelf, by the Sunday on which they are first missed."""

    pieces: Counter[tuple[Shelf, date]]

    @classmethod
    def of(cls, world: World) -> "Demand":
        """What the shipments of the history took."""
        pieces: Counter[tuple[Shelf, date]] = Counter()
        shipments = {row["order_id"]: row for row in world.rows("shipments")}
        for line in world.rows("order_lines"):
            shipment = shipments.get(line["order_id"])
            if shipment and line["status"] in ("fulfilled", "returned") and is_physical(world, line):
                shelf = (shipment["warehouse_id"], line["product_id"])
                pieces[shelf, sunday_after(shipment["shipped_at"])] += line["quantity"]
        return cls(pieces)


def sunday_after(at: datetime) -> date:
    """The Sunday whose count is the first after a moment."""
    day = at.date()
    counted = day + timedelta(days=(6 - day.weekday()) % 7)
    return counted if datetime.combine(counted, _COUNTED_AT, UTC) >= at else counted + timedelta(days=7)


def add_stock(world: World, draws: Draws) -> None:
    """Add a count per warehouse, product and Sunday, and the production orders that fill the shelves."""
    demand, prices = Demand.of(world), Prices(world)
    sundays = [day for day in _days() if day.weekday() == 6]
    wares = [row["product_id"] for row in world.rows("products") if row["product_type"] == "merchandise"]
    for warehouse in world.rows("warehouses"):
        for product in wares:
            _fill_shelf(world, draws, demand, prices, (warehouse["warehouse_id"], product), sundays)


def _fill_shelf(world: World, draws: Draws, demand: Demand, prices: Prices, shelf: Shelf, sundays: list[date]) -> None:
    sold = sum(demand.pieces[shelf, day] for day in sundays)
    reorder_point = 2 + sold * 4 // len(sundays)
    on_hand, open_order = 2 * reorder_point + draws.between(0, 5), None
    for day in sundays:
        on_hand = max(on_hand - demand.pieces[shelf, day], 0)
        if open_order and open_order["received_on"] <= day:
            on_hand, open_order = on_hand + open_order["quantity"], None
        at = datetime.combine(day, _COUNTED_AT, UTC)
        world.add("stock_levels", **count(shelf, day, on_hand, reorder_point, at))
        if on_hand <= reorder_point and open_order is None:
            cost = prices.cost(shelf[1], at)
            order = new_production_order(draws, world.next("production_orders"), shelf, 2 * reorder_point, cost, at)
            if draws.chance(0.03):
                order["status"] = "cancelled"
            else:
                # One in four is up to six weeks late, so that some shelves run empty.
                late = draws.between(7, 42) if draws.chance(0.25) else 0
                open_order = received(draws, order, order["due_on"] + timedelta(days=late))
                if open_order["received_on"] <= LAST_DAY:
                    order = open_order
            world.add("production_orders", **order)


def count(shelf: Shelf, day: date, on_hand: int, reorder_point: int, at: datetime) -> Row:
    """A row of ``stock_levels``."""
    return {
        "warehouse_id": shelf[0], "product_id": shelf[1], "counted_on": day, "on_hand": on_hand,
        "reorder_point": reorder_point, "updated_at": at,
    }  # fmt: skip


def new_production_order(draws: Draws, number: int, shelf: Shelf, quantity: int, cost: Decimal, at: datetime) -> Row:
    """An order to produce a product for a warehouse."""
    return {
        "production_order_id": number,
        "product_id": shelf[1],
        "warehouse_id": shelf[0],
        "quantity": quantity,
        "unit_cost": (cost * draws.between(97, 103) / 100).quantize(Decimal("0.0001")),
        "status": "ordered",
        "scrap_rate": None,
        "ordered_on": at.date(),
        "due_on": at.date() + timedelta(days=_LEAD_DAYS),
        "received_on": None,
        "updated_at": at,
    }


def received(draws: Draws, order: Row, day: date) -> Row:
    """A production order as it is once it has arrived."""
    return {
        **order, "status": "received", "scrap_rate": draws.between(0, 400) / 4_096, "received_on": day,
        "updated_at": datetime.combine(day, time(8), UTC),
    }  # fmt: skip


def _days() -> list[date]:
    return [FIRST_DAY + timedelta(days=number) for number in range((LAST_DAY - FIRST_DAY).days + 1)]
