"""Business: revenue and profit, the largest market's exchange rate, sentiment, products, product types and states."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from markupsafe import Markup

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import HEADLINES, ORDERS, OVERVIEW, RATES, Drawing, Frames, Page, Panel, Tile
from netflix_assets.dashboards.queries import Query, first_row, last_row, max_row
from netflix_assets.dashboards.text import plural, sentence

REVENUE, PROFIT = "revenue", "profit"
OURS, PROVIDERS = "our scorer", "the provider"
TYPES = {
    "plan": theme.BLUE,
    "add on": theme.AMBER,
    "gift card": theme.GREEN,
    "merchandise": theme.VIOLET,
    "unknown": theme.GREY,
}
PROVIDER_NAMES = {"frankfurter": "the European Central Bank", "openexchangerates": "Open Exchange Rates"}

_LISTED = 10  # products at either end of the ranking by margin


def tiles(frames: Frames) -> Sequence[Tile]:
    """Return the last complete month, the largest market's rate and the sentiment of now."""
    months, rates, days = frames["months"], frames["rates"], frames["sentiment"]
    month = _last_complete(months)
    rate = last_row(rates.sort_values("date_day")) if len(rates) else None
    day = last_row(days.sort_values("date_day")) if len(days) else None
    name = f"{month['month_day']:%B %Y}" if month else "the last complete month"
    return [
        Tile(_dollars(month["revenue_usd"]) if month else "–", f"revenue in {name}"),
        Tile(_dollars(month["profit_usd"]) if month else "–", f"profit in {name}"),
        Tile(
            f"{rate['rate_to_usd']:.4g}" if rate else "–",
            f"US dollars for one {rate['currency']}" if rate else "exchange rate of the largest market",
        ),
        Tile(
            "–" if day is None or pd.isna(day["avg_score_moving"]) else f"{day['avg_score_moving']:+.2f}",
            "sentiment of headlines, -1 to 1",
        ),
    ]


def _last_complete(months: pd.DataFrame) -> dict[str, Any] | None:
    last = months[months["is_last_complete_month"].astype(bool)] if len(months) else months
    return first_row(last) if len(last) else None


def _dollars(value: float) -> str:
    return "–" if pd.isna(value) else f"{'-' if value < 0 else ''}${abs(value):,.0f}"


def _change(value: float, unit: str) -> Markup:
    """Return a change and what it is against; why there is none, if so."""
    if pd.isna(value):
        return sentence("no comparison with {unit}", unit=Markup(unit))  # noqa: S704 - a constant
    return sentence("{value:+.1%} on {unit}", value=value, unit=Markup(unit))  # noqa: S704 - a constant


def revenue(frame: pd.DataFrame) -> Drawing:
    """Draw revenue and profit of each month."""
    months = frame.sort_values("month_day", ignore_index=True)
    months["month"] = [f"{day:%Y-%m}" for day in months["month_day"]]
    months["state"] = ["complete" if is_complete else "not complete" for is_complete in months["is_complete"]]
    columns = [
        Column("month", "Month"),
        Column("state", "Data"),
        number("revenue_usd", "Revenue (USD)"),
        number("profit_usd", "Profit (USD)"),
        percent("margin", "Margin"),
        percent("revenue_vs_month_before", "Revenue on the month before", signed=True),
        percent("revenue_vs_year_before", "Revenue on the year before", signed=True),
        percent("profit_vs_month_before", "Profit on the month before", signed=True),
        percent("profit_vs_year_before", "Profit on the year before", signed=True),
        number("n_orders", "Orders"),
        number("refunded_usd", "Refunded (USD)"),
        number("cancelled_usd", "Cancelled (USD)"),
        number("n_lines_without_rate", "Lines without a rate"),
        number("n_lines_without_cost", "Lines without a cost"),
    ]
    chart = (
        theme.base()
        .transform_fold(["revenue_usd", "profit_usd"], as_=["measure", "dollars"])
        .transform_calculate(measure=f"datum.measure === 'revenue_usd' ? '{REVENUE}' : '{PROFIT}'")
        .mark_bar()
        .encode(
            alt.X("month:O", title="month (UTC)", axis=alt.Axis(labelAngle=0)),
            alt.Y("dollars:Q", title="US dollars", axis=alt.Axis(format="~s"), stack=None),
            xOffset=alt.XOffset("measure:N", sort=[REVENUE, PROFIT]),
            # A month that goes on, or began before the data, is no smaller month.
            stroke=alt.when(alt.datum.state == "complete").then(alt.value(None)).otherwise(alt.value(theme.INK)),
            strokeDash=alt.value([3, 2]),
            tooltip=tooltips(columns),
        )
        .properties(height=300)
    )
    last = _last_complete(months)
    answer = sentence("No month is complete yet.")
    if last:
        answer = sentence(
            "{month:%B %Y}: revenue {revenue} ({month_before}, {year_before}), profit {profit} ({profit_month_before}, "
            "{profit_year_before}).",
            month=last["month_day"],
            revenue=_dollars(last["revenue_usd"]),
            profit=_dollars(last["profit_usd"]),
            month_before=_change(last["revenue_vs_month_before"], "the month before"),
            year_before=_change(last["revenue_vs_year_before"], "the year before"),
            profit_month_before=_change(last["profit_vs_month_before"], "the month before"),
            profit_year_before=_change(last["profit_vs_year_before"], "the year before"),
        )
        answer += sentence(" Months with a dashed outline are not complete.")
    return Drawing(
        answer + _missing_lines(months),
        months,
        columns,
        theme.colour_by(chart, "measure", {REVENUE: theme.BLUE, PROFIT: theme.GREEN}),
    )


def _missing_lines(rows: pd.DataFrame) -> Markup:
    """Say how many lines are missing from revenue or profit; nothing if none is."""
    without_rate, without_cost = (int(rows[f"n_lines_without_{what}"].sum()) for what in ("rate", "cost"))
    missing = Markup()
    if without_rate:
        missing += sentence(
            " {lines} {have} no exchange rate and {are} in no sum.",
            lines=counted(without_rate, "order line"),
            have=plural(without_rate, "has", "have"),
            are=plural(without_rate, "is", "are"),
        )
    if without_cost:
        missing += sentence(
            " {lines} {have} no known cost and {count} as revenue only.",
            lines=counted(without_cost, "order line"),
            have=plural(without_cost, "has", "have"),
            count=plural(without_cost, "counts", "count"),
        )
    return missing


def rate(frame: pd.DataFrame) -> Drawing:
    """Draw the exchange rate of the largest market."""
    days = frame.sort_values("date_day", ignore_index=True)
    days["provider"] = [PROVIDER_NAMES.get(name, name) for name in days["rate_provider"]]
    columns = [
        Column("date_day", "Day"),
        Column("currency", "Currency"),
        number("rate_to_usd", "US dollars for one", 4),
        number("units_per_usd", "For one US dollar", 4),
        percent("change_30_days", "In 30 days", signed=True),
        percent("change_365_days", "In 365 days", signed=True),
        Column("provider", "Provider"),
        number("rate_age_hours", "Age at the end of the day (hours)"),
    ]
    now = last_row(days)
    chart = (
        theme.base()
        .mark_line(color=theme.BLUE, strokeWidth=1.5, interpolate="step-after")
        .encode(
            alt.X("date_day:T", title=None, scale=alt.Scale(type="utc")),
            alt.Y("rate_to_usd:Q", title=f"US dollars for one {now['currency']}", scale=alt.Scale(zero=False)),
            tooltip=tooltips(columns),
        )
        .properties(height=280)
    )
    return Drawing(
        sentence(
            "One {currency} is {rate:.4g} US dollars on {day:%-d %B %Y} ({month}, {year}), by {provider}. {currency} "
            "is the largest market outside the US dollar, with revenue of {revenue} from {orders}.",
            currency=now["currency"],
            rate=now["rate_to_usd"],
            day=now["date_day"],
            month=_change(now["change_30_days"], "30 days before"),
            year=_change(now["change_365_days"], "the year before"),
            provider=now["provider"],
            revenue=_dollars(now["revenue_usd_of_currency"]),
            orders=counted(now["n_orders_of_currency"], "order"),
        ),
        days,
        columns,
        chart,
    )


def sentiment(frame: pd.DataFrame) -> Drawing:
    """Draw the moving mean of sentiment, by our scorer and by the provider."""
    days = frame.sort_values("date_day", ignore_index=True)
    columns = [
        Column("date_day", "Day"),
        number("avg_score_moving", "Moving mean", 2, signed=True),
        number("avg_provider_score_moving", "Provider's moving mean", 2, signed=True),
        number("avg_score", "Mean of the day", 2, signed=True),
        number("n_headlines", "Headlines"),
        number("n_positive", "Positive"),
        number("n_neutral", "Neutral"),
        number("n_negative", "Negative"),
        number("n_not_judged", "Not judged"),
    ]
    chart = (
        theme.base()
        .transform_fold(["avg_score_moving", "avg_provider_score_moving"], as_=["judge", "score"])
        .transform_calculate(judge=f"datum.judge === 'avg_score_moving' ? '{OURS}' : '{PROVIDERS}'")
        .mark_line(strokeWidth=1.5)
        .encode(
            alt.X("date_day:T", title=None, scale=alt.Scale(type="utc")),
            alt.Y("score:Q", title="moving mean of scores, -1 to 1"),
            tooltip=tooltips(columns),
        )
        .properties(height=280)
    )
    now = last_row(days)
    judged, both = days["n_judged"].sum(), days["n_in_both"].sum()
    answer = sentence("On {day:%-d %B %Y} no headline of the last days can be judged.", day=now["date_day"])
    if pd.notna(now["avg_score_moving"]):
        answer = sentence(
            "{score:+.2f} on {day:%-d %B %Y}, the mean of {headlines} of the last days.",
            score=now["avg_score_moving"],
            day=now["date_day"],
            headlines=counted(now["n_judged_moving"], "headline"),
        )
    answer += sentence(
        " Judged: {judged:,} of {all}.", judged=judged, all=counted(days["n_headlines"].sum(), "headline")
    )
    if both:
        answer += sentence(
            " The provider agrees on positive, neutral or negative in {agreeing:.0%}.",
            agreeing=days["n_agreeing"].sum() / both,
        )
    return Drawing(answer, days, columns, theme.colour_by(chart, "judge", {OURS: theme.BLUE, PROVIDERS: theme.AMBER}))


def headlines(frame: pd.DataFrame) -> Drawing:
    """List the newest headlines with their sentiment."""
    newest = frame.sort_values("recency_rank", ignore_index=True)
    newest["verdict"] = [verdict.replace("_", " ") for verdict in newest["verdict"]]
    newest["reason"] = newest["reason"].fillna("")
    verdicts = newest["verdict"].value_counts()
    not_judged = len(newest) - sum(verdicts.get(each, 0) for each in ("positive", "neutral", "negative"))
    return Drawing(
        sentence(
            "Of the newest {headlines}, {positive} {are} positive, {negative} negative and {neutral} neutral; "
            "{not_judged} cannot be judged.",
            headlines=counted(len(newest), "headline"),
            positive=verdicts.get("positive", 0),
            are=plural(verdicts.get("positive", 0), "is", "are"),
            negative=verdicts.get("negative", 0),
            neutral=verdicts.get("neutral", 0),
            not_judged=not_judged,
        ),
        newest,
        [
            Column("published_at", "Published (UTC)"),
            Column("title", "Headline"),
            Column("news_source", "Source"),
            Column("verdict", "Verdict"),
            number("score", "Score", 2, signed=True),
            number("provider_score", "Provider's score", 2, signed=True),
            Column("reason", "Why not judged"),
        ],
    )


def margins(frame: pd.DataFrame) -> Drawing:
    """Draw the products with the highest and the lowest margins."""
    products = frame[frame["margin_rank"].notna()].sort_values("margin_rank", ignore_index=True)
    if products.empty:
        return Drawing(sentence("No product has enough sales to rank its margin."), products)
    products["product"] = _product_names(products)
    products["kind"] = products["product_type"].str.replace("_", " ")
    columns = [
        number("margin_rank", "Rank"),
        Column("product", "Product"),
        Column("kind", "Type"),
        percent("margin", "Margin"),
        number("profit_usd", "Profit (USD)"),
        number("revenue_usd", "Revenue (USD)"),
        number("n_lines", "Lines"),
        percent("refunded_share", "Refunded"),
        Column("title_name", "Title"),
    ]
    ranks = products["margin_rank"].tolist()
    shown = ranks if len(ranks) <= 2 * _LISTED else [*ranks[:_LISTED], *ranks[-_LISTED:]]
    chart = (
        theme.base()
        .transform_filter(alt.FieldOneOfPredicate(field="margin_rank", oneOf=shown))
        .mark_bar()
        .encode(
            alt.X("margin:Q", title="margin: profit as a share of revenue", axis=alt.Axis(format="%")),
            alt.Y("product:N", title=None, sort=alt.SortField("margin_rank")),
            tooltip=tooltips(columns),
        )
        .properties(height=theme.band_height(shown, 20))
    )
    best, worst, most = (
        first_row(products),
        last_row(products),
        max_row(products.fillna({"profit_usd": 0}), "profit_usd"),
    )
    answer = sentence(
        "Highest margin: {best}, {margin:.0%}. Most profit: {most}, {profit}. Lowest margin: {worst}, {low:.0%}.",
        best=best["product"],
        margin=best["margin"],
        most=most["product"],
        profit=_dollars(most["profit_usd"]),
        worst=worst["product"],
        low=worst["margin"],
    )
    if len(shown) < len(ranks):
        answer += sentence(
            " The chart shows both ends of {products} with enough sales.", products=counted(len(ranks), "product")
        )
    return Drawing(answer, products, columns, theme.colour_by(chart, "kind", _type_colours(products["kind"])))


def _product_names(products: pd.DataFrame) -> list[str]:
    """Return the name of each product, with its number if others have the same name or it has none."""
    shared = products["product_name"].duplicated(keep=False)
    named = zip(products["product_name"], products["product_id"], shared, strict=True)
    return [
        f"product {product_id}" if not name else f"{name} ({product_id})" if is_shared else name
        for name, product_id, is_shared in named
    ]


def product_types(frame: pd.DataFrame) -> Drawing:
    """Draw the revenue of each type of product."""
    types = frame.sort_values("revenue_rank", ignore_index=True)
    if not types["n_orders"].any():
        return Drawing(ORDERS.answer, types.head(0))
    types["kind"] = types["product_type"].str.replace("_", " ")
    columns = [
        number("revenue_rank", "Rank"),
        Column("kind", "Type"),
        number("revenue_usd", "Revenue (USD)"),
        percent("revenue_share", "Share of revenue"),
        number("profit_usd", "Profit (USD)"),
        percent("margin", "Margin"),
        number("n_orders", "Orders"),
        number("n_pieces", "Pieces"),
        number("n_products", "Products"),
    ]
    top, pieces = first_row(types), first_row(types.sort_values("pieces_rank"))
    return Drawing(
        sentence(
            "Most revenue: {type}, {revenue} or {share:.0%}. Most pieces: {pieces_type}, {pieces:,.0f}.",
            type=top["kind"],
            revenue=_dollars(top["revenue_usd"]),
            share=top["revenue_share"],
            pieces_type=pieces["kind"],
            pieces=pieces["n_pieces"],
        ),
        types,
        columns,
        theme.bars(
            alt.X("revenue_usd:Q", title="revenue (US dollars)", axis=alt.Axis(format="~s")),
            alt.Y("kind:N", title=None, sort=alt.SortField("revenue_rank")),
            columns,
            height=theme.band_height(types["kind"], 38),
        ),
    )


def states(frame: pd.DataFrame) -> Drawing:
    """Draw the revenue of each state as a map of equal tiles."""
    rows = frame.sort_values("revenue_rank", ignore_index=True)
    if not rows["n_orders"].any():  # every state has a row, sales or not
        return Drawing(ORDERS.answer, rows.head(0))
    rows["state"] = [name or code for name, code in zip(rows["state_name"], rows["state_code"], strict=True)]
    columns = [
        number("revenue_rank", "Rank"),
        Column("state_code", "Code"),
        Column("state", "State"),
        number("revenue_usd", "Revenue (USD)"),
        percent("revenue_share", "Share of revenue"),
        number("profit_usd", "Profit (USD)"),
        number("n_orders", "Orders"),
    ]
    known = rows[rows["tile_row"].notna()]
    highest = float(known["revenue_usd"].max())
    steps = theme.sequential("revenue, thousand US dollars", highest / 1000)
    rows["thousands"] = rows["revenue_usd"] / 1000
    plain = alt.Axis(labels=False, ticks=False, domain=False, grid=False)
    place = alt.X("tile_column:O", title=None, axis=plain), alt.Y("tile_row:O", title=None, axis=plain)
    base = theme.base().transform_filter("isValid(datum.tile_row)")
    tiles_layer = base.mark_rect(cornerRadius=3).encode(
        *place, alt.Color("thousands:Q", legend=None, scale=steps.scale), tooltip=tooltips(columns)
    )
    is_strong = alt.datum.thousands >= steps.bounds[3]
    names = base.mark_text(fontSize=11).encode(
        *place,
        alt.Text("state_code:N"),
        color=alt.when(is_strong).then(alt.value("var(--card)")).otherwise(alt.value(theme.INK)),
        tooltip=tooltips(columns),
    )
    top = first_row(known)
    unknown = rows[rows["tile_row"].isna()]["revenue_usd"].sum()
    answer = sentence(
        "Most revenue: {state}, {revenue} or {share:.0%}. {sold} of {all} have sales: each is a state or "
        "Washington, D.C., whatever its size.",
        state=top["state"],
        revenue=_dollars(top["revenue_usd"]),
        share=top["revenue_share"],
        sold=int((known["n_orders"] > 0).sum()),
        all=counted(len(known), "tile"),
    )
    if unknown:
        answer += sentence(" Orders of {revenue} are of no known state.", revenue=_dollars(unknown))
    return Drawing(answer, rows, columns, alt.layer(tiles_layer, names).properties(height=330), steps=steps)


def segments(frame: pd.DataFrame) -> Drawing:
    """Draw the revenue of each segment of the audience."""
    rows = frame.sort_values("revenue_rank", ignore_index=True)
    columns = [
        number("revenue_rank", "Rank"),
        Column("segment_name", "Segment"),
        Column("customer_group", "Customers"),
        number("n_customers", "Number of customers"),
        number("revenue_usd", "Revenue (USD)"),
        percent("revenue_share", "Share of revenue"),
        number("revenue_per_customer_usd", "Revenue per customer (USD)", 2),
        number("n_orders", "Orders"),
    ]
    raters = rows[rows["customer_group"] == "rates"]
    answer = sentence("No customer is known as a user who rates.")
    if len(raters):
        top = first_row(raters)
        answer = sentence(
            "Most revenue: {segment_name}, {revenue} from {customers}. Customers who rate films give {share:.0%} of "
            "revenue.",
            revenue=_dollars(top["revenue_usd"]),
            customers=counted(top["n_customers"], "customer"),
            share=raters["revenue_share"].sum(),
            segment_name=top["segment_name"],
        )
    colours = {"rates": theme.BLUE, "does not rate": theme.GREY, "unknown user": theme.AMBER, "forgotten": theme.INK}
    chart = (
        theme.base()
        .mark_bar()
        .encode(
            alt.X("revenue_usd:Q", title="revenue (US dollars)", axis=alt.Axis(format="~s")),
            alt.Y("segment_name:N", title=None, sort=alt.SortField("revenue_rank")),
            tooltip=tooltips(columns),
        )
        .properties(height=theme.band_height(rows["segment_name"], 26))
    )
    found = {group: colour for group, colour in colours.items() if group in set(rows["customer_group"])}
    return Drawing(answer, rows, columns, theme.colour_by(chart, "customer_group", found, title="customers"))


def _type_colours(found: pd.Series) -> Mapping[str, str]:
    return {kind: colour for kind, colour in TYPES.items() if kind in set(found)}


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
    "are not part of it, and count in the month of the order.",
    "Profit": "Revenue less what the goods cost when they were ordered. Margin: profit as a share of revenue. Lines "
    "without a known cost are in neither.",
    "Currency": "US dollars. An order in another currency is converted by the last rate known at its own time, so that "
    "later rates change nothing.",
    "Time": "Days and months are UTC, by the time of the order. Now is the newest order, rate or headline in the data, "
    "not today.",
    "Complete month": "The data begin before it and have an order of a later month. Only complete months are compared.",
    "Largest market": "The currency other than the US dollar with the most revenue over all time.",
    "Sentiment": "-1 (bad) to 1 (good), the moving mean of headlines up to a day. Headlines that cannot be judged, "
    "such as those in other languages, are left out and counted.",
    "State": "That of the customer when the order was placed.",
}

PAGE = Page(
    name="business",
    title="Business",
    lead="Revenue, profit, exchange rates, sentiment, products and states.",
    queries=QUERIES,
    tiles=tiles,
    panels=[
        Panel("revenue", "How did the last complete month go?", "months", revenue, ORDERS),
        Panel("rate", "What is the exchange rate of the largest market?", "rates", rate, RATES, 6),
        Panel("sentiment", "What do headlines say?", "sentiment", sentiment, HEADLINES, 6),
        Panel("headlines", "The newest headlines", "headlines", headlines, HEADLINES),
        Panel("margins", "Which products have the best margins?", "margins", margins, ORDERS, 7),
        Panel("product-types", "What types sell most?", "types", product_types, ORDERS, 5),
        Panel("states", "Which US states bring revenue?", "states", states, ORDERS, 7),
        Panel("segments", "What do audience segments buy?", "segments", segments, ORDERS, 5),
    ],
    definitions=DEFINITIONS,
)
