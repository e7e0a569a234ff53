"""Recommendations: what to promote, what to buy, and what to recommend to whom."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import OVERVIEW, RATINGS, Drawing, Frames, Page, Panel, Tile
from netflix_assets.dashboards.pages.content import ALL_USERS
from netflix_assets.dashboards.pages.films import film_names
from netflix_assets.dashboards.queries import Query, first_row, max_row, min_row
from netflix_assets.dashboards.text import plural, sentence

QUADRANTS = {"favourite": theme.GREEN, "hidden gem": theme.AMBER, "widely seen": theme.RED, "marginal": theme.GREY}
CANDIDATE, OTHER = "candidate", "other category"

_LISTED = 15
# A logarithmic axis labels few values by itself.
_DEMAND_TICKS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
_MOMENTUM_TICKS = [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5]
_MAX_MATCHES = 10  # rows of mart_movie_co_ratings and mart_similar_users that are charted per film or user


def tiles(frames: Frames) -> Sequence[Tile]:
    """Return the first thing to do in each area."""
    films, growth, gaps, pairs = frames["films"], frames["growth"], frames["gaps"], frames["liked"]
    widest = gaps[(gaps["segment_name"] == ALL_USERS) & (gaps["gap_rank"] == 1)] if len(gaps) else gaps
    n_candidates = int(growth["is_candidate"].sum()) if len(growth) else 0
    n_films = pairs["movie_id"].nunique() if len(pairs) else 0
    return [
        Tile(str(min_row(films, "promotion_rank")["title"] if len(films) else "–"), "film to promote first"),
        Tile(f"{n_candidates}", f"growing {plural(n_candidates, 'category', 'categories')} short of films"),
        Tile(str(widest["genre"].iloc[0]) if len(widest) else "–", "genre with the widest gap"),
        Tile(f"{n_films}", f"{plural(n_films, 'film')} with recommendations below"),
    ]


def _with_names(films: pd.DataFrame) -> pd.DataFrame:
    genres = films["genres"].map(lambda genres: (genres or "").replace("|", " · "))
    return films.assign(film=film_names(films), genres=genres)


def shortlist(frame: pd.DataFrame) -> Drawing:
    """List the films to promote."""
    films = _with_names(frame.sort_values("promotion_rank", ignore_index=True).head(_LISTED))
    top = first_row(films)
    return Drawing(
        sentence(
            "Promote {film} first: {avg_rating:.2f} stars from {ratings}, {n_recent_ratings:,} of them in the last "
            "year. The score combines mean rating, number of ratings and recency.",
            ratings=counted(top["n_ratings"], "rating"),
            **top,
        ),
        films,
        [
            number("promotion_rank", "Rank"),
            Column("film", "Film"),
            Column("genres", "Genres"),
            number("n_ratings", "Ratings"),
            number("avg_rating", "Mean", 2),
            Column("promotion_score", "Score", "bar", digits=2, maximum=float(films["promotion_score"].max())),
        ],
    )


def quadrants(frame: pd.DataFrame) -> Drawing:
    """Draw films by number of ratings and adjusted mean rating."""
    films = _with_names(frame.sort_values("movie_id", ignore_index=True))
    columns = [
        number("promotion_rank", "Rank"),
        Column("film", "Film"),
        Column("genres", "Genres"),
        number("n_ratings", "Ratings"),
        number("avg_rating", "Mean rating", 2),
        number("bayesian_mean", "Adjusted mean", 2),
        Column("quadrant", "Group"),
    ]
    chart = (
        theme.base()
        .mark_point()
        .encode(
            theme.ratings_axis(),
            alt.Y("bayesian_mean:Q", title="mean rating, adjusted for few ratings", scale=alt.Scale(zero=False)),
            tooltip=tooltips(columns),
        )
        .properties(height=420)
    )
    counts = films["quadrant"].value_counts()
    return Drawing(
        sentence(
            "The chart shows {favourites} and {gems}. Hidden gems are well liked but rated by few users. Click the "
            "legend to isolate a group.",
            favourites=counted(counts.get("favourite", 0), "favourite"),
            gems=counted(counts.get("hidden gem", 0), "hidden gem"),
        ),
        films,
        columns,
        theme.colour_by(chart, "quadrant", QUADRANTS, opacity=0.8),
    )


def also_liked(frame: pd.DataFrame) -> Drawing:
    """Draw, for one film, the films that its fans also like."""
    order = ["n_likes", "movie_id", "rank_for_movie"]
    pairs = frame.sort_values(order, ascending=[False, True, True], ignore_index=True)
    pairs["film"] = film_names(pairs)
    pairs["liked"] = film_names(pairs, "liked_")
    columns = [
        Column("film", "Film"),
        number("rank_for_movie", "Rank"),
        Column("liked", "Also liked"),
        Column("liked_genres", "Genres"),
        number("n_co_likes", "Fans of both"),
        number("lift", "× chance", 1),
        number("score", "Score", 2),
    ]
    chart = theme.bars(
        alt.X("score:Q", title="audience overlap, 0 to 1"),
        alt.Y("liked:N", title=None, sort=alt.SortField("rank_for_movie")),
        columns[2:],
        height=theme.band_height(range(_MAX_MATCHES), 26),
    )
    return Drawing(
        sentence(
            "Among fans of {film}, {liked} is liked {lift:.1f} times as often as chance predicts. Choose from {films}.",
            films=counted(pairs["movie_id"].nunique(), "film"),
            **first_row(pairs),
        ),
        pairs,
        columns,
        chart,
        pick="film",
    )


def neighbours(frame: pd.DataFrame) -> Drawing:
    """Draw, for one user, the users with the most similar likes; first for the user whose best match is the closest."""
    best = max_row(frame.sort_values(["user_id", "similarity_rank"], ignore_index=True), "similarity")
    is_other = frame["user_id"] != best["user_id"]
    pairs = frame.assign(is_other=is_other).sort_values(["is_other", "user_id", "similarity_rank"], ignore_index=True)
    pairs["user"] = [f"User {user}" for user in pairs["user_id"]]
    pairs["neighbour"] = [f"User {user}" for user in pairs["similar_user_id"]]
    columns = [
        Column("user", "User"),
        number("similarity_rank", "Rank"),
        Column("neighbour", "Similar user"),
        Column("segment_name", "Segment"),
        number("n_common_likes", "Common likes"),
        number("similarity", "Similarity", 2),
    ]
    chart = theme.bars(
        alt.X("similarity:Q", title="similarity, 0 to 1"),
        alt.Y("neighbour:N", title=None, sort=alt.SortField("similarity_rank")),
        columns[2:],
        height=theme.band_height(range(_MAX_MATCHES), 26),
        colour=theme.VIOLET,
    )
    return Drawing(
        sentence(
            "Most similar: users {user_id} and {similar_user_id} in {segment_name}, with {films} in common. Choose "
            "from the {users} with the most likes.",
            films=counted(best["n_common_likes"], "liked film"),
            users=counted(pairs["user_id"].nunique(), "user"),
            **best,
        ),
        pairs,
        columns,
        chart,
        pick="user",
    )


def growth(frame: pd.DataFrame) -> Drawing:
    """Draw categories by demand against supply and by growth."""
    categories = frame[frame["ratings_this_year"] > 0].sort_values("growth_rank", ignore_index=True)
    if categories.empty:
        return Drawing(sentence("No ratings in the last year."), categories)
    categories["category"] = [f"{row.genre}, {row.decade}s" for row in categories.itertuples()]
    categories["kind"] = [CANDIDATE if is_candidate else OTHER for is_candidate in categories["is_candidate"]]
    columns = [
        Column("category", "Category"),
        Column("kind", "Kind"),
        number("n_movies", "Films"),
        number("n_ratings", "Ratings"),
        percent("catalogue_share", "Share of films", 2),
        percent("demand_share", "Share of demand", 2),
        number("demand_index", "Demand ÷ supply", 2),
        percent("yoy_growth", "Change in a year", 0, signed=True),
        number("momentum", "Momentum", 2),
        number("avg_rating", "Mean rating", 2),
    ]
    scale = alt.Scale(type="log", nice=False, padding=20)
    demand, momentum = (alt.Axis(values=ticks, format="~g") for ticks in (_DEMAND_TICKS, _MOMENTUM_TICKS))
    chart = (
        theme.base()
        .mark_point(stroke="var(--card)", strokeWidth=0.5)
        .encode(
            alt.X("demand_index:Q", title="demand ÷ supply (log scale)", scale=scale, axis=demand),
            alt.Y("momentum:Q", title="momentum (log scale)", scale=scale, axis=momentum),
            alt.Size("n_ratings:Q", legend=None, scale=alt.Scale(range=[20, 900])),
            tooltip=tooltips(columns),
        )
    )
    candidates = categories[categories["kind"] == CANDIDATE]
    answer = sentence("No category is both under-represented and growing.")
    if len(candidates):
        answer = sentence(
            "{categories} {are} under-represented and growing. First: {category}, with {demand_share:.1%} of the last "
            "year's ratings but {catalogue_share:.1%} of the films.",
            categories=counted(len(candidates), "category", "categories"),
            are=plural(len(candidates), "is", "are"),
            **first_row(candidates),
        )
    return Drawing(
        answer + sentence(" Right of 1: fewer films than demand. Above 1: demand is growing."),
        categories,
        columns,
        alt.layer(
            theme.colour_by(chart, "kind", {CANDIDATE: theme.GREEN, OTHER: theme.GREY}, opacity=0.65),
            theme.reference(x=1),
            theme.reference(y=1),
        ).properties(height=400),
    )


def gaps(frame: pd.DataFrame) -> Drawing:
    """Draw each segment's demand for a genre against the supply of films."""
    cells = frame[frame["gap_score"].notna()].sort_values(["segment_name", "gap_rank"], ignore_index=True)
    if cells.empty:
        return Drawing(sentence("No demand to compare with supply yet."), cells)
    cells["segment"] = ["all users" if name == ALL_USERS else name for name in cells["segment_name"]]
    columns = [
        Column("segment", "Segment"),
        number("gap_rank", "Rank"),
        Column("genre", "Genre"),
        percent("demand_share", "Share of ratings"),
        percent("supply_share", "Share of films"),
        percent("gap_score", "Gap", signed=True),
        number("n_movies", "Films"),
        number("avg_rating", "Mean rating", 2),
    ]
    steps = theme.diverging("share of ratings − share of films", (-0.06, -0.03, -0.01, 0.01, 0.03, 0.06), "{:+.0%}")
    return Drawing(
        sentence(
            "Widest gap: {genre} for {segment}, with {demand_share:.0%} of their ratings but {supply_share:.0%} of the "
            "films.",
            **max_row(cells, "gap_score"),
        ),
        cells,
        columns,
        theme.heatmap(
            "segment:N",
            "genre:N",
            "gap_score",
            steps,
            columns,
            height=theme.band_height(cells["genre"], 18),
            has_long_names=True,
        ),
        steps=steps,
    )


QUERIES = {
    "overview": OVERVIEW,
    "films": Query(
        "mart_movie_promotions",
        (
            "movie_id", "promotion_rank", "title", "release_year", "genres", "n_ratings", "n_recent_ratings",
            "avg_rating", "bayesian_mean", "promotion_score", "quadrant",
        ),
        where="is_charted",
    ),
    "growth": Query(
        "mart_growth_candidates",
        (
            "genre", "decade", "growth_rank", "n_movies", "n_ratings", "avg_rating", "ratings_this_year", "yoy_growth",
            "catalogue_share", "demand_share", "demand_index", "momentum", "is_candidate",
        ),
    ),
    "liked": Query(
        "mart_movie_co_ratings",
        (
            "movie_id", "title", "release_year", "rank_for_movie", "liked_movie_id", "liked_title",
            "liked_release_year", "liked_genres", "n_co_likes", "n_likes", "score", "lift",
        ),
        where="is_charted",
    ),
    "neighbours": Query(
        "mart_similar_users",
        (
            "user_id", "similarity_rank", "similar_user_id", "segment_name", "n_common_likes", "similarity",
        ),
        where="is_charted",
    ),
    "gaps": Query(
        "mart_content_gaps",
        (
            "segment_name", "genre", "n_movies", "avg_rating", "demand_share", "supply_share", "gap_score", "gap_rank",
        ),
    ),
}  # fmt: skip

_TOO_FEW = "Too few users like the same films yet."

PAGE = Page(
    name="recommendations",
    title="Recommendations",
    lead="What to promote, what to buy, and what to recommend to whom.",
    queries=QUERIES,
    tiles=tiles,
    panels=[
        Panel("shortlist", "Which films should we promote?", "films", shortlist, RATINGS, 6),
        Panel("quadrants", "Favourites and hidden gems", "films", quadrants, RATINGS, 6),
        Panel("also-liked", "Users who liked this film also liked", "liked", also_liked, RATINGS, 7, _TOO_FEW),
        Panel("neighbours", "Users with similar taste", "neighbours", neighbours, RATINGS, 5, _TOO_FEW),
        Panel("growth", "Which growing categories have too few films?", "growth", growth, RATINGS),
        Panel("gaps", "Where does the catalogue lack films?", "gaps", gaps, RATINGS),
    ],
)
