"""The exchange rate of the largest market, and headlines with their sentiment."""

import altair as alt
import pandas as pd

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import Drawing
from netflix_assets.dashboards.pages.sales import change, dollars
from netflix_assets.dashboards.queries import last_row
from netflix_assets.dashboards.text import plural, sentence

OURS, PROVIDERS = "our scorer", "the provider"
PROVIDER_NAMES = {"frankfurter": "the European Central Bank", "openexchangerates": "Open Exchange Rates"}


def rate(frame: pd.DataFrame) -> Drawing:
    """Draw the exchange rate of the largest market."""
    days = frame.sort_values("date_day", ignore_index=True)
    days["provider"] = [PROVIDER_NAMES.get(name, name) for name in days["rate_provider"]]
    columns = [
        Column("date_day", "Day"),
        Column("currency", "Currency"),
        number("rate_to_usd", "US dollars per unit", 4),
        number("units_per_usd", "Units per US dollar", 4),
        percent("change_30_days", "Change in 30 days", signed=True),
        percent("change_365_days", "Change in 365 days", signed=True),
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
            "One {currency} is {rate:.4g} US dollars on {day:%-d %B %Y} ({month}, {year}), according to {provider}. "
            "{currency} is the largest market outside the US dollar, with revenue of {revenue} from {orders}.",
            currency=now["currency"],
            rate=now["rate_to_usd"],
            day=now["date_day"],
            month=change(now["change_30_days"], "30 days earlier"),
            year=change(now["change_365_days"], "a year earlier"),
            provider=now["provider"],
            revenue=dollars(now["revenue_usd_of_currency"]),
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
    answer = sentence("On {day:%-d %B %Y}, no recent headline can be judged.", day=now["date_day"])
    if pd.notna(now["avg_score_moving"]):
        answer = sentence(
            "{score:+.2f} on {day:%-d %B %Y}, the mean of {headlines}.",
            score=now["avg_score_moving"],
            day=now["date_day"],
            headlines=counted(now["n_judged_moving"], "recent headline"),
        )
    answer += sentence(
        " Judged: {judged:,} of {all}.", judged=judged, all=counted(days["n_headlines"].sum(), "headline")
    )
    if both:
        answer += sentence(
            " The provider's verdict is the same for {agreeing:.0%} of those that both judged.",
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
