"""Recommendations: what to promote, what to buy, and what to show next to whom."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.dashboards import look
from netflix_assets.dashboards.content import EVERYBODY, film_names
from netflix_assets.dashboards.page import OVERVIEW, Column, Drawing, Frames, Page, Panel, Tile, number, percent, said
from netflix_assets.dashboards.queries import Query, first, greatest, least

QUADRANTS = ("favourite", "hidden gem", "widely seen", "marginal")
CANDIDATES = ("candidate", "other category")

_RATINGS = "movielens/ratings"
_LISTED = 15
_TOO_FEW = "Too few users like the same films yet."


def tiles(frames: Frames) -> Sequence[Tile]:
    """What could be done."""
    growth, gaps, pairs = frames["growth"], frames["gaps"], frames["liked"]
    lacking = gaps[(gaps["segment_name"] == EVERYBODY) & (gaps["gap_rank"] == 1)] if len(gaps) else gaps
    promoted = frames["films"]
    top = least(promoted, "promotion_rank")["title"] if len(promoted) else "–"
    return [
        Tile(str(top), "to promote first"),
        Tile(f"{int(growth['is_candidate'].sum()) if len(growth) else 0}", "growing categories that lack films"),
        Tile(str(lacking["genre"].iloc[0]) if len(lacking) else "–", "is asked for most beyond its supply"),
        Tile(f"{pairs['movie_id'].nunique() if len(pairs) else 0}", "films to pick below"),
    ]


def shortlist(frame: pd.DataFrame) -> Drawing:
    """The films to promote."""
    films = _named(frame.sort_values("promotion_rank", ignore_index=True).head(_LISTED))
    top = first(films)
    return Drawing(
        said(
            "{film} first: {mean} stars from {ratings} ratings, {recent} of them of the last year. The score weighs "
            "how well a film is liked, by how many, and how lately.",
            film=top["film"],
            mean=f"{top['avg_rating']:.2f}",
            ratings=f"{top['n_ratings']:,}",
            recent=f"{top['n_recent_ratings']:,}",
        ),
        films,
        [
            number("promotion_rank", "#"),
            Column("film", "Film"),
            Column("genres", "Genres"),
            number("n_ratings", "Ratings"),
            number("avg_rating", "Mean", 2),
            Column("promotion_score", "Score", "bar", digits=2, most=float(films["promotion_score"].max())),
        ],
    )


def quadrants(frame: pd.DataFrame) -> Drawing:
    """Films by how well and by how many they are liked."""
    films = _named(frame.sort_values("movie_id", ignore_index=True))
    picked = look.legend_filter("quadrant")
    counts = films["quadrant"].value_counts()
    chart = (
        look.base()
        .mark_point()
        .encode(
            alt.X(
                "n_ratings:Q",
                title="ratings (log)",
                scale=alt.Scale(type="log"),
                axis=alt.Axis(format="~s", tickCount=5),
            ),
            alt.Y(
                "bayesian_mean:Q", title="mean rating, few ratings pulled to the middle", scale=alt.Scale(zero=False)
            ),
            alt.Color(
                "quadrant:N",
                title=None,
                scale=look.colours(QUADRANTS, [look.GREEN, look.AMBER, look.RED, look.GREY]),
            ),
            opacity=look.faded(picked, 0.8),
            tooltip=look.tooltip(
                ("film:N", "film"),
                ("genres:N", "genres"),
                ("n_ratings:Q", "ratings", ","),
                ("avg_rating:Q", "mean", ".2f"),
                ("promotion_rank:Q", "rank", ","),
                ("quadrant:N", "quadrant"),
            ),
        )
        .properties(height=420)
        .add_params(picked)
    )
    return Drawing(
        said(
            "Of the films drawn, {favourites} are favourites and {gems} hidden gems: liked by those few who know them. "
            "Click the legend to isolate a group.",
            favourites=f"{counts.get('favourite', 0):,}",
            gems=f"{counts.get('hidden gem', 0):,}",
        ),
        films,
        [
            number("promotion_rank", "#"),
            Column("film", "Film"),
            Column("genres", "Genres"),
            number("n_ratings", "Ratings"),
            number("avg_rating", "Mean", 2),
            number("bayesian_mean", "Bayesian mean", 2),
            Column("quadrant", "Quadrant"),
        ],
        chart,
    )


def growth(frame: pd.DataFrame) -> Drawing:
    """Categories by their share of films and of demand."""
    categories = frame[frame["ratings_this_year"] > 0].sort_values("growth_rank", ignore_index=True)
    if categories.empty:
        return Drawing(said("Nothing was rated {when}.", when="in the last year"), categories, [])
    categories["category"] = [f"{each.genre}, {each.decade}s" for each in categories.itertuples()]
    categories["kind"] = [CANDIDATES[0] if each else CANDIDATES[1] for each in categories["is_candidate"]]
    found = categories[categories["is_candidate"].astype(bool)]
    picked = look.legend_filter("kind")
    scale = alt.Scale(type="log", nice=False, padding=20)
    chart = (
        look.base()
        .mark_point(stroke="var(--card)", strokeWidth=0.5)
        .encode(
            alt.X(
                "demand_index:Q",
                title="demand ÷ supply (log)",
                scale=scale,
                axis=alt.Axis(tickCount=5),
            ),
            alt.Y("momentum:Q", title="momentum (log)", scale=scale, axis=alt.Axis(tickCount=5)),
            alt.Size("n_ratings:Q", legend=None, scale=alt.Scale(range=[20, 900])),
            alt.Color("kind:N", title=None, scale=look.colours(CANDIDATES, [look.GREEN, look.GREY])),
            opacity=look.faded(picked, 0.65),
            tooltip=look.tooltip(
                ("category:N", "category"),
                ("n_movies:Q", "films", ","),
                ("catalogue_share:Q", "share of films", ".2%"),
                ("demand_share:Q", "share of ratings", ".2%"),
                ("yoy_growth:Q", "on the year before", "+.0%"),
                ("momentum:Q", "momentum", ".2f"),
                ("avg_rating:Q", "mean", ".2f"),
            ),
        )
        .properties(height=400)
        .add_params(picked)
    )
    answer = (
        said(
            "{count} categories are under-represented and growing, first {first}: {demand} of the last year's ratings "
            "for {supply} of the films.",
            count=len(found),
            first=first(found)["category"],
            demand=f"{first(found)['demand_share']:.1%}",
            supply=f"{first(found)['catalogue_share']:.1%}",
        )
        if len(found)
        else said("No category is both {what}.", what="under-represented and growing")
    )
    return Drawing(
        answer + said(" Right of 1 films are lacking, above 1 demand grows."),
        categories,
        [
            Column("category", "Category"),
            Column("kind", "Kind"),
            number("n_movies", "Films"),
            number("n_ratings", "Ratings"),
            percent("catalogue_share", "Share of films", 2),
            percent("demand_share", "Share of demand", 2),
            number("demand_index", "Demand ÷ supply", 2),
            percent("yoy_growth", "On the year before", 0),
            number("momentum", "Momentum", 2),
            number("avg_rating", "Mean", 2),
        ],
        chart,
    )


def also_liked(frame: pd.DataFrame) -> Drawing:
    """For a film, the films that its admirers like too."""
    pairs = frame.sort_values(
        ["n_likes", "movie_id", "rank_for_movie"], ascending=[False, True, True], ignore_index=True
    )
    pairs["film"] = film_names(pairs)
    pairs["liked"] = film_names(pairs, "liked_")
    top = first(pairs)
    chart = (
        look.base()
        .mark_bar(color=look.BLUE)
        .encode(
            alt.X("score:Q", title="fit of the two audiences, 0 to 1"),
            alt.Y("liked:N", title=None, sort=alt.SortField("rank_for_movie")),
            tooltip=look.tooltip(
                ("liked:N", "film"),
                ("liked_genres:N", "genres"),
                ("n_co_likes:Q", "fans of both", ","),
                ("lift:Q", "× chance", ".1f"),
                ("score:Q", "score", ".2f"),
            ),
        )
        .properties(height=look.bands(range(10), 26))
    )
    return Drawing(
        said(
            "Who likes {film} likes {liked} {lift} times as often as by chance. Pick another of {count} films.",
            film=top["film"],
            liked=top["liked"],
            lift=f"{top['lift']:.1f}",
            count=pairs["movie_id"].nunique(),
        ),
        pairs,
        [
            Column("film", "Film"),
            number("rank_for_movie", "#"),
            Column("liked", "Also liked"),
            Column("liked_genres", "Genres"),
            number("n_co_likes", "Fans of both"),
            number("lift", "× chance", 1),
            number("score", "Score", 2),
        ],
        chart,
        pick="film",
    )


def neighbours(frame: pd.DataFrame) -> Drawing:
    """For a user, the users who like most of the same films."""
    pairs = frame.sort_values(
        ["n_likes", "user_id", "similarity_rank"], ascending=[False, True, True], ignore_index=True
    )
    pairs["user"] = [f"User {each}" for each in pairs["user_id"]]
    pairs["neighbour"] = [f"User {each}" for each in pairs["similar_user_id"]]
    best = greatest(pairs, "similarity")
    chart = (
        look.base()
        .mark_bar(color=look.VIOLET)
        .encode(
            alt.X("similarity:Q", title="similarity, 0 to 1"),
            alt.Y("neighbour:N", title=None, sort=alt.SortField("similarity_rank")),
            tooltip=look.tooltip(
                ("neighbour:N", "user"),
                ("n_common_likes:Q", "common likes", ","),
                ("similarity:Q", "similarity", ".2f"),
                ("segment_name:N", "segment"),
            ),
        )
        .properties(height=look.bands(range(10), 26))
    )
    return Drawing(
        said(
            "Most alike are users {one} and {other}, of {segment}, with {common} films that both like. Pick one of "
            "{count} users.",
            one=best["user_id"],
            other=best["similar_user_id"],
            segment=best["segment_name"],
            common=f"{best['n_common_likes']:,}",
            count=pairs["user_id"].nunique(),
        ),
        pairs,
        [
            Column("user", "User"),
            number("similarity_rank", "#"),
            Column("neighbour", "Similar user"),
            Column("segment_name", "Segment"),
            number("n_common_likes", "Common likes"),
            number("similarity", "Similarity", 2),
        ],
        chart,
        pick="user",
    )


def gaps(frame: pd.DataFrame) -> Drawing:
    """What each segment asks for beyond what there is."""
    cells = frame[frame["gap_score"].notna()].sort_values(["segment_name", "gap_rank"], ignore_index=True)
    if cells.empty:
        return Drawing(said("No {what} yet.", what="demand to compare with the supply"), cells, [])
    cells["segment"] = ["all users" if each == EVERYBODY else each for each in cells["segment_name"]]
    top = greatest(cells, "gap_score")
    steps = look.around("demand − supply", (-0.06, -0.03, -0.01, 0.01, 0.03, 0.06), "{:+.0%}")
    chart = (
        look.base()
        .mark_rect(cornerRadius=2)
        .encode(
            alt.X("segment:N", title=None, axis=look.slanted()),
            alt.Y("genre:N", title=None, axis=alt.Axis(domain=False, ticks=False)),
            alt.Color("gap_score:Q", legend=None, scale=steps.scale),
            tooltip=look.tooltip(
                ("segment:N", "segment"),
                ("genre:N", "genre"),
                ("demand_share:Q", "of the ratings", ".1%"),
                ("supply_share:Q", "of the films", ".1%"),
                ("gap_score:Q", "gap", "+.1%"),
                ("n_movies:Q", "films", ","),
                ("avg_rating:Q", "mean", ".2f"),
            ),
        )
        .properties(height=look.bands(cells["genre"], 18))
    )
    return Drawing(
        said(
            "The widest gap is {genre} for {segment}: {demand} of what they rate, {supply} of the films.",
            genre=top["genre"],
            segment=top["segment"],
            demand=f"{top['demand_share']:.0%}",
            supply=f"{top['supply_share']:.0%}",
        ),
        cells,
        [
            Column("segment", "Segment"),
            number("gap_rank", "#"),
            Column("genre", "Genre"),
            percent("demand_share", "Of the ratings"),
            percent("supply_share", "Of the films"),
            percent("gap_score", "Gap"),
            number("n_movies", "Films"),
            number("avg_rating", "Mean", 2),
        ],
        chart,
        steps=steps,
    )


def _named(films: pd.DataFrame) -> pd.DataFrame:
    return films.assign(
        film=film_names(films), genres=films["genres"].map(lambda genres: (genres or "").replace("|", " · "))
    )


PAGE = Page(
    name="recommendations",
    title="Recommendations",
    lead="What to promote, what to buy, and what to show next to whom.",
    queries={
        "overview": OVERVIEW,
        "films": Query(
            "mart_movie_promotions",
            (
                "movie_id",
                "promotion_rank",
                "title",
                "release_year",
                "genres",
                "n_ratings",
                "n_recent_ratings",
                "avg_rating",
                "bayesian_mean",
                "promotion_score",
                "quadrant",
            ),
            only="is_charted",
        ),
        "growth": Query(
            "mart_growth_candidates",
            (
                "genre",
                "decade",
                "growth_rank",
                "n_movies",
                "n_ratings",
                "avg_rating",
                "ratings_this_year",
                "yoy_growth",
                "catalogue_share",
                "demand_share",
                "demand_index",
                "momentum",
                "is_candidate",
            ),
        ),
        "liked": Query(
            "mart_movie_co_ratings",
            (
                "movie_id",
                "title",
                "release_year",
                "rank_for_movie",
                "liked_movie_id",
                "liked_title",
                "liked_release_year",
                "liked_genres",
                "n_co_likes",
                "n_likes",
                "score",
                "lift",
            ),
            only="is_charted",
        ),
        "neighbours": Query(
            "mart_similar_users",
            (
                "user_id",
                "similarity_rank",
                "similar_user_id",
                "segment_name",
                "n_common_likes",
                "n_likes",
                "similarity",
            ),
            only="is_charted",
        ),
        "gaps": Query(
            "mart_content_gaps",
            (
                "segment_name",
                "genre",
                "n_movies",
                "avg_rating",
                "demand_share",
                "supply_share",
                "gap_score",
                "gap_rank",
            ),
        ),
    },
    tiles=tiles,
    panels=[
        Panel("shortlist", "What should be promoted?", "films", shortlist, _RATINGS, span=6),
        Panel("quadrants", "Which films are favourites, and which hidden gems?", "films", quadrants, _RATINGS, span=6),
        Panel("also-liked", "What else do those like who like a film?", "liked", also_liked, _RATINGS, 7, _TOO_FEW),
        Panel("neighbours", "Which users are alike?", "neighbours", neighbours, _RATINGS, 5, _TOO_FEW),
        Panel("growth", "Which categories are under-represented and growing?", "growth", growth, _RATINGS),
        Panel("gaps", "Where does the catalogue lack films?", "gaps", gaps, _RATINGS),
    ],
)
