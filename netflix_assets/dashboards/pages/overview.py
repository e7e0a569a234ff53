"""Overview: how much data there is, how rating activity changes, and which days and months stand out."""

import calendar
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, tooltips
from netflix_assets.dashboards.page import OVERVIEW, RATINGS, Drawing, Frames, Page, Panel, Tile
from netflix_assets.dashboards.queries import Query, first_row, last_row, max_row, min_row
from netflix_assets.dashboards.text import plural, sentence

MONTHS = calendar.month_abbr[1:]
MORE, FEWER = "far more than usual", "far fewer than usual"
OTHER = "other day"
MIN_YEAR_RATINGS = 1_000  # in a year of fewer ratings, a few users make a month
LEAST = counted(MIN_YEAR_RATINGS, "rating")

_LOG_TICKS = [0, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000]


def tiles(frames: Frames) -> Sequence[Tile]:
    """Return the size of the data in six figures."""
    row = first_row(frames["overview"])
    average = "–" if pd.isna(row["avg_rating"]) else f"{row['avg_rating']:.2f}"
    per_user = "–" if pd.isna(row["ratings_per_user"]) else f"{row['ratings_per_user']:,.0f}"
    return [
        Tile(f"{row['n_ratings']:,}", plural(row["n_ratings"], "rating")),
        Tile(f"{row['n_users']:,}", plural(row["n_users"], "user who rated", "users who rated")),
        Tile(f"{row['n_rated_movies']:,}", f"of {counted(row['n_movies'], 'film')} rated"),
        Tile(average, "average rating (of 5)"),
        Tile(per_user, "ratings per user"),
        Tile(f"{row['n_titles']:,}", plural(row["n_titles"], "Netflix title")),
    ]


def activity(frame: pd.DataFrame) -> Drawing:
    """Draw ratings per month and their twelve-month mean, with a strip to zoom by."""
    months = frame.sort_values("month_day", ignore_index=True)
    months["month"] = [f"{day:%Y-%m}" for day in months["month_day"]]
    if len(months) == 1:
        return Drawing(sentence("All ratings are from {month_day:%B %Y}.", **first_row(months)), months.head(0))
    columns = [
        Column("month", "Month"),
        number("n_ratings", "Ratings"),
        number("n_users", "Users"),
        number("avg_rating", "Mean rating", 2),
        number("rolling_12m_avg", "12-month mean", 2),
    ]
    peak = max_row(months, "n_ratings")
    return Drawing(
        sentence(
            "Busiest month: {month:%B %Y}, with {times:.1f} times the ratings of an average month. Mean rating over "
            "the last 12 months: {mean:.2f}.",
            month=peak["month_day"],
            times=peak["n_ratings"] / max(months["n_ratings"].mean(), 1),
            mean=last_row(months)["rolling_12m_avg"],
        ),
        months,
        columns,
        _activity_chart(columns),
    )


def _activity_chart(columns: Sequence[Column]) -> alt.VConcatChart:
    brush = alt.selection_interval(encodings=["x"], name="brush")
    time = alt.X("month_day:T", title=None, scale=alt.Scale(type="utc", domain=brush))
    plain = alt.Chart(alt.NamedData(theme.ROWS))
    volume = (
        plain.mark_area(line={"color": theme.BLUE, "strokeWidth": 1.5}, color=theme.WASH, clip=True)
        .encode(time, alt.Y("n_ratings:Q", title="ratings per month", axis=_axis(format=",d")))
        .properties(height=210)
    )
    mean = (
        plain.mark_line(color=theme.RED, strokeWidth=2, clip=True)
        .encode(time, alt.Y("rolling_12m_avg:Q", title="12-month mean", scale=alt.Scale(zero=False), axis=_axis()))
        .properties(height=80)
    )
    strip = (
        plain.mark_area(color=theme.GREY, opacity=0.6)
        .encode(
            alt.X("month_day:T", title="drag to zoom, double-click to reset", scale=alt.Scale(type="utc")),
            alt.Y("n_ratings:Q", title=None, axis=_axis(labels=False, ticks=False, grid=False, domain=False)),
        )
        .properties(height=38)
        .add_params(brush)
    )
    tips = tooltips(columns)
    return alt.vconcat(volume.encode(tooltip=tips), mean.encode(tooltip=tips), strip, spacing=8)


def _axis(**options: Any) -> alt.Axis:
    """Return a y axis of fixed width, so that the three parts of the chart line up."""
    return alt.Axis(minExtent=50, maxExtent=50, tickCount=4, **options)


def unusual_days(frame: pd.DataFrame) -> Drawing:
    """Draw the days with far more or fewer ratings than the 90 days before, other days, and the usual range."""
    days = frame.sort_values("date_day", ignore_index=True)
    days["kind"] = [
        OTHER if not is_anomalous else MORE if z > 0 else FEWER
        for is_anomalous, z in zip(days["is_anomalous"], days["robust_z"], strict=True)
    ]
    columns = [
        Column("date_day", "Day"),
        Column("kind", "Kind"),
        number("n_ratings", "Ratings"),
        number("baseline_median", "Usual ratings", 1),
        number("usual_min", "Usual from", 1),
        number("usual_max", "Usual to", 1),
        number("robust_z", "Robust z-score", 1),
        number("n_users", "Users"),
        number("new_movies", "Films rated for the first time"),
    ]
    unusual = days[days["kind"] != OTHER]
    answer = sentence("No day stands out from the preceding 90 days.")
    if len(unusual):
        most = max_row(unusual.assign(distance=unusual["robust_z"].abs()), "distance")
        answer = sentence(
            "{days} {stand} out from the preceding 90 days. Most extreme: {day:%-d %B %Y}, with {ratings} instead of "
            "the usual {usual}.",
            days=counted(len(unusual), "day"),
            stand=plural(len(unusual), "stands", "stand"),
            day=most["date_day"],
            ratings=counted(most["n_ratings"], "rating"),
            usual=f"{most['baseline_median']:,.1f}".removesuffix(".0"),
        )
    answer += sentence(
        " The band shows the usual range. A day outside it with few users or few ratings does not count."
    )
    return Drawing(answer, days, columns, _unusual_days_chart(columns))


def _unusual_days_chart(columns: Sequence[Column]) -> Any:
    x = alt.X("date_day:T", title=None, scale=alt.Scale(type="utc"))
    scale = alt.Scale(type="symlog", constant=10, nice=False, padding=14)
    axis = alt.Axis(values=_LOG_TICKS, labelExpr="format(datum.value, ',')")
    ratings = alt.Y("n_ratings:Q", title="ratings per day (log scale)", scale=scale, axis=axis)
    band = theme.base().mark_area(color=theme.WASH, opacity=0.7).encode(x, alt.Y("usual_min:Q"), alt.Y2("usual_max:Q"))
    median = theme.base().mark_line(color=theme.BLUE, strokeWidth=1).encode(x, alt.Y("baseline_median:Q"))
    days = theme.colour_by(
        theme.base()
        .mark_point()
        .encode(
            x,
            ratings,
            size=alt.when(alt.datum.kind == OTHER).then(alt.value(14)).otherwise(alt.value(110)),
            tooltip=tooltips(columns),
        ),
        "kind",
        {MORE: theme.RED, FEWER: theme.AMBER, OTHER: theme.GREY},
    )
    return alt.layer(band, median, days).properties(height=300)


def seasons(frame: pd.DataFrame) -> Drawing:
    """Draw the seasonal index of each calendar month, with its range over the years."""
    months = frame.sort_values("month_number", ignore_index=True)
    months["month"] = [MONTHS[number - 1] for number in months["month_number"]]
    known = months.dropna(subset=["seasonal_index"])
    if known.empty:
        return Drawing(sentence("Too little data: the index of a month needs a full year of ratings around it."), known)
    columns = [
        Column("month", "Month"),
        number("n_ratings", "Ratings"),
        number("n_years", "Years"),
        number("seasonal_index", "Index", 2),
        number("least_index", "Lowest", 2),
        number("greatest_index", "Highest", 2),
    ]
    month = alt.X("month:O", title=None, sort=list(MONTHS), axis=alt.Axis(labelAngle=0))
    shades = alt.Scale(type="threshold", domain=[0.9, 1.1], range=[theme.RED, theme.GREY, theme.BLUE])
    bars = (
        theme.base()
        .mark_bar()
        .encode(
            month,
            alt.Y("seasonal_index:Q", title="× the average month of the year around it"),
            alt.Color("seasonal_index:Q", legend=None, scale=shades),
            tooltip=tooltips(columns),
        )
    )
    ranges = (
        theme.base()
        .mark_rule(color=theme.INK, opacity=0.55)
        .encode(month, alt.Y("least_index:Q"), alt.Y2("greatest_index:Q"), tooltip=tooltips(columns))
    )
    high, low = max_row(known, "seasonal_index"), min_row(known, "seasonal_index")
    answer = sentence(
        "Strongest month: {high}, {up:.2f} times the usual. Weakest: {low}, {down:.2f} times.",
        high=calendar.month_name[high["month_number"]],
        up=high["seasonal_index"],
        low=calendar.month_name[low["month_number"]],
        down=low["seasonal_index"],
    )
    years = int(known["n_years"].max())
    if years > 1:
        alike = known[(known["least_index"] > 1) | (known["greatest_index"] < 1)]
        answer += sentence(
            " {alike} of {months} {are} on the same side of the usual in every year. The thin lines show the range.",
            alike=len(alike) if len(alike) else "None",
            months=counted(len(known), "month"),
            are=plural(len(alike), "is", "are"),
        )
    else:
        answer += sentence(" This rests on a single year, which may not repeat itself.")
    return Drawing(
        answer,
        months,
        columns,
        alt.layer(bars, ranges, theme.reference(y=1)).properties(height=300),
    )


def months_by_year(frame: pd.DataFrame) -> Drawing:
    """Draw each month against the average month of its year."""
    months = frame.sort_values("month_day", ignore_index=True)
    months["month"] = [MONTHS[number - 1] for number in months["month_number"]]
    columns = [
        Column("year_number", "Year"),
        Column("month", "Month"),
        number("n_ratings", "Ratings"),
        number("index_in_year", "× the year's average", 2),
    ]
    steps = theme.diverging("× the year's average month", (0.25, 0.5, 0.8, 1.25, 2, 4))
    enough = months.groupby("year_number")["n_ratings"].transform("sum") >= MIN_YEAR_RATINGS
    named = months[enough].dropna(subset=["index_in_year"])
    answer = sentence("No year has the {least} that it takes to name its busiest month.", least=LEAST)
    if not named.empty:
        answer = sentence(
            "Busiest month for its year: {month_day:%B %Y}, {index_in_year:.1f} times the average of {year_number}, "
            "among years with {least}.",
            least=LEAST,
            **max_row(named, "index_in_year"),
        )
    return Drawing(
        answer,
        months,
        columns,
        theme.heatmap(
            "month:O",
            "year_number:O",
            "index_in_year",
            steps,
            columns,
            height=theme.band_height(months["year_number"], 17),
            x_sort=list(MONTHS),
            y_sort="descending",
        ),
        steps=steps,
    )


QUERIES = {
    "overview": OVERVIEW,
    "months": Query(
        "mart_rating_trends_by_month",
        (
            "month_day", "year_number", "month_number", "n_ratings", "n_users", "avg_rating", "rolling_12m_avg",
            "index_in_year",
        ),
    ),
    "unusual": Query(
        "mart_rating_trends",
        (
            "date_day", "n_ratings", "n_users", "baseline_median", "usual_min", "usual_max", "robust_z",
            "is_anomalous", "new_movies",
        ),
        where="is_charted",
    ),
    "seasons": Query(
        "mart_rating_seasonality",
        ("month_number", "n_ratings", "n_years", "seasonal_index", "least_index", "greatest_index"),
    ),
}  # fmt: skip

PAGE = Page(
    name="overview",
    title="Overview",
    lead="How much data there is, how rating activity changes, and which days and months stand out.",
    queries=QUERIES,
    tiles=tiles,
    panels=[
        Panel("activity", "How has rating activity changed?", "months", activity, RATINGS),
        Panel("unusual-days", "Which days are unusual?", "unusual", unusual_days, RATINGS, 7),
        Panel("seasons", "Is there a seasonal pattern?", "seasons", seasons, RATINGS, 5),
        Panel("calendar", "Which months stand out in their year?", "months", months_by_year, RATINGS),
    ],
)
