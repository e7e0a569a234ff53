"""Audience: who rates, how much, when, what, and how generously."""

import calendar
from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import OVERVIEW, RATINGS, Drawing, Frames, Page, Panel, Tile
from netflix_assets.dashboards.queries import Query, first_row, last_row, max_row, min_row
from netflix_assets.dashboards.text import plural, sentence, share

DAYS = list(calendar.day_abbr)
LEVELS = {"heavy": "var(--heat6)", "regular": theme.BLUE, "light": theme.GREY}
RATER_TYPES = {"harsh": theme.RED, "balanced": theme.GREY, "generous": theme.BLUE}

_LISTED = 20


def tiles(frames: Frames) -> Sequence[Tile]:
    """Return the size of the audience."""
    users, segments, raters = first_row(frames["overview"])["n_users"], frames["segments"], frames["raters"]
    n_segments = len(set(segments["segment_name"]) - {"Too few ratings"}) if len(segments) else 0
    active = segments.loc[segments["lifecycle"] != "lapsed", "n_users"].sum() if len(segments) else 0
    balanced = raters.loc[raters["rater_type"] == "balanced", "share_of_users"].sum() if len(raters) else None
    return [
        Tile(f"{users:,}", plural(users, "user who rated", "users who rated")),
        Tile(f"{n_segments}", plural(n_segments, "taste segment")),
        Tile(f"{active:,}", f"{plural(active, 'user')} active in the last year"),
        Tile("–" if balanced is None else share(balanced), "of raters are neither harsh nor generous"),
    ]


def lorenz(frame: pd.DataFrame) -> Drawing:
    """Draw the share of all ratings that the most active users give (a Lorenz curve)."""
    users = frame.sort_values("activity_rank", ignore_index=True)
    columns = [
        number("activity_rank", "Users"),
        percent("cumulative_share_of_users", "Share of users"),
        percent("cumulative_share", "Share of ratings"),
    ]
    share_of_users = alt.X(
        "cumulative_share_of_users:Q", title="share of users, most active first", axis=alt.Axis(format="%")
    )
    curve = (
        theme.base()
        .mark_line(color=theme.BLUE, strokeWidth=2.5)
        .encode(
            share_of_users,
            alt.Y("cumulative_share:Q", title="share of all ratings", axis=alt.Axis(format="%")),
            tooltip=tooltips(columns),
        )
    )
    equal = (
        theme.base()
        .mark_line(color=theme.GREY, strokeDash=[4, 4])
        .encode(alt.X("cumulative_share_of_users:Q"), alt.Y("cumulative_share_of_users:Q"))
    )
    points = curve.mark_point(color=theme.BLUE, size=24)
    tenth = min_row(users.assign(distance=(users["cumulative_share_of_users"] - 0.1).abs()), "distance")
    return Drawing(
        sentence(
            "The most active {cumulative_share_of_users:.0%} of users give {cumulative_share:.0%} of all ratings. The "
            "dashed line shows an even spread.",
            **tenth,
        ),
        users,
        columns,
        alt.layer(equal, curve, points).properties(height=370),
    )


def most_active(frame: pd.DataFrame) -> Drawing:
    """List the most active users."""
    users = frame.sort_values("activity_rank", ignore_index=True).head(_LISTED)
    top = first_row(users)
    return Drawing(
        sentence(
            "User {user} rated {films} on {days}. Many ratings on few days suggest bulk rating, not films rated as "
            "they were watched.",
            user=top["user_id"],
            films=counted(top["n_ratings"], "film"),
            days=counted(top["n_active_days"], "day"),
        ),
        users,
        [
            number("activity_rank", "Rank"),
            Column("user_id", "User"),
            Column("n_ratings", "Ratings", "bar", maximum=float(users["n_ratings"].max())),
            number("n_active_days", "Active days"),
            number("avg_rating", "Mean rating", 2),
            percent("cumulative_share", "Cumulative share"),
        ],
    )


def hours(frame: pd.DataFrame) -> Drawing:
    """Draw ratings by hour of the week."""
    slots = frame.sort_values(["iso_dow", "hour_utc"], ignore_index=True)
    slots["day"] = [DAYS[number - 1] for number in slots["iso_dow"]]
    columns = [
        Column("day", "Day"),
        number("hour_utc", "Hour (UTC)"),
        number("n_ratings", "Ratings"),
        number("n_users", "Users"),
        number("index_vs_average", "× the average hour", 2),
    ]
    steps = theme.sequential("× the average hour", float(slots["index_vs_average"].max()))
    top = max_row(slots, "n_ratings")
    return Drawing(
        sentence(
            "Busiest hour of the week: {start} UTC, {index_vs_average:.1f} times the average, by {users}. Users' "
            "time zones are unknown: an American evening is after midnight UTC.",
            users=counted(top["n_users"], "user"),
            start=f"{calendar.day_name[top['iso_dow'] - 1]} {top['hour_utc']:02d}:00",
            **top,
        ),
        slots,
        columns,
        theme.heatmap(
            "hour_utc:O",
            "day:O",
            "index_vs_average",
            steps,
            columns,
            height=theme.band_height(DAYS, 30),
            x_title="hour of the day (UTC)",
            y_sort=DAYS,
        ),
        steps=steps,
    )


def genres_by_decade(frame: pd.DataFrame) -> Drawing:
    """Draw the mean rating of each genre and decade of release, adjusted for few films."""
    cells = frame.sort_values(["genre", "decade"], ignore_index=True)
    columns = [
        Column("genre", "Genre"),
        Column("decade", "Decade"),
        number("avg_rating", "Mean rating", 2),
        number("adjusted_avg_rating", "Adjusted mean", 2),
        number("adjusted_lift_vs_overall", "Adjusted ÷ mean of all ratings", 2),
        number("n_ratings", "Ratings"),
        number("n_rated_movies", "Films"),
    ]
    steps = theme.diverging("adjusted mean ÷ mean of all ratings", (0.9, 0.94, 0.98, 1.02, 1.06, 1.1))
    best = max_row(cells, "adjusted_lift_vs_overall")
    return Drawing(
        sentence(
            "Best liked: {genre} of the {decade}s, {avg_rating:.2f} stars across {films}. Means are adjusted: the "
            "fewer films, the closer to the mean of all ratings. Cells with few films or ratings are blank.",
            films=counted(best["n_rated_movies"], "film"),
            **best,
        ),
        cells,
        columns,
        theme.heatmap(
            "decade:O",
            "genre:N",
            "adjusted_lift_vs_overall",
            steps,
            columns,
            height=theme.band_height(cells["genre"], 18),
            x_title="decade of release",
        ),
        steps=steps,
    )


def segments(frame: pd.DataFrame) -> Drawing:
    """Draw the size of each segment, by activity."""
    sizes = frame.sort_values(["segment_n_users", "segment_name", "activity_level", "lifecycle"], ignore_index=True)
    order = list(dict.fromkeys(sizes["segment_name"][::-1]))
    sizes["level"] = sizes["activity_level"].map({name: place for place, name in enumerate(LEVELS)})
    chart = (
        theme.base()
        .mark_bar()
        .encode(
            alt.X("sum(n_users):Q", title="users"),
            alt.Y("segment_name:N", title=None, sort=order),
            alt.Order("level:Q"),
            tooltip=[
                alt.Tooltip("segment_name:N", title="Segment"),
                alt.Tooltip("activity_level:N", title="Activity"),
                alt.Tooltip("sum(n_users):Q", title="Users", format=","),
                alt.Tooltip("sum(n_ratings):Q", title="Ratings", format=","),
            ],
        )
        .properties(height=theme.band_height(order, 30))
    )
    largest = last_row(sizes)
    answer = sentence(
        "Largest segment: {segment}, {users}.",
        segment=largest["segment_name"],
        users=counted(largest["segment_n_users"], "user"),
    )
    active = sizes[sizes["lifecycle"] != "lapsed"].groupby("segment_name")["n_users"].sum()
    if len(active):
        answer += sentence(
            " Most users active in the last year: {segment}, {users:,}.", segment=active.idxmax(), users=active.max()
        )
    return Drawing(
        answer,
        sizes,
        [
            Column("segment_name", "Segment"),
            Column("activity_level", "Activity"),
            Column("lifecycle", "Lifecycle"),
            number("n_users", "Users"),
            number("n_ratings", "Ratings"),
            number("segment_n_users", "Users in the segment"),
        ],
        theme.colour_by(chart, "activity_level", LEVELS, title="activity"),
    )


def generosity(frame: pd.DataFrame) -> Drawing:
    """Draw how many stars users give above or below other users, on the same films."""
    steps = frame.sort_values(["bias_stars", "rater_type"], ignore_index=True)
    columns = [
        number("bias_stars", "Stars above or below", 2, signed=True),
        Column("rater_type", "Type"),
        number("n_users", "Users"),
        percent("share_of_users", "Share of users"),
    ]
    chart = (
        theme.base()
        .mark_bar(size=16)
        .encode(
            alt.X("bias_stars:Q", title="stars above or below other users", axis=alt.Axis(format="+.1f")),
            alt.Y("n_users:Q", title="users"),
            tooltip=tooltips(columns),
        )
        .properties(height=280)
    )
    shares = steps.groupby("rater_type")["share_of_users"].sum()
    return Drawing(
        sentence(
            "Of users with enough ratings, {harsh:.0%} are harsh and {generous:.0%} generous: at least half a star "
            "below or above other users, on the same films.",
            harsh=shares.get("harsh", 0.0),
            generous=shares.get("generous", 0.0),
        ),
        steps,
        columns,
        theme.colour_by(chart, "rater_type", RATER_TYPES),
    )


QUERIES = {
    "overview": OVERVIEW,
    "users": Query(
        "mart_user_activity",
        (
            "user_id", "activity_rank", "n_ratings", "n_active_days", "avg_rating", "cumulative_share_of_users",
            "cumulative_share",
        ),
        where="is_charted",
    ),
    "hours": Query("mart_activity_by_hour", ("iso_dow", "hour_utc", "n_ratings", "n_users", "index_vs_average")),
    "decades": Query(
        "mart_ratings_by_genre_decade",
        (
            "genre", "decade", "n_rated_movies", "n_ratings", "avg_rating", "adjusted_avg_rating",
            "adjusted_lift_vs_overall",
        ),
        where="is_charted",
    ),
    "segments": Query(
        "mart_segment_sizes",
        ("segment_name", "activity_level", "lifecycle", "n_users", "n_ratings", "segment_n_users"),
    ),
    "raters": Query("mart_rater_bias", ("bias_stars", "rater_type", "n_users", "share_of_users")),
}  # fmt: skip

_TOO_FEW = "No genre has enough rated films in any decade yet."

PAGE = Page(
    name="audience",
    title="Audience",
    lead="Who rates, how much, when, what, and how generously.",
    queries=QUERIES,
    tiles=tiles,
    panels=[
        Panel("lorenz", "How evenly are ratings spread across users?", "users", lorenz, RATINGS, 6),
        Panel("most-active", "Most active users", "users", most_active, RATINGS, 6),
        Panel("hours", "When do people rate?", "hours", hours, RATINGS),
        Panel("segments", "How large is each segment?", "segments", segments, RATINGS, 7),
        Panel("generosity", "How generous are raters?", "raters", generosity, RATINGS, 5),
        Panel(
            "genres-by-decade", "Best-liked genres by decade", "decades", genres_by_decade, RATINGS, empty_text=_TOO_FEW
        ),
    ],
)
