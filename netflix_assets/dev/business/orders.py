"""Orders with their lines and shipments."""

from bisect import bisect_right
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from netflix_assets.dev.business.draws import Draws, identifier
from netflix_assets.dev.business.products import Prices, warehouse_of
from netflix_assets.dev.business.scenario import (
    CARRIERS,
    END,
    FIRST_DAY,
    MARKET_OF,
    N_DAYS,
    OFFERS,
    SENTENCES,
    START,
    money,
)
from netflix_assets.dev.business.world import Row, World

_LINES = list(accumulate((34, 25, 18, 13, 10)))  # 1 to 5 lines, 2.4 on average
_QUANTITIES = list(accumulate((80, 12, 5, 3)))
_ON_THE_INSTANT = 150  # one order in so many is placed at the very moment at which a cost changes


class Counter:
    """Makes orders: who buys what, at which price, and with which promotion."""

    def __init__(self, world: World, draws: Draws) -> None:
        self._draws = draws
        self._prices = Prices(world)
        self._addresses = {row["customer_id"]: row for row in world.rows("addresses") if row["kind"] == "billing"}
        self._promotions = world.rows("promotions")
        self._types = {row["product_id"]: row["product_type"] for row in world.rows("products")}
        self._products = [row["product_id"] for row in world.rows("products") if row["is_active"]]
        weights = {row["product_id"]: 0 for row in world.rows("products")}
        by_sku = {offer.sku: offer.weight for offer in OFFERS}
        wares = sum(kind == "merchandise" for kind in self._types.values())
        for row in world.rows("products"):
            weights[row["product_id"]] = 100 * by_sku.get(row["sku"], 0) or 6_000 // wares
        self._weights = list(accumulate(weights[product] for product in self._products))

    def order(self, number: int, customer: int, status: str, at: datetime) -> tuple[Row, list[Row]]:
        """An order and its lines, which all were written at this moment."""
        draws, address = self._draws, self._addresses[customer]
        currency = MARKET_OF[address["country_code"]].currency
        promotion = self._promotion(address["country_code"], at.date())
        order = {
            "order_id": number,
            "order_number": identifier("order", number, customer, at.isoformat()),
            "customer_id": customer,
            "status": status,
            "currency": currency,
            "country_code": address["country_code"],
            "state_code": address["state_code"],
            "promotion_id": promotion["promotion_id"] if promotion else None,
            "ordered_at": at,
            "note": draws.one_of(SENTENCES) if draws.chance(0.03) else None,
            "context": {"device": draws.one_of(("tv", "web", "phone")), "basket": draws.between(1, 9)},
            "updated_at": at,
        }
        lines = [
            self._line(number, line, currency, promotion, at)
            for line in range(1, 1 + draws.weighted((1, 2, 3, 4, 5), _LINES))
        ]
        return order, lines

    def _promotion(self, country: str, day: date) -> Row | None:
        for row in self._promotions:
            if row["starts_on"] <= day <= row["ends_on"] and (not row["countries"] or country in row["countries"]):
                return row if self._draws.chance(0.6) else None
        return None

    def _line(self, order: int, number: int, currency: str, promotion: Row | None, at: datetime) -> Row:
        draws = self._draws
        product = draws.weighted(self._products, self._weights)
        kind = self._types[product]
        price = self._prices.price(product, currency, at)
        if draws.chance(0.03):  # an old price that a customer keeps
            price = money(price * draws.between(80, 95) / 100, currency)
        quantity = 1 if kind == "plan" else draws.weighted((1, 2, 3, 10), _QUANTITIES)
        percent = Decimal(0)
        if promotion and promotion["product_type"] in (None, kind):
            percent = promotion["percent"]
        elif draws.chance(0.02):
            percent = Decimal(draws.between(1, 9))  # goodwill
        return {
            "order_id": order,
            "line_number": number,
            "product_id": product,
            "quantity": quantity,
            "unit_price": price,
            "discount": money(price * quantity * percent / 100, currency),
            "status": "open",
            "updated_at": at,
        }


def add_orders(world: World, draws: Draws, count: int) -> None:
    """Add two years of orders, by time, with their lines and shipments."""
    counter, came = Counter(world, draws), [row["created_at"] for row in world.rows("customers")]
    changes = sorted({row["valid_from"] for row in world.rows("product_costs") if row["valid_from"] >= START})
    for at in sorted(_moments(draws, changes, count)):
        # Early customers order more often.
        share = draws.unit()
        customer = 1 + int(share * (0.4 + 0.6 * share) * bisect_right(came, at))
        order, lines = counter.order(world.next("orders"), customer, _status(draws, at), at)
        order = world.add("orders", **order)
        _settle(world, draws, order, [world.add("order_lines", **line) for line in lines])


def net(line: Row) -> Decimal:
    """What a line costs the customer, in the currency of the order."""
    amount: Decimal = line["unit_price"] * line["quantity"] - line["discount"]
    return amount


def new_shipment(draws: Draws, number: int, order: Row, at: datetime) -> Row:
    """A shipment that leaves at this moment."""
    warehouse = warehouse_of(order["country_code"], order["state_code"])
    return {
        "shipment_id": number,
        "order_id": order["order_id"],
        "warehouse_id": warehouse,
        "carrier": CARRIERS[warehouse - 1],
        "tracking_code": f"{draws.between(0, 10**12 - 1):013d}",  # starts with a zero
        "dimensions_cm": [Decimal(draws.between(50, 600)) / 10 for _ in range(3)],
        "shipped_at": at,
        "delivered_at": None,
        "updated_at": at,
    }


def _moments(draws: Draws, changes: list[datetime], count: int) -> list[datetime]:
    """When orders come: more from year to year, on weekends, and before Christmas."""
    weights = []
    for number in range(N_DAYS):
        day = FIRST_DAY + timedelta(days=number)
        season = 16 if day.month == 12 and day.day < 24 else 13 if day.month == 11 else 10
        weights.append((700 + number) * season * (13 if day.weekday() >= 5 else 10))
    cumulative, days = list(accumulate(weights)), range(N_DAYS)
    return [
        draws.one_of(changes)
        if number % _ON_THE_INSTANT == 1 and changes
        else START + timedelta(days=draws.weighted(days, cumulative)) + draws.moment()
        for number in range(count)
    ]


def _status(draws: Draws, at: datetime) -> str:
    """The status at the end of the history of an order that was placed then."""
    age, share = END - at, draws.unit()
    if share < 0.002 or (share < 0.05 and age < timedelta(days=30)):
        return "cart"
    if share < 0.09:
        return "cancelled"
    if age < timedelta(days=1):
        return "placed"
    if age < timedelta(days=2):
        return "paid"
    if share < 0.115:
        return "refunded"
    return "shipped" if age < timedelta(days=6) else "completed"


def _settle(world: World, draws: Draws, order: Row, lines: list[Row]) -> None:
    """Give lines the status that fits that of their order, ship what is a parcel, and set ``updated_at``."""
    status, at = order["status"], order["ordered_at"]
    changed = min(at + draws.moment(6.0), END - timedelta(seconds=1))
    whole = {"cancelled": "cancelled", "refunded": "returned", "completed": "fulfilled", "shipped": "fulfilled"}
    for line in lines:
        line["status"] = whole.get(status, "open")
        if status == "completed" and (share := draws.unit()) < 0.05:
            line["status"] = "returned" if share < 0.035 else "cancelled"
        if line["status"] != "open":
            line["updated_at"] = changed
    if status in whole:
        order["updated_at"] = changed
    parcel = any(is_physical(world, line) and line["status"] in ("fulfilled", "returned") for line in lines)
    if parcel and status in ("completed", "shipped", "refunded"):
        shipment = new_shipment(draws, world.next("shipments"), order, min(at + draws.moment(2.0), END))
        if status != "shipped":
            shipment["delivered_at"] = shipment["updated_at"] = shipment["shipped_at"] + draws.moment(4.0)
        world.add("shipments", **shipment)


def is_physical(world: World, line: Row) -> bool:
    """Whether what a line sells comes out of a warehouse."""
    product = world.tables["products"][line["product_id"],]
    return bool(world.tables["product_types"][product["product_type"],]["is_physical"])
