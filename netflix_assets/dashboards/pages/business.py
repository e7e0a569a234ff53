"""Business: revenue and profit, the largest market's exchange rate, sentiment, products, product types and states."""

from collections.abc import Sequence

import pandas as pd

from netflix_assets.dashboards.page import HEADLINES, ORDERS, OVERVIEW, RATES, Frames, Page, Panel, Tile
from netflix_assets.dashboards.pages import market, sales
from netflix_assets.dashboards.queries import Query, last_row


def tiles(frames: Frames) -> Sequence[Tile]:
    """Return the last complete month, the largest market's rate and the current sentiment."""
    months, rates, days = frames["months"], frames["rates"], frames["sentiment"]
    month = sales.last_complete(months)
    rate = last_row(rates.sort_values("date_day")) if len(rates) else None
    day = last_row(days.sort_values("date_day")) if len(days) else None
    name = f"{month['month_day']:%B %Y}" if month else "the last complete month"
    return [
        Tile(sales.dollars(month["revenue_usd"]) if month else "–", f"revenue in {name}"),
        Tile(sales.dollars(month["profit_usd"]) if month else "–", f"profit in {name}"),
        Tile(
            f"{rate['rate_to_usd']:.4g}" if rate else "–",
            f"US dollars for one {rate['currency']}" if rate else "exchange rate of the largest market",
        ),
        Tile(
            "–" if day is None or pd.isna(day["avg_score_moving"]) else f"{day['avg_score_moving']:+.2f}",
            "sentiment of headlines, -1 to 1",
        ),
    ]


QUERIES = {
    "overview": OVERVIEW,
    "months": Query(
        "mart_revenue_by_month",
        (
            "month_day", "is_complete", "is_last_complete_month", "n_orders", "n_lines_without_rate",
            "n_lines_without_cost", "revenue_usd", "profit_usd", "margin", "refunded_usd", "cancelled_usd",
            "revenue_vs_month_before", "revenue_vs_year_before", "profit_vs_month_before", "profit_vs_year_before",
        ),
    ),
    "rates": Query(
        "mart_exchange_rates",
        (
            "currency", "date_day", "rate_to_usd", "units_per_usd", "rate_provider", "rate_age_hours",
            "change_30_days", "change_365_days", "n_orders_of_currency", "revenue_usd_of_currency",
        ),
        where="is_largest_market",
    ),
    "sentiment": Query(
        "mart_sentiment_by_day",
        (
            "date_day", "n_headlines", "n_judged", "n_not_judged", "n_positive", "n_neutral", "n_negative",
            "avg_score", "n_in_both", "n_agreeing", "n_judged_moving", "avg_score_moving",
            "avg_provider_score_moving",
        ),
    ),
    "headlines": Query(
        "mart_headlines",
        ("title", "published_at", "news_source", "score", "verdict", "reason", "provider_score", "recency_rank"),
        where="is_charted",
    ),
    "margins": Query(
        "mart_product_margins",
        (
            "product_id", "product_name", "product_type", "title_name", "n_lines", "revenue_usd", "profit_usd",
            "margin", "refunded_share", "margin_rank",
        ),
    ),
    "types": Query(
        "mart_sales_by_product_type",
        (
            "product_type", "n_products", "n_orders", "n_pieces", "revenue_usd", "profit_usd", "margin",
            "revenue_share", "revenue_rank", "pieces_rank",
        ),
    ),
    "states": Query(
        "mart_revenue_by_state",
        (
            "state_code", "state_name", "tile_row", "tile_column", "n_orders", "revenue_usd", "profit_usd",
            "revenue_share", "revenue_rank",
        ),
    ),
    "segments": Query(
        "mart_revenue_by_segment",
        (
            "segment_name", "customer_group", "n_customers", "n_orders", "revenue_usd", "revenue_per_customer_usd",
            "revenue_share", "revenue_rank",
        ),
    ),
}  # fmt: skip

DEFINITIONS = {
    "Revenue": "What customers pay for the lines they keep, after discounts. Net: refunds, returns and cancellations "
    "reduce the month of the order, not the month in which they happen.",
    "Profit": "Revenue less what the goods cost when they were ordered. Margin: profit as a share of revenue. Lines "
    "without a known cost are in neither profit nor margin.",
    "Currency": "US dollars. An order in another currency is converted at the last rate known when it was placed; "
    "later rates change nothing.",
    "Time": "Days and months are UTC, by the time of the order. 'Now' means the newest order, rate or headline in the "
    "data, not today.",
    "Complete month": "A month that the data covers from its start, with an order in a later month. Only complete "
    "months are compared.",
    "Largest market": "The currency other than the US dollar with the most revenue over all time.",
    "Sentiment": "From -1 (bad) to 1 (good): on each day, the mean of recent headlines. Headlines that cannot be "
    "judged, such as those in other languages, are left out and counted.",
    "State": "The customer's state when the order was placed.",
}

PAGE = Page(
    name="business",
    title="Business",
    lead="Revenue, profit, exchange rates, sentiment, products and states.",
    queries=QUERIES,
    tiles=tiles,
    panels=[
        Panel("revenue", "How did the last complete month go?", "months", sales.revenue, ORDERS),
        Panel("rate", "What is the exchange rate of the largest market?", "rates", market.rate, RATES, 6),
        Panel("sentiment", "What do headlines say?", "sentiment", market.sentiment, HEADLINES, 6),
        Panel("headlines", "The newest headlines", "headlines", market.headlines, HEADLINES),
        Panel("margins", "Which products have the best margins?", "margins", sales.margins, ORDERS, 7),
        Panel("product-types", "Which product types sell most?", "types", sales.product_types, ORDERS, 5),
        Panel("states", "Which US states bring revenue?", "states", sales.states, ORDERS, 7),
        Panel("segments", "Which audience segments bring revenue?", "segments", sales.segments, ORDERS, 5),
    ],
    definitions=DEFINITIONS,
)
