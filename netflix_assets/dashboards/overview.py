"""Overview: how much there is, how it has developed, which days and months are unlike the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from netflix_assets.dashboards import look
from netflix_assets.dashboards.page import OVERVIEW, Column, Drawing, Frames, Page, Panel, Tile, number, said
from netflix_assets.dashboards.queries import Query, first, greatest, last, least

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_RATINGS = "movielens/ratings"
_LOG_TICKS = [0, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000]
_OUTSIDE = (0.25, 0.5, 0.8, 1.25, 2, 4)


def tiles(frames: Frames) -> Sequence[Tile]:
    """What there is, in six figures."""
    row = first(frames["overview"])
    average = "–" if pd.isna(row["avg_rating"]) else f"{row['avg_rating']:.2f}"
    per_user = "–" if pd.isna(row["ratings_per_user"]) else f"{row['ratings_per_user']:,.0f}"
    return [
        Tile(f"{row['n_ratings']:,}", "ratings"),
        Tile(f"{row['n_users']:,}", "users who rated"),
        Tile(f"{row['n_rated_movies']:,}", f"films rated, of {row['n_movies']:,}"),
        Tile(average, "average rating (of 5)"),
        Tile(per_user, "ratings per user"),
        Tile(f"{row['n_titles']:,}", "titles in the catalogue"),
    ]


def activity(frame: pd.DataFrame) -> Drawing:
    """Ratings by month and their mean over twelve months, with a strip to brush."""
    months = frame.sort_values("month_day", ignore_index=True)
    months["month"] = [f"{day:%Y-%m}" for day in months["month_day"]]
    peak, newest = greatest(months, "n_ratings"), last(months)
    brush = alt.selection_interval(encodings=["x"], name="brush")
    time = alt.X("month_day:T", title=None, scale=alt.Scale(type="utc", domain=brush))
    tips = look.tooltip(
        ("month:N", "month"),
        ("n_ratings:Q", "ratings", ","),
        ("n_users:Q", "users", ","),
        ("avg_rating:Q", "mean", ".2f"),
        ("rolling_12m_avg:Q", "mean of 12 months", ".2f"),
    )
    plain = alt.Chart(alt.NamedData(look.ROWS))
    volume = (
        plain.mark_area(line={"color": look.BLUE, "strokeWidth": 1.5}, color=look.WASH, clip=True)
        .encode(time, alt.Y("n_ratings:Q", title="ratings a month", axis=_axis(format=",d")), tooltip=tips)
        .properties(height=210)
    )
    mean = (
        plain.mark_line(color=look.RED, strokeWidth=2, clip=True)
        .encode(
            time,
            alt.Y("rolling_12m_avg:Q", title="mean, 12 m.", scale=alt.Scale(zero=False), axis=_axis()),
            tooltip=tips,
        )
        .properties(height=80)
    )
    strip = (
        plain.mark_area(color=look.GREY, opacity=0.6)
        .encode(
            alt.X("month_day:T", title="drag here to zoom, double click to see all", scale=alt.Scale(type="utc")),
            alt.Y("n_ratings:Q", title=None, axis=_axis(labels=False, ticks=False, grid=False, domain=False)),
        )
        .properties(height=38)
        .add_params(brush)
    )
    return Drawing(
        said(
            "Most ratings came in {month}: {times} times as many as in the average month. The mean of the last twelve "
            "months is {mean} stars.",
            month=_named(peak),
            times=f"{peak['n_ratings'] / max(months['n_ratings'].mean(), 1):.1f}",
            mean=f"{newest['rolling_12m_avg']:.2f}",
        ),
        months,
        [
            Column("month", "Month"),
            number("n_ratings", "Ratings"),
            number("n_users", "Users"),
            number("avg_rating", "Mean rating", 2),
            number("rolling_12m_avg", "Mean of 12 months", 2),
        ],
        alt.vconcat(volume, mean, strip, spacing=8),
    )


def _axis(**options: Any) -> alt.Axis:
    """An axis as wide as those above and below it, so that the parts of a chart begin at one line."""
    return alt.Axis(minExtent=50, maxExtent=50, tickCount=4, **options)


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['month_day']:%B %Y}"


def unusual_days(frame: pd.DataFrame) -> Drawing:
    """The days whose number of ratings is far from what was usual before."""
    days = frame.sort_values("date_day", ignore_index=True)
    days["kind"] = [
        "far more than usual" if each.robust_z > 0 else "far fewer than usual" for each in days.itertuples()
    ]
    days["distance"] = days["robust_z"].abs()
    most = greatest(days, "distance")
    picked = look.legend_filter("kind")
    chart = (
        look.base()
        .mark_point()
        .encode(
            alt.X("date_day:T", title=None, scale=alt.Scale(type="utc", nice=True)),
            alt.Y(
                "n_ratings:Q",
                title="ratings of the day (log)",
                scale=alt.Scale(type="symlog", constant=10, nice=False, padding=14),
                axis=alt.Axis(values=_LOG_TICKS, labelExpr="format(datum.value, ',')"),
            ),
            alt.Color(
                "kind:N",
                title=None,
                scale=look.colours(["far more than usual", "far fewer than usual"], [look.RED, look.AMBER]),
            ),
            alt.Size("distance:Q", legend=None, scale=alt.Scale(type="sqrt", range=[40, 320])),
            opacity=look.faded(picked),
            tooltip=look.tooltip(
                ("date_day:N", "day"),
                ("n_ratings:Q", "ratings", ","),
                ("baseline_median:Q", "usual", ".1f"),
                ("n_users:Q", "users", ","),
                ("robust_z:Q", "robust z", ".1f"),
                ("new_movies:Q", "films new", ","),
            ),
        )
        .properties(height=300)
        .add_params(picked)
    )
    usual = f"{most['baseline_median']:,.0f}" if most["baseline_median"] >= 10 else f"{most['baseline_median']:.1f}"
    return Drawing(
        said(
            "{count} stand out from the 90 days before them, most of all {day} with {ratings} ratings where {usual} a "
            "day were usual.",
            count=f"{len(days):,} day{'s' if len(days) > 1 else ''}",
            day=f"{most['date_day']:%-d %B %Y}",
            ratings=f"{most['n_ratings']:,}",
            usual=usual,
        ),
        days,
        [
            Column("date_day", "Day"),
            Column("kind", "What"),
            number("n_ratings", "Ratings"),
            number("baseline_median", "Usual", 1),
            number("robust_z", "Robust z", 1),
            number("n_users", "Users"),
            number("new_movies", "Films rated for the first time"),
        ],
        chart,
    )


def calendar(frame: pd.DataFrame) -> Drawing:
    """Every month of every year against the average month of its year."""
    months = frame.sort_values("month_day", ignore_index=True)
    months["month"] = [MONTHS[number - 1] for number in months["month_number"]]
    known = months.dropna(subset=["index_in_year"])
    top = greatest(known, "index_in_year")
    steps = look.around("× the year's average", _OUTSIDE)
    chart = (
        look.base()
        .mark_rect(cornerRadius=2)
        .encode(
            alt.X("month:O", title=None, sort=list(MONTHS), axis=alt.Axis(labelAngle=0, domain=False, ticks=False)),
            alt.Y("year_number:O", title=None, sort="descending", axis=alt.Axis(domain=False, ticks=False)),
            alt.Color("index_in_year:Q", legend=None, scale=steps.scale),
            tooltip=look.tooltip(
                ("month:N", "month"),
                ("year_number:O", "year"),
                ("n_ratings:Q", "ratings", ","),
                ("index_in_year:Q", "× average", ".2f"),
            ),
        )
        .properties(height=look.bands(months["year_number"], 17))
    )
    return Drawing(
        said(
            "No month stood further above its year than {month}, with {times} times the ratings of an average month of "
            "{year}.",
            month=_named(top),
            times=f"{top['index_in_year']:.1f}",
            year=top["year_number"],
        ),
        months,
        [
            Column("year_number", "Year"),
            Column("month", "Month"),
            number("n_ratings", "Ratings"),
            number("index_in_year", "× the year's average", 2),
        ],
        chart,
        steps=steps,
    )


def seasons(frame: pd.DataFrame) -> Drawing:
    """The index of each month of the year, with its range over the years."""
    months = frame.sort_values("month_number", ignore_index=True)
    months["month"] = [MONTHS[number - 1] for number in months["month_number"]]
    known = months.dropna(subset=["seasonal_index"])
    columns = [
        Column("month", "Month"),
        number("n_ratings", "Ratings"),
        number("n_years", "Years"),
        number("seasonal_index", "Index", 2),
        number("least_index", "Least", 2),
        number("greatest_index", "Greatest", 2),
    ]
    if known.empty:
        return Drawing(
            said("No season can be told: that takes {what}.", what="a year of ratings around a month"), known, []
        )
    high, low = greatest(known, "seasonal_index"), least(known, "seasonal_index")
    month = alt.X("month:O", title=None, sort=list(MONTHS), axis=alt.Axis(labelAngle=0))
    tips = look.tooltip(
        ("month:N", "month"),
        ("seasonal_index:Q", "index", ".2f"),
        ("least_index:Q", "least", ".2f"),
        ("greatest_index:Q", "greatest", ".2f"),
        ("n_years:Q", "years", ","),
    )
    bars = (
        look.base()
        .mark_bar()
        .encode(
            month,
            alt.Y("seasonal_index:Q", title="× the usual of the year around"),
            alt.Color(
                "seasonal_index:Q",
                legend=None,
                scale=alt.Scale(type="threshold", domain=[0.9, 1.1], range=[look.RED, look.GREY, look.BLUE]),
            ),
            tooltip=tips,
        )
    )
    ranges = (
        look.base()
        .mark_rule(color=look.INK, opacity=0.55)
        .encode(month, alt.Y("least_index:Q"), alt.Y2("greatest_index:Q"), tooltip=tips)
    )
    return Drawing(
        said(
            "{high} is the strongest month ({up} the usual) and {low} the weakest ({down}); single years lie between "
            "{least} and {greatest}, the lines show how far each month's years disagree.",
            high=high["month"],
            up=f"{high['seasonal_index']:.2f} ×",
            low=low["month"],
            down=f"{low['seasonal_index']:.2f} ×",
            least=f"{known['least_index'].min():.2f}",
            greatest=f"{known['greatest_index'].max():.2f}",
        ),
        months,
        columns,
        alt.layer(bars, ranges).properties(height=300),
    )


PAGE = Page(
    name="overview",
    title="Overview",
    lead="How much there is, how it has developed, and when it was unlike itself.",
    queries={
        "overview": OVERVIEW,
        "months": Query(
            "mart_rating_trends_by_month",
            (
                "month_day",
                "year_number",
                "month_number",
                "n_ratings",
                "n_users",
                "avg_rating",
                "rolling_12m_avg",
                "index_in_year",
            ),
        ),
        "unusual": Query(
            "mart_rating_trends",
            ("date_day", "n_ratings", "n_users", "baseline_median", "robust_z", "new_movies"),
            only="is_anomalous",
        ),
        "seasons": Query(
            "mart_rating_seasonality",
            ("month_number", "n_ratings", "n_years", "seasonal_index", "least_index", "greatest_index"),
        ),
    },
    tiles=tiles,
    panels=[
        Panel("activity", "How have ratings developed, and their mean?", "months", activity, _RATINGS),
        Panel(
            "unusual-days",
            "Which days are unusual?",
            "unusual",
            unusual_days,
            _RATINGS,
            7,
            "No day stands out from the 90 days before it.",
        ),
        Panel("seasons", "Are there seasons?", "seasons", seasons, _RATINGS, span=5),
        Panel("calendar", "Which months stand out in their year?", "months", calendar, _RATINGS),
    ],
)
