"""Customers, where they live, and what they complain about."""

from datetime import date, datetime, timedelta
from itertools import accumulate

from netflix_assets.dev.business.draws import Draws, identifier
from netflix_assets.dev.business.scenario import (
    END,
    FIRST_NAMES,
    INTERESTS,
    LAST_NAMES,
    MARKET_OF,
    MARKETS,
    N_DAYS,
    RATING_USERS,
    SENTENCES,
    START,
    STATES,
    SUBJECTS,
)
from netflix_assets.dev.business.world import Row, World

_STREETS = (
    "Main St",
    "Hauptstraße",
    "Rue de l'Église",
    "Ocean Ave, Apt #4",
    "High St\n2nd floor",
    "Calle Mayor",
    "桜通り",
)
_BEFORE_DAYS = 1_000.0  # customers joined up to this long before the history starts
_MARKET_WEIGHTS = list(accumulate(market.weight for market in MARKETS))
_STATE_WEIGHTS = list(accumulate(weight for _, weight, _, _ in STATES))


def add_countries(world: World) -> None:
    """Add the countries that the business sells to."""
    for market in MARKETS:
        world.add("countries", country_code=market.country, name=market.name, currency=market.currency)


def add_customers(world: World, draws: Draws, count: int) -> None:
    """Add customers with their addresses, ordered by when they joined. The first ones also rate films."""
    came = sorted(
        START - draws.moment(_BEFORE_DAYS) if draws.chance(0.55) else START + draws.moment(float(N_DAYS))
        for _ in range(count)
    )
    raters = _raters(draws, count)
    for at in came:
        number = world.next("customers")
        world.add("customers", **new_customer(draws, number, raters.get(number), at))
        for kind in ("billing", "shipping") if draws.chance(0.15) else ("billing",):
            world.add("addresses", **new_address(draws, world.next("addresses"), number, kind, at))


def add_tickets(world: World, draws: Draws, count: int) -> None:
    """Add support tickets about orders. Those that are closed have kept the ``updated_at`` of their start."""
    orders = [order for order in world.rows("orders") if order["status"] != "cart"]
    for _ in range(count):
        order = draws.one_of(orders)
        at = order["ordered_at"] + draws.moment(20.0)
        if at >= END:
            continue
        ticket = new_ticket(draws, world.next("support_tickets"), order, at)
        if at < END - timedelta(days=14) or draws.chance(0.4):
            ticket |= closed(draws, min(at + draws.moment(9.0), END - timedelta(seconds=1)))
        world.add("support_tickets", **ticket)


def new_customer(draws: Draws, number: int, rating_user_id: int | None, at: datetime) -> Row:
    """A customer who joins at this moment."""
    first, last = draws.one_of(FIRST_NAMES), draws.one_of(LAST_NAMES)
    language = draws.one_of(("en", "de", "fr", "es", "ja", "pt-BR"))
    return {
        "customer_id": number,
        "public_id": identifier("customer", number, at.isoformat()),
        "rating_user_id": rating_user_id,
        "full_name": f"{first} {last}",
        "email": f"customer.{number}@example.com",
        "birth_date": None if draws.chance(0.2) else date(1940, 1, 1) + timedelta(days=draws.between(0, 24_000)),
        "marketing_consent": draws.chance(0.6),
        "interests": [each for each in INTERESTS if draws.chance(0.2)],
        "preferences": {
            "language": language,
            "autoplay": draws.chance(0.7),
            "subtitles": {"size": draws.between(8, 24)},
        },
        "created_at": at,
        "updated_at": at,
    }


def new_address(draws: Draws, number: int, customer: int, kind: str, at: datetime) -> Row:
    """An address in a random market."""
    return {
        "address_id": number, "customer_id": customer, "kind": kind, **place(draws), "updated_at": at,
    }  # fmt: skip


def place(draws: Draws) -> Row:
    """Street, city, state, postal code and country."""
    country = draws.weighted(MARKETS, _MARKET_WEIGHTS).country
    street = f"{draws.between(1, 999)} {draws.one_of(_STREETS)}"
    if country == "US":
        state, _, city, prefix = draws.weighted(STATES, _STATE_WEIGHTS)
        postal_code = f"{prefix}{draws.between(0, 99):02d}"
    else:
        state, (city, postal_code) = None, draws.one_of(MARKET_OF[country].cities)
    return {
        "street": street, "city": city, "state_code": state,
        "postal_code": None if draws.chance(0.01) else postal_code, "country_code": country,
    }  # fmt: skip


def new_ticket(draws: Draws, number: int, order: Row, at: datetime) -> Row:
    """An open ticket about an order."""
    picture = bytes([0x89, 0x50, 0x4E, 0x47, 0, *(draws.between(0, 255) for _ in range(12))])
    return {
        "ticket_id": number,
        "customer_id": order["customer_id"],
        "order_id": None if draws.chance(0.1) else order["order_id"],
        "status": "waiting" if draws.chance(0.2) else "open",
        "subject": draws.one_of(SUBJECTS),
        "body": " ".join(draws.one_of(SENTENCES) for _ in range(draws.between(1, 3))),
        "satisfaction": None,
        "screenshot": picture if draws.chance(0.1) else None,
        "opened_at": at,
        "closed_at": None,
        "updated_at": at,
    }


def closed(draws: Draws, at: datetime) -> Row:
    """What changes when a ticket is closed: not ``updated_at``, which the application forgets."""
    return {"status": "closed", "satisfaction": draws.between(1, 5) if draws.chance(0.5) else None, "closed_at": at}


def _raters(draws: Draws, count: int) -> dict[int, int]:
    """The userId of customers who also rate: about 6 of 10, in no order, as long as there are userIds."""
    users = list(range(1, RATING_USERS + 1))
    for last in range(len(users) - 1, 0, -1):
        other = draws.between(0, last)
        users[last], users[other] = users[other], users[last]
    customers = [number for number in range(1, count + 1) if draws.chance(0.6)]
    return dict(zip(customers, users, strict=False))
