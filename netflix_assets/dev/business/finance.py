"""Cards, payments and refunds. The card numbers are invented, from ranges that issuers keep for tests."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from netflix_assets.dev.business.draws import Draws, identifier
from netflix_assets.dev.business.orders import net
from netflix_assets.dev.business.scenario import END, REASONS
from netflix_assets.dev.business.world import Row, World

_BRANDS = (("Visa", "40000000"), ("Mastercard", "55555555"), ("Visa", "42424242"))
_LAST_SECOND = END - timedelta(seconds=1)


def add_cards(world: World, draws: Draws) -> None:
    """Add a card for four of five customers, and a second one for some."""
    for customer in world.rows("customers"):
        for _ in range((1 + draws.chance(0.1)) * draws.chance(0.8)):
            world.add("cards", **new_card(draws, world.next("cards"), customer))


def add_payments(world: World, draws: Draws) -> None:
    """Add what was paid for the orders of the history, and what was paid back."""
    cards = {row["customer_id"]: row for row in world.rows("cards")}
    lines: dict[int, list[Row]] = {}
    for line in world.rows("order_lines"):
        lines.setdefault(line["order_id"], []).append(line)
    for order in world.rows("orders"):
        status = order["status"]
        if status in ("cart", "placed") or (status == "cancelled" and draws.chance(0.7)):
            continue
        charged = [each for each in lines[order["order_id"]] if status == "cancelled" or each["status"] != "cancelled"]
        amount = sum((net(line) for line in charged), Decimal(0))
        if not amount:
            continue
        at = min(order["ordered_at"] + draws.moment(0.02), _LAST_SECOND)
        card = cards.get(order["customer_id"])
        if draws.chance(0.02):
            failed = new_payment(draws, world.next("payments"), order, card, amount, at)
            world.add(
                "payments", **failed | {"status": "failed", "provider_response": {"code": 51, "text": "declined"}}
            )
            at = min(at + timedelta(minutes=3), _LAST_SECOND)
        payment = world.add("payments", **new_payment(draws, world.next("payments"), order, card, amount, at))
        for refund in _refunds(world, draws, order, charged, payment):
            world.add("refunds", **refund)


def new_card(draws: Draws, number: int, customer: Row) -> Row:
    """A customer's card."""
    brand, prefix = draws.one_of(_BRANDS)
    return {
        "card_id": identifier("card", number, customer["customer_id"]),
        "customer_id": customer["customer_id"],
        "brand": brand,
        "card_number": _with_check_digit(f"{prefix}{draws.between(0, 9_999_999):07d}"),
        "holder": customer["full_name"].upper(),
        "expires_on": date(draws.between(2024, 2029), draws.between(1, 12), 1),
        "updated_at": customer["created_at"],
    }


def new_payment(draws: Draws, number: int, order: Row, card: Row | None, amount: Decimal, at: datetime) -> Row:
    """A payment that succeeds, by card if the customer has one."""
    return {
        "payment_id": number,
        "order_id": order["order_id"],
        "card_id": card["card_id"] if card else None,
        "card_number": card["card_number"] if card else None,
        "method": "card" if card else draws.one_of(("wallet", "direct_debit", "gift_card")),
        "status": "captured",
        "currency": order["currency"],
        "amount": amount,
        "is_recurring": draws.chance(0.5),
        "provider_response": {"code": 0, "risk": draws.between(0, 100) / 128} if draws.chance(0.9) else None,
        "paid_at": at,
        "updated_at": at,
    }


def new_refund(draws: Draws, number: int, payment: Row, line_number: int | None, amount: Decimal, at: datetime) -> Row:
    """A refund of a line, or of the whole payment."""
    return {
        "refund_id": number,
        "payment_id": payment["payment_id"],
        "order_id": payment["order_id"],
        "line_number": line_number,
        "currency": payment["currency"],
        "amount": amount,
        "reason": draws.one_of(REASONS),
        "refunded_at": at,
        "updated_at": at,
    }


def _refunds(world: World, draws: Draws, order: Row, charged: list[Row], payment: Row) -> list[Row]:
    at = min(max(order["updated_at"], payment["paid_at"]) + draws.moment(3.0), _LAST_SECOND)
    if order["status"] in ("refunded", "cancelled"):
        return [new_refund(draws, world.next("refunds"), payment, None, payment["amount"], at)]
    returned = [line for line in charged if line["status"] == "returned" and net(line)]
    return [new_refund(draws, world.next("refunds"), payment, line["line_number"], net(line), at) for line in returned]


def _with_check_digit(digits: str) -> str:
    """Digits and the one that makes the sum of Luhn's formula end with 0."""
    total = sum(
        sum(divmod(int(digit) * (2 if position % 2 == 0 else 1), 10)) for position, digit in enumerate(reversed(digits))
    )
    return f"{digits}{-total % 10}"
