"""Audience: who rates how much, when, what, and how generously."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.dashboards import look
from netflix_assets.dashboards.page import OVERVIEW, Column, Drawing, Frames, Page, Panel, Tile, number, percent, said
from netflix_assets.dashboards.queries import Query, first, greatest, last, least

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LEVELS = ("heavy", "regular", "light")
TYPES = ("harsh", "balanced", "generous")

_RATINGS = "movielens/ratings"
_LISTED = 20


def tiles(frames: Frames) -> Sequence[Tile]:
    """Who there is."""
    row, segments, raters = first(frames["overview"]), frames["segments"], frames["raters"]
    counted = len(set(segments["segment_name"]) - {"Too few ratings"}) if len(segments) else 0
    lately = segments.loc[segments["lifecycle"] != "lapsed", "n_users"].sum() if len(segments) else 0
    balanced = raters.loc[raters["rater_type"] == "balanced", "share_of_users"].sum() if len(raters) else None
    return [
        Tile(f"{row['n_users']:,}", "users who rated"),
        Tile(f"{counted}", "segments by taste"),
        Tile(f"{lately:,}", "users active in the last year"),
        Tile("–" if balanced is None else f"{balanced:.0%}", "rate neither harsh nor generous"),
    ]


def lorenz(frame: pd.DataFrame) -> Drawing:
    """The share of all ratings that the most active users give."""
    users = frame.sort_values("activity_rank", ignore_index=True)
    tenth = least(users.assign(distance=(users["cumulative_share_of_users"] - 0.1).abs()), "distance")
    curve = (
        look.base()
        .mark_line(color=look.BLUE, strokeWidth=2.5)
        .encode(
            alt.X(
                "cumulative_share_of_users:Q", title="share of users, the most active first", axis=alt.Axis(format="%")
            ),
            alt.Y("cumulative_share:Q", title="share of all ratings", axis=alt.Axis(format="%")),
            tooltip=look.tooltip(
                ("cumulative_share_of_users:Q", "of the users", ".1%"),
                ("cumulative_share:Q", "give of the ratings", ".1%"),
            ),
        )
    )
    equal = (
        look.base()
        .mark_line(color=look.GREY, strokeDash=[4, 4])
        .encode(alt.X("cumulative_share_of_users:Q"), alt.Y("cumulative_share_of_users:Q"))
    )
    points = curve.mark_point(color=look.BLUE, size=24)
    return Drawing(
        said(
            "The most active {users} of users give {share} of all ratings; on the dashed line all would rate alike.",
            users=f"{tenth['cumulative_share_of_users']:.0%}",
            share=f"{tenth['cumulative_share']:.0%}",
        ),
        users,
        [
            number("activity_rank", "Users"),
            percent("cumulative_share_of_users", "Share of users"),
            percent("cumulative_share", "Share of ratings"),
        ],
        alt.layer(equal, curve, points).properties(height=370),
    )


def most_active(frame: pd.DataFrame) -> Drawing:
    """The users at the top."""
    users = frame.sort_values("activity_rank", ignore_index=True).head(_LISTED)
    top = first(users)
    return Drawing(
        said(
            "User {user} rated {films} films on {days} days. Many on few days come from a list, not from evenings.",
            user=top["user_id"],
            films=f"{top['n_ratings']:,}",
            days=f"{top['n_active_days']:,}",
        ),
        users,
        [
            number("activity_rank", "#"),
            Column("user_id", "User"),
            Column("n_ratings", "Ratings", "bar", most=float(users["n_ratings"].max())),
            number("n_active_days", "Days"),
            number("avg_rating", "Mean", 2),
            percent("cumulative_share", "Share so far"),
        ],
    )


def hours(frame: pd.DataFrame) -> Drawing:
    """Ratings by hour of the week."""
    slots = frame.sort_values(["iso_dow", "hour_utc"], ignore_index=True)
    slots["day"] = [DAYS[number - 1] for number in slots["iso_dow"]]
    top = greatest(slots, "n_ratings")
    steps = look.rising("× the average hour", float(slots["index_vs_average"].max()))
    chart = (
        look.base()
        .mark_rect(cornerRadius=2)
        .encode(
            alt.X("hour_utc:O", title="hour of the day (UTC)", axis=alt.Axis(labelAngle=0, domain=False, ticks=False)),
            alt.Y("day:O", title=None, sort=list(DAYS), axis=alt.Axis(domain=False, ticks=False)),
            alt.Color("index_vs_average:Q", legend=None, scale=steps.scale),
            tooltip=look.tooltip(
                ("day:N", "day"),
                ("hour_utc:O", "hour (UTC)"),
                ("n_ratings:Q", "ratings", ","),
                ("n_users:Q", "users", ","),
                ("index_vs_average:Q", "× average", ".2f"),
            ),
        )
        .properties(height=look.bands(DAYS, 30))
    )
    return Drawing(
        said(
            "The busiest hour of the week is {day} from {hour}:00 UTC, {times} times the average. Where users live is "
            "not known: evenings in America are after midnight here.",
            day=top["day"],
            hour=f"{top['hour_utc']:02d}",
            times=f"{top['index_vs_average']:.1f}",
        ),
        slots,
        [
            Column("day", "Day"),
            number("hour_utc", "Hour (UTC)"),
            number("n_ratings", "Ratings"),
            number("n_users", "Users"),
            number("index_vs_average", "× average", 2),
        ],
        chart,
        steps=steps,
    )


def genres_by_decade(frame: pd.DataFrame) -> Drawing:
    """The mean rating of each genre and decade of release."""
    cells = frame[frame["has_enough_ratings"]].sort_values(["genre", "decade"], ignore_index=True)
    if cells.empty:
        return Drawing(said("No genre has {what} yet.", what="enough ratings in any decade"), cells, [])
    best = greatest(cells, "lift_vs_overall")
    steps = look.around("mean rating ÷ mean of all", (0.9, 0.94, 0.98, 1.02, 1.06, 1.1))
    chart = (
        look.base()
        .mark_rect(cornerRadius=2)
        .encode(
            alt.X("decade:O", title="decade of release", axis=alt.Axis(labelAngle=0, domain=False, ticks=False)),
            alt.Y("genre:N", title=None, axis=alt.Axis(domain=False, ticks=False)),
            alt.Color("lift_vs_overall:Q", legend=None, scale=steps.scale),
            tooltip=look.tooltip(
                ("genre:N", "genre"),
                ("decade:O", "decade"),
                ("avg_rating:Q", "mean", ".2f"),
                ("lift_vs_overall:Q", "÷ mean of all", ".2f"),
                ("n_ratings:Q", "ratings", ","),
                ("n_rated_movies:Q", "films", ","),
            ),
        )
        .properties(height=look.bands(cells["genre"], 18))
    )
    return Drawing(
        said(
            "{genre} of the {decade}s is liked best: {mean} stars, from {films} films. Cells of few ratings are empty.",
            genre=best["genre"],
            decade=best["decade"],
            mean=f"{best['avg_rating']:.2f}",
            films=f"{best['n_rated_movies']:,}",
        ),
        cells,
        [
            Column("genre", "Genre"),
            Column("decade", "Decade"),
            number("avg_rating", "Mean rating", 2),
            number("lift_vs_overall", "÷ mean of all", 2),
            number("n_ratings", "Ratings"),
            number("n_rated_movies", "Films"),
        ],
        chart,
        steps=steps,
    )


def segments(frame: pd.DataFrame) -> Drawing:
    """Users by segment, and how active they are."""
    sizes = frame.sort_values(["segment_n_users", "segment_name", "activity_level", "lifecycle"], ignore_index=True)
    largest = last(sizes)
    recent = sizes[sizes["lifecycle"] != "lapsed"].groupby("segment_name")["n_users"].sum()
    order = list(dict.fromkeys(sizes["segment_name"][::-1]))
    picked = look.legend_filter("activity_level")
    chart = (
        look.base()
        .mark_bar()
        .encode(
            alt.X("sum(n_users):Q", title="users"),
            alt.Y("segment_name:N", title=None, sort=order),
            alt.Color(
                "activity_level:N", title="activity", scale=look.colours(LEVELS, ["var(--heat6)", look.BLUE, look.GREY])
            ),
            alt.Order("activity_level:N", sort="ascending"),
            opacity=look.faded(picked),
            tooltip=look.tooltip(
                ("segment_name:N", "segment"),
                ("activity_level:N", "activity"),
                ("sum(n_users):Q", "users", ","),
                ("sum(n_ratings):Q", "ratings", ","),
            ),
        )
        .properties(height=look.bands(order, 30))
        .add_params(picked)
    )
    reachable = (
        said(" Lately active are most in {name}: {users}.", name=recent.idxmax(), users=f"{recent.max():,}")
        if len(recent)
        else ""
    )
    return Drawing(
        said(
            "The largest segment is {name}, with {users} users.",
            name=largest["segment_name"],
            users=f"{largest['segment_n_users']:,}",
        )
        + reachable,
        sizes,
        [
            Column("segment_name", "Segment"),
            Column("activity_level", "Activity"),
            Column("lifecycle", "Lifecycle"),
            number("n_users", "Users"),
            number("n_ratings", "Ratings"),
            number("segment_n_users", "Users of the segment"),
        ],
        chart,
    )


def generosity(frame: pd.DataFrame) -> Drawing:
    """How many stars more or less users give than the others give the same films."""
    steps = frame.sort_values(["bias_stars", "rater_type"], ignore_index=True)
    share = steps.groupby("rater_type")["share_of_users"].sum()
    picked = look.legend_filter("rater_type")
    chart = (
        look.base()
        .mark_bar(size=16)
        .encode(
            alt.X(
                "bias_stars:Q",
                title="stars above or below the others",
                axis=alt.Axis(format="+.1f"),
            ),
            alt.Y("n_users:Q", title="users"),
            alt.Color("rater_type:N", title=None, scale=look.colours(TYPES, [look.RED, look.GREY, look.BLUE])),
            opacity=look.faded(picked),
            tooltip=look.tooltip(
                ("bias_stars:Q", "stars", "+.2f"),
                ("rater_type:N", "type"),
                ("n_users:Q", "users", ","),
                ("share_of_users:Q", "of the users", ".1%"),
            ),
        )
        .properties(height=280)
        .add_params(picked)
    )
    return Drawing(
        said(
            "{harsh} of the users who can be judged are harsh and {generous} generous: half a star or more away from "
            "the others, on the same films.",
            harsh=f"{share.get('harsh', 0.0):.0%}",
            generous=f"{share.get('generous', 0.0):.0%}",
        ),
        steps,
        [
            number("bias_stars", "Stars away", 2),
            Column("rater_type", "Type"),
            number("n_users", "Users"),
            percent("share_of_users", "Share of users"),
        ],
        chart,
    )


PAGE = Page(
    name="audience",
    title="Audience",
    lead="Who rates how much, when, what, and how generously.",
    queries={
        "overview": OVERVIEW,
        "users": Query(
            "mart_user_activity",
            (
                "user_id",
                "activity_rank",
                "n_ratings",
                "n_active_days",
                "avg_rating",
                "cumulative_share_of_users",
                "cumulative_share",
            ),
            only="is_charted",
        ),
        "hours": Query("mart_activity_by_hour", ("iso_dow", "hour_utc", "n_ratings", "n_users", "index_vs_average")),
        "decades": Query(
            "mart_ratings_by_genre_decade",
            (
                "genre",
                "decade",
                "n_rated_movies",
                "n_ratings",
                "avg_rating",
                "lift_vs_overall",
                "has_enough_ratings",
            ),
        ),
        "segments": Query(
            "mart_segment_sizes",
            ("segment_name", "activity_level", "lifecycle", "n_users", "n_ratings", "segment_n_users"),
        ),
        "raters": Query("mart_rater_bias", ("bias_stars", "rater_type", "n_users", "share_of_users")),
    },
    tiles=tiles,
    panels=[
        Panel("lorenz", "How unequally are ratings spread over users?", "users", lorenz, _RATINGS, span=6),
        Panel("most-active", "Which users are the most active?", "users", most_active, _RATINGS, span=6),
        Panel("hours", "When do people rate?", "hours", hours, _RATINGS),
        Panel("segments", "Which segments can be addressed?", "segments", segments, _RATINGS, span=7),
        Panel("generosity", "How generous are raters?", "raters", generosity, _RATINGS, span=5),
        Panel("genres-by-decade", "Which genres of which time are liked?", "decades", genres_by_decade, _RATINGS),
    ],
)
