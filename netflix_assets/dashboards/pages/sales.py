"""Revenue and profit: by month, product, type of product, state and segment of the audience."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd
from markupsafe import Markup

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import ORDERS, Drawing
from netflix_assets.dashboards.queries import first_row, last_row, max_row
from netflix_assets.dashboards.text import plural, sentence

REVENUE, PROFIT = "revenue", "profit"
TYPES = {
    "plan": theme.BLUE,
    "add on": theme.AMBER,
    "gift card": theme.GREEN,
    "merchandise": theme.VIOLET,
    "unknown": theme.GREY,
}

_LISTED = 10  # products at either end of the ranking by margin


def last_complete(months: pd.DataFrame) -> dict[str, Any] | None:
    """Return the last complete month, if there is one."""
    last = months[months["is_last_complete_month"].astype(bool)] if len(months) else months
    return first_row(last) if len(last) else None


def dollars(value: float) -> str:
    """Return an amount as text."""
    return "–" if pd.isna(value) else f"{'-' if value < 0 else ''}${abs(value):,.0f}"


def change(value: float, unit: str) -> Markup:
    """Return a change and what it is compared with, or why there is none."""
    if pd.isna(value):
        return sentence("no comparison with {unit}", unit=Markup(unit))  # noqa: S704 - a constant
    return sentence("{value:+.1%} from {unit}", value=value, unit=Markup(unit))  # noqa: S704 - a constant


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
        percent("revenue_vs_month_before", "Revenue vs. month before", signed=True),
        percent("revenue_vs_year_before", "Revenue vs. year before", signed=True),
        percent("profit_vs_month_before", "Profit vs. month before", signed=True),
        percent("profit_vs_year_before", "Profit vs. year before", signed=True),
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
            # The bar of an incomplete month is short only because days are missing.
            stroke=alt.when(alt.datum.state == "complete").then(alt.value(None)).otherwise(alt.value(theme.INK)),
            strokeDash=alt.value([3, 2]),
            tooltip=tooltips(columns),
        )
        .properties(height=300)
    )
    last = last_complete(months)
    answer = sentence("No month is complete yet.")
    if last:
        answer = sentence(
            "{month:%B %Y}: revenue {revenue} ({month_before}, {year_before}), profit {profit} ({profit_month_before}, "
            "{profit_year_before}).",
            month=last["month_day"],
            revenue=dollars(last["revenue_usd"]),
            profit=dollars(last["profit_usd"]),
            month_before=change(last["revenue_vs_month_before"], "the month before"),
            year_before=change(last["revenue_vs_year_before"], "the year before"),
            profit_month_before=change(last["profit_vs_month_before"], "the month before"),
            profit_year_before=change(last["profit_vs_year_before"], "the year before"),
        )
        answer += sentence(" Months with a dashed outline are not complete.")
    return Drawing(
        answer + _missing_lines(months),
        months,
        columns,
        theme.colour_by(chart, "measure", {REVENUE: theme.BLUE, PROFIT: theme.GREEN}),
    )


def _missing_lines(rows: pd.DataFrame) -> Markup:
    """Say how many lines are missing from revenue or profit; nothing if none are."""
    without_rate, without_cost = (int(rows[f"n_lines_without_{what}"].sum()) for what in ("rate", "cost"))
    missing = Markup()
    if without_rate:
        missing += sentence(
            " {lines} {have} no exchange rate and {are} left out.",
            lines=counted(without_rate, "order line"),
            have=plural(without_rate, "has", "have"),
            are=plural(without_rate, "is", "are"),
        )
    if without_cost:
        missing += sentence(
            " {lines} {have} no known cost and {count} only toward revenue.",
            lines=counted(without_cost, "order line"),
            have=plural(without_cost, "has", "have"),
            count=plural(without_cost, "counts", "count"),
        )
    return missing


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
        "Highest margin: {best}, {margin:.1%}. Most profit: {most}, {profit}. Lowest margin: {worst}, {low:.1%}.",
        best=best["product"],
        margin=best["margin"],
        most=most["product"],
        profit=dollars(most["profit_usd"]),
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
            "Most revenue: {type}, {revenue} ({share:.0%}). Most pieces: {pieces_type}, {pieces:,.0f}.",
            type=top["kind"],
            revenue=dollars(top["revenue_usd"]),
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
        "Most revenue: {state}, {revenue} ({share:.0%}). {sold} of {all} have sales. Each tile is a state or "
        "Washington, D.C.; all tiles have the same size.",
        state=top["state"],
        revenue=dollars(top["revenue_usd"]),
        share=top["revenue_share"],
        sold=int((known["n_orders"] > 0).sum()),
        all=counted(len(known), "tile"),
    )
    if unknown:
        answer += sentence(" Orders worth {revenue} have no known state.", revenue=dollars(unknown))
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
    answer = sentence("No customer is linked to a user who rates.")
    if len(raters):
        top = first_row(raters)
        answer = sentence(
            "Most revenue: {segment_name}, {revenue} from {customers}. Customers who rate films give {share:.0%} of "
            "revenue.",
            revenue=dollars(top["revenue_usd"]),
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
