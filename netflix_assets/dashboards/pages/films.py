"""The film panels of the content page: divisive films, popular but poorly rated films, releases."""

import altair as alt
import pandas as pd

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import RATINGS, Drawing, Panel
from netflix_assets.dashboards.queries import Query, first_row, max_row
from netflix_assets.dashboards.text import plural, sentence

STARS = ("0.5", "1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0", "4.5", "5.0")
DISAPPOINTING, DIVISIVE, OTHER = "popular but poorly rated", "divisive", "other"
KINDS = {DISAPPOINTING: theme.RED, DIVISIVE: theme.AMBER, OTHER: theme.GREY}

_DIVISIVE_LISTED = 15
_COUNT_COLUMNS = {f"n_{stars.replace('.', '_')}": stars for stars in STARS}
# The polarization score counts ratings up to 2 stars against those from 4 stars.
_STAR_SHADES = [theme.DIVERGING[step] for step in (0, 1, 1, 2, 3, 3, 3, 4, 5, 6)]
_DIVISIVE_COLUMNS = [
    Column("film", "Film"),
    Column("stars", "Stars"),
    number("ratings", "Ratings"),
    percent("share", "Share"),
    number("polarization_score", "Polarization", 2),
]


def film_names(films: pd.DataFrame, prefix: str = "") -> list[str]:
    """Return "title (year)" for each film, or "film <number>" if movies.csv does not name it.

    ``prefix`` is that of the columns title, release_year and movie_id.
    """
    named = films[[f"{prefix}title", f"{prefix}release_year", f"{prefix}movie_id"]]
    return [_film_name(*row) for row in named.itertuples(index=False, name=None)]


def _film_name(title: str | None, year: float | None, movie_id: int) -> str:
    if not title:
        return f"film {movie_id}"
    return title if year is None or pd.isna(year) else f"{title} ({year:.0f})"


def _divisive_films(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the most divisive films, with one row per film and number of stars."""
    top = frame[frame["polarization_rank"].notna()].sort_values("polarization_rank").head(_DIVISIVE_LISTED)
    top = top.assign(film=film_names(top))
    kept = ["polarization_rank", "film", "polarization_score", "n_ratings"]
    rows = top.melt(kept, list(_COUNT_COLUMNS), "stars", "ratings")
    rows["stars"] = rows["stars"].map(_COUNT_COLUMNS)
    rows["share"] = rows["ratings"] / rows["n_ratings"]
    return rows.sort_values(["polarization_rank", "stars"], ignore_index=True)


def _no_divisive_film(rows: pd.DataFrame) -> Drawing:
    return Drawing(sentence("No film with enough ratings divides its audience."), rows)


def divisive(frame: pd.DataFrame) -> Drawing:
    """Draw the shares of stars of the most divisive films."""
    rows = _divisive_films(frame)
    if rows.empty:
        return _no_divisive_film(rows)
    chart = (
        theme.base()
        .mark_bar(cornerRadiusEnd=0)
        .encode(
            alt.X("ratings:Q", stack="normalize", title="share of ratings", axis=alt.Axis(format="%")),
            alt.Y("film:N", title=None, sort=list(dict.fromkeys(rows["film"]))),
            alt.Color(
                "stars:O",
                title="stars",
                legend=alt.Legend(columns=5),
                scale=alt.Scale(domain=list(STARS), range=_STAR_SHADES),
            ),
            alt.Order("stars:O"),
            tooltip=tooltips(_DIVISIVE_COLUMNS),
        )
    )
    return Drawing(
        sentence(
            "Most divisive: {film}, polarization {polarization_score:.2f}. A film scores 1 if half of its ratings are "
            "low (up to 2 stars) and half high (4 or more).",
            **first_row(rows),
        ),
        rows,
        _DIVISIVE_COLUMNS,
        chart.properties(height=theme.band_height(rows["film"], 24)),
    )


def distribution(frame: pd.DataFrame) -> Drawing:
    """Draw the histogram of one of the most divisive films."""
    rows = _divisive_films(frame)
    if rows.empty:
        return _no_divisive_film(rows)
    chart = (
        theme.base()
        .mark_bar(color=theme.BLUE)
        .encode(
            alt.X("stars:O", title="stars", axis=alt.Axis(labelAngle=0)),
            alt.Y("ratings:Q", title="ratings"),
            tooltip=tooltips(_DIVISIVE_COLUMNS[1:4]),
        )
    )
    return Drawing(
        sentence("Choose from {films}.", films=counted(rows["film"].nunique(), "divisive film")),
        rows,
        _DIVISIVE_COLUMNS,
        chart.properties(height=300),
        pick="film",
    )


def engagement(frame: pd.DataFrame) -> Drawing:
    """Draw films by number of ratings and mean rating."""
    films = frame.sort_values("movie_id", ignore_index=True)
    films["film"] = film_names(films)
    films["kind"] = [
        DISAPPOINTING if film.is_high_engagement_low_rating else DIVISIVE if film.is_polarized else OTHER
        for film in films.itertuples()
    ]
    columns = [
        Column("film", "Film"),
        Column("genres", "Genres"),
        number("n_ratings", "Ratings"),
        number("avg_rating", "Mean rating", 2),
        number("polarization_score", "Polarization", 2),
        Column("kind", "Kind"),
    ]
    chart = (
        theme.base()
        .mark_point()
        .encode(
            theme.ratings_axis(),
            alt.Y("avg_rating:Q", title="mean rating", scale=alt.Scale(domain=[0.5, 5])),
            tooltip=tooltips(columns),
        )
    )
    disappointing = films[films["kind"] == DISAPPOINTING]
    answer = sentence("No film in the most-rated tenth averages three stars or less.")
    if len(disappointing):
        top = max_row(disappointing, "n_ratings")
        answer = sentence(
            "Most-rated film averaging three stars or less: {film}, {mean:.2f} stars from {ratings}. The chart shows "
            "{shown} of this kind from the most-rated tenth, and a sample of other films.",
            film=top["film"],
            ratings=counted(top["n_ratings"], "rating"),
            mean=top["avg_rating"],
            shown=counted(len(disappointing), "film"),
        )
    return Drawing(answer, films, columns, theme.colour_by(chart.properties(height=380), "kind", KINDS, opacity=0.75))


def releases(frame: pd.DataFrame) -> Drawing:
    """List the films with a known release date, latest first, with their ratings and tags."""
    films = frame.sort_values("release_date", ascending=False, ignore_index=True)
    films["film"] = film_names(films)
    answer = sentence(
        "{films} {have} a known release date. Latest: {latest}.",
        films=counted(len(films), "film"),
        have=plural(len(films), "has", "have"),
        latest=films["film"].iloc[0],
    )
    columns = [
        Column("film", "Film"),
        Column("release_date", "Released"),
        Column("distributor", "Distributor"),
        number("n_ratings", "Ratings"),
        number("avg_rating", "Mean rating", 2),
        Column("top_tags", "User tags"),
    ]
    if films["top_genome_tags"].notna().any():
        columns.append(Column("top_genome_tags", "Genome tags"))
    else:
        answer += sentence(" Tags come from users: this MovieLens release has no tag genome.")
    return Drawing(answer, films, columns)


QUERIES = {
    "films": Query(
        "mart_movie_ratings",
        (
            "movie_id", "title", "release_year", "genres", "n_ratings", *_COUNT_COLUMNS, "avg_rating",
            "polarization_score", "polarization_rank", "is_polarized", "is_high_engagement_low_rating",
        ),
        where="is_charted",
    ),
    "releases": Query(
        "mart_movie_releases",
        (
            "movie_id", "title", "release_year", "release_date", "distributor", "n_ratings", "avg_rating", "top_tags",
            "top_genome_tags",
        ),
        where="has_release_date",
    ),
}  # fmt: skip

_NO_RELEASE_DATE = "No film has a release date in seed_movie_release_dates."

PANELS = [
    Panel("polarised", "Most divisive films", "films", divisive, RATINGS, 7),
    Panel("distribution", "Rating distribution of a divisive film", "films", distribution, RATINGS, 5),
    Panel("engagement", "Popular but poorly rated", "films", engagement, RATINGS),
    Panel("releases", "Films with a known release date", "releases", releases, RATINGS, empty_text=_NO_RELEASE_DATE),
]
