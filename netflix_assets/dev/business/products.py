"""Products, their prices and costs over time, promotions and warehouses."""

import math
from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from netflix_assets.dev.business.draws import Draws
from netflix_assets.dev.business.scenario import (
    CENTS_PER_UNIT,
    COLOURS,
    DEPOTS,
    FIRST_DAY,
    LAST_DAY,
    MERCHANDISE,
    MIN_MERCHANDISE,
    N_DAYS,
    OFFERS,
    PRODUCT_TYPES,
    SALES,
    START,
    WARES,
    WESTERN,
    Sale,
    money,
)
from netflix_assets.dev.business.world import Row, World
from netflix_assets.dev.samples.netflix.titles import make_titles

_BEFORE = START - timedelta(days=60)  # the first prices
_TITLES = 6_000  # of the sample files at their scale 1; merchandise belongs to some of them


class Prices:
    """List prices and unit costs at any moment. A change counts from its very instant on."""

    def __init__(self, world: World) -> None:
        self._prices: dict[tuple[int, str], list[tuple[datetime, Decimal]]] = {}
        self._costs: dict[int, list[tuple[datetime, Decimal]]] = {}
        for row in world.rows("product_prices"):
            key = (row["product_id"], row["currency"])
            self._prices.setdefault(key, []).append((row["valid_from"], row["list_price"]))
        for row in world.rows("product_costs"):
            self._costs.setdefault(row["product_id"], []).append((row["valid_from"], row["unit_cost"]))

    def price(self, product: int, currency: str, at: datetime) -> Decimal:
        """The list price in a currency."""
        return _valid(self._prices[product, currency], at)

    def cost(self, product: int, at: datetime) -> Decimal:
        """The unit cost in US dollars."""
        return _valid(self._costs[product], at)


def _valid(versions: list[tuple[datetime, Decimal]], at: datetime) -> Decimal:
    return versions[bisect_right(versions, at, key=_moment) - 1][1]


def _moment(version: tuple[datetime, Any]) -> datetime:
    return version[0]


def add_products(world: World, draws: Draws, scale: float) -> None:
    """Add products with two years of prices and costs, which change on the first of some months."""
    for product_type, name, is_physical in PRODUCT_TYPES:
        world.add("product_types", product_type=product_type, name=name, is_physical=is_physical)
    for offer in OFFERS:
        _add_product(world, draws, offer.sku, offer.product_type, offer.name, Decimal(offer.price), Decimal(offer.cost))
    titles = make_titles(_TITLES, seed=1).ids
    for number in range(max(MIN_MERCHANDISE, round(MERCHANDISE * math.sqrt(scale)))):
        name, price, cost, weight = WARES[number % len(WARES)]
        colour = draws.one_of(COLOURS)
        _add_product(
            world, draws, f"MERCH-{number + 1:04d}", "merchandise", f"{name}, {colour}", Decimal(price), Decimal(cost),
            title_id=draws.one_of(titles) if draws.chance(0.9) else None, weight_kg=weight,
            attributes={"colour": colour, "sizes": ["S", "M", "L"] if name == "T-shirt" else []},
        )  # fmt: skip


def _add_product(
    world: World, draws: Draws, sku: str, product_type: str, name: str, price: Decimal, cost: Decimal,
    title_id: str | None = None, weight_kg: float | None = None, attributes: Row | None = None,
) -> None:  # fmt: skip
    product = world.next("products")
    moments = [_BEFORE, *(month for month in _months() if draws.chance(0.14))]
    for at in moments:
        if at > _BEFORE:
            cost = changed_cost(draws, cost)
        world.add("product_costs", product_id=product, valid_from=at, unit_cost=cost.quantize(Decimal("0.0001")))
    for at in [_BEFORE, *(month for month in _months() if draws.chance(0.05) and product_type != "gift_card")]:
        if at > _BEFORE:
            price = changed_price(draws, price)
        for row in prices_of(product, price, at):
            world.add("product_prices", **row)
    world.add(
        "products", product_id=product, sku=sku, product_type=product_type, name=name, title_id=title_id,
        unit_cost=cost.quantize(Decimal("0.0001")), weight_kg=weight_kg, is_active=not draws.chance(0.04),
        attributes=attributes or {}, updated_at=moments[-1],
    )  # fmt: skip


def changed_cost(draws: Draws, cost: Decimal) -> Decimal:
    """A cost after a change of -6 to +9 percent."""
    return (cost * (100 + draws.between(-6, 9)) / 100).quantize(Decimal("0.0001"))


def changed_price(draws: Draws, price: Decimal) -> Decimal:
    """A price in US dollars after a change of -5 to +15 percent."""
    return money(price * (100 + draws.between(-5, 15)) / 100, "USD")


def prices_of(product: int, price: Decimal, at: datetime) -> list[Row]:
    """The list prices in every currency from a moment on."""
    return [
        {
            "product_id": product, "currency": currency, "valid_from": at,
            "list_price": money(price * 100 / cents, currency),
        }
        for currency, cents in CENTS_PER_UNIT.items()
    ]  # fmt: skip


def _months() -> list[datetime]:
    """The first of every month of the history, at midnight."""
    days = [FIRST_DAY + timedelta(days=day) for day in range(N_DAYS)]
    return [datetime.combine(day, time(), UTC) for day in days if day.day == 1]


def add_promotions(world: World) -> None:
    """Add every year's promotions; the first crosses New Year."""
    for year in range(FIRST_DAY.year - 1, LAST_DAY.year + 1):
        for sale in SALES:
            starts_on = date(year, sale.month, sale.day)
            if starts_on + timedelta(days=sale.days) <= FIRST_DAY:
                continue
            announced = datetime.combine(starts_on, time(), UTC) - timedelta(days=20)
            world.add("promotions", **new_promotion(world.next("promotions"), sale, starts_on, announced))


def new_promotion(number: int, sale: Sale, starts_on: date, at: datetime) -> Row:
    """A promotion; one that starts in December is named after the next year."""
    year = starts_on.year + (sale.month == 12)
    return {
        "promotion_id": number, "code": f"{sale.code}{year % 100}", "name": sale.name, "percent": Decimal(sale.percent),
        "product_type": sale.product_type, "countries": list(sale.countries), "starts_on": starts_on,
        "ends_on": starts_on + timedelta(days=sale.days - 1), "updated_at": at,
    }  # fmt: skip


def add_warehouses(world: World) -> None:
    """Add the warehouses."""
    for number, depot in enumerate(DEPOTS, start=1):
        world.add(
            "warehouses", warehouse_id=number, code=depot.code, name=depot.name, country_code=depot.country,
            time_zone=depot.time_zone, opened_on=depot.opened_on,
            updated_at=datetime.combine(depot.opened_on, time(9), UTC),
        )  # fmt: skip


def warehouse_of(country: str, state: str | None) -> int:
    """The number of the warehouse that delivers to a country; in the United States, to a state."""
    area = country if country != "US" else "US-W" if state in WESTERN else "US-E"
    return next(number for number, depot in enumerate(DEPOTS, start=1) if area in depot.serves)
