"""Exchange rates for the sample orders, in the form of two providers. All of them are invented.

A rate is a function of its moment and the seed alone, so a server and a test work it out without each other. Both
providers read one curve: rates by the hour, and once a day on days on which banks work.
"""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from hashlib import blake2b

# Units of each currency for 1 EUR in the middle of the curve, and how many decimals the European Central Bank gives.
_MIDDLE = {
    "USD": ("1.0800", 4), "GBP": ("0.86000", 5), "CAD": ("1.4700", 4), "INR": ("89.9000", 4), "JPY": ("154.00", 2),
    "BRL": ("5.4500", 4), "AUD": ("1.6400", 4),
}  # fmt: skip
_BANK_HOLIDAYS = frozenset({(1, 1), (5, 1), (12, 25), (12, 26)})  # of the ECB, but for Easter's
_FIXED_AT = time(13)  # UTC; the ECB fixes its rates at 14:15 in Frankfurt
# A curve is the sum of waves: hours between two support points, and the greatest deviation in parts of 100,000.
_WAVES = ((4_320, 6_000), (720, 1_500), (96, 500), (7, 120))


def daily_rates(day: date, seed: int = 1) -> dict[str, Decimal] | None:
    """Units of each currency for 1 EUR, as the European Central Bank gives them; None on a weekend or bank holiday."""
    if day.weekday() >= 5 or (day.month, day.day) in _BANK_HOLIDAYS:
        return None
    at = datetime.combine(day, _FIXED_AT, UTC)
    return {currency: round(_per_euro(currency, at, seed), decimals) for currency, (_, decimals) in _MIDDLE.items()}


def hourly_rates(hour: datetime, seed: int = 1) -> dict[str, Decimal]:
    """Units of each currency for 1 USD, with 6 decimals, valid from the full hour of ``hour`` (with a time zone)."""
    at = hour.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    dollars = _per_euro("USD", at, seed)
    units = {currency: round(_per_euro(currency, at, seed) / dollars, 6) for currency in _MIDDLE}
    return dict(sorted({**units, "EUR": round(1 / dollars, 6)}.items()))


def _per_euro(currency: str, at: datetime, seed: int) -> Decimal:
    hours = int(at.timestamp()) // 3_600
    waves = (curve(f"{currency}/{span}", hours, span, seed) * size for span, size in _WAVES)
    return Decimal(_MIDDLE[currency][0]) * (1 + sum(waves, Decimal(0)) / 100_000)


def curve(name: str, position: int, span: int, seed: int) -> Decimal:
    """A value in [-1, 1] that changes evenly between random support points, which are ``span`` positions apart."""
    before, way = divmod(position, span)
    start, end = _support(name, before, seed), _support(name, before + 1, seed)
    return start + (end - start) * way / span


@cache
def _support(name: str, number: int, seed: int) -> Decimal:
    digest = blake2b(f"{seed}/{name}/{number}".encode(), digest_size=4).digest()
    return Decimal(int.from_bytes(digest) - 2**31) / 2**31
