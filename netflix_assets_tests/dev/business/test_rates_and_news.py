"""Sample rates and headlines: functions of the date, in the providers' forms, with the traps that they promise."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from netflix_assets.dev.business.news import TICKER, headlines
from netflix_assets.dev.business.rates import daily_rates, hourly_rates
from netflix_assets.dev.business.scenario import CENTS_PER_UNIT, FIRST_DAY, LAST_DAY, MARKETS

DAYS = [FIRST_DAY + timedelta(days=number) for number in range((LAST_DAY - FIRST_DAY).days + 31)]
CURRENCIES = {market.currency for market in MARKETS}


def test_daily_rates_have_every_currency_on_the_days_on_which_banks_work() -> None:
    rates = {day: daily_rates(day) for day in DAYS}
    assert all(rates[day] is None for day in DAYS if day.weekday() >= 5)
    assert rates[date(2024, 12, 25)] is None
    assert sum(found is not None for found in rates.values()) > len(DAYS) * 0.7
    assert all(found.keys() == CURRENCIES - {"EUR"} for found in rates.values() if found)


def test_hourly_rates_have_every_currency_and_agree_with_the_daily_ones() -> None:
    for day in DAYS[::9]:
        hour = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=13)
        hourly, daily = hourly_rates(hour + timedelta(minutes=59)), daily_rates(day)
        assert hourly == hourly_rates(hour)
        assert hourly.keys() == CURRENCIES
        assert hourly["USD"] == 1
        for currency, units in (daily or {}).items():
            assert units / daily["USD"] == pytest.approx(hourly[currency], rel=Decimal("0.001"))  # type: ignore[index]


def test_rates_move_but_not_wildly() -> None:
    working = [found for day in DAYS if (found := daily_rates(day))]
    for currency in CURRENCIES - {"EUR"}:
        units = [found[currency] for found in working]
        assert Decimal("1.03") < max(units) / min(units) < Decimal("1.3")
        assert max(abs(after / before - 1) for before, after in pairwise(units)) < Decimal("0.03")


def test_list_prices_are_set_with_rates_like_these() -> None:
    per_dollar = hourly_rates(datetime(2024, 1, 1, tzinfo=UTC))
    for currency, cents in CENTS_PER_UNIT.items():
        assert 100 / per_dollar[currency] == pytest.approx(cents, rel=Decimal("0.1"))


def test_headlines_are_of_their_day_and_have_the_promised_traps() -> None:
    items = [(day, item) for day in DAYS for item in headlines(day)]
    assert all(item["time_published"].startswith(f"{day:%Y%m%d}T") for day, item in items)
    assert len({item["url"] for _, item in items}) == len(items)
    titles = [(day, item["title"]) for day, item in items]
    assert len(set(titles)) < len(titles)  # from two sources
    assert any(title == TICKER for _, title in titles)
    assert any("株" in title for _, title in titles)
    assert any("wächst" in title for _, title in titles)
    assert any(not headlines(day) for day in DAYS)
    assert {item["overall_sentiment_label"] for _, item in items} == {
        "Bearish", "Somewhat-Bearish", "Neutral", "Somewhat-Bullish", "Bullish",
    }  # fmt: skip
    assert all(-1 <= item["overall_sentiment_score"] <= 1 for _, item in items)


def test_another_seed_gives_other_values_and_another_process_the_same() -> None:
    day = date(2024, 5, 7)
    assert daily_rates(day) != daily_rates(day, seed=2)
    assert headlines(day) != headlines(day, seed=2)
    code = (
        "from datetime import date; from netflix_assets.dev.business import news, rates;"
        "print(rates.daily_rates(date(2024, 5, 7)), news.headlines(date(2024, 5, 7)))"
    )
    ran = subprocess.run([sys.executable, "-X", "utf8", "-c", code], capture_output=True, check=True, encoding="utf-8")
    assert ran.stdout.strip() == f"{daily_rates(day)} {headlines(day)}"
