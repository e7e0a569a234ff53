"""The catalogue panels of the content page: Netflix's titles by genre, type and year, and their actors."""

import altair as alt
import pandas as pd

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import CREDITS, TITLES, Drawing, Panel
from netflix_assets.dashboards.queries import Query, first_row, max_row
from netflix_assets.dashboards.text import sentence

ALL_GENRES = "all"
TYPES = {"MOVIE": "films", "SHOW": "series"}

_TYPE_COLOURS = dict(zip(TYPES.values(), (theme.BLUE, theme.AMBER), strict=True))
_MIN_TITLES = 20  # a genre with fewer titles is not named as the one with most series


def genres(frame: pd.DataFrame) -> Drawing:
    """Draw the titles of each genre, films and series stacked."""
    rows = frame[frame["genre"] != ALL_GENRES].assign(kind=lambda rows: rows["production_type"].map(TYPES))
    rows = rows.sort_values(["genre", "kind"], ignore_index=True)
    total = rows.groupby("genre")["n_titles"].sum().sort_values(ascending=False)
    columns = [
        Column("genre", "Genre"),
        Column("kind", "Type"),
        number("n_titles", "Titles"),
        percent("share_of_genre", "Share of the genre"),
        number("weighted_imdb_score", "IMDb score (by votes)", 2),
    ]
    chart = (
        theme.base()
        .mark_bar()
        .encode(
            alt.X("n_titles:Q", title="titles (each counts in all of its genres)"),
            alt.Y("genre:N", title=None, sort=total.index.tolist()),
            tooltip=tooltips(columns),
        )
        .properties(height=theme.band_height(total.index, 20))
    )
    answer = sentence("Largest genre: {genre}, {titles}.", genre=total.index[0], titles=counted(total.iloc[0], "title"))
    series = rows[(rows["kind"] == "series") & (rows["n_titles"] >= _MIN_TITLES)]
    if len(series):
        answer += sentence(
            " Highest share of series: {genre}, {share_of_genre:.0%}.", **max_row(series, "share_of_genre")
        )
    return Drawing(answer, rows, columns, theme.colour_by(chart, "kind", _TYPE_COLOURS))


def years(frame: pd.DataFrame) -> Drawing:
    """Draw titles by release year, films and series stacked."""
    rows = frame.assign(kind=lambda rows: rows["production_type"].map(TYPES))
    rows = rows.sort_values(["release_year", "kind"], ignore_index=True)
    complete = rows[~rows["is_newest_year"].astype(bool)]
    total = (complete if len(complete) else rows).groupby("release_year")["n_titles"].sum()
    last_year = total.index.max()
    series = rows[(rows["kind"] == "series") & (rows["release_year"] == last_year)]["share_of_year"].dropna()
    columns = [
        Column("release_year", "Year"),
        Column("kind", "Type"),
        number("n_titles", "Titles"),
        percent("share_of_year", "Share of the year"),
        number("weighted_imdb_score", "IMDb score (by votes)", 2),
    ]
    chart = (
        theme.base()
        .mark_area(line=False)
        .encode(
            alt.X(
                "release_year:Q",
                title="year of release",
                axis=alt.Axis(format="d"),
                scale=alt.Scale(nice=False, zero=False),
            ),
            alt.Y("n_titles:Q", title="titles"),
            tooltip=tooltips(columns),
        )
        .properties(height=400)
    )
    return Drawing(
        sentence(
            "Peak year: {year}, {titles}. In {last_year}, {share:.0%} are series. The newest year may be incomplete.",
            year=total.idxmax(),
            titles=counted(total.max(), "title"),
            share=series.iloc[0] if len(series) else 0.0,
            last_year=last_year,
        ),
        rows,
        columns,
        theme.colour_by(chart, "kind", _TYPE_COLOURS),
    )


def actors(frame: pd.DataFrame) -> Drawing:
    """List the actors with the most titles."""
    top = frame.sort_values("actor_rank", ignore_index=True)
    leader, best = first_row(top), max_row(top.assign(score=top["weighted_imdb_score"].fillna(0)), "score")
    return Drawing(
        sentence(
            "Most titles: {leader}, {titles}. Best rated of the {actors} listed: {best}.",
            leader=leader["person_name"],
            titles=leader["n_titles"],
            actors=counted(len(top), "actor"),
            best=best["person_name"],
        ),
        top,
        [
            number("actor_rank", "Rank"),
            Column("person_name", "Actor"),
            Column("n_titles", "Titles", "bar", maximum=float(top["n_titles"].max())),
            number("n_movies", "Films"),
            number("n_shows", "Series"),
            number("weighted_imdb_score", "IMDb score (by votes)", 2),
            Column("most_voted_title", "Best-known title"),
        ],
    )


QUERIES = {
    "mix": Query(
        "mart_content_mix",
        ("genre", "production_type", "n_titles", "share_of_genre", "weighted_imdb_score"),
    ),
    "years": Query(
        "mart_content_by_year",
        ("release_year", "production_type", "n_titles", "share_of_year", "is_newest_year", "weighted_imdb_score"),
    ),
    "actors": Query(
        "mart_top_actors",
        (
            "actor_rank", "person_name", "n_titles", "n_movies", "n_shows", "weighted_imdb_score", "most_voted_title",
        ),
        where="is_charted",
    ),
}  # fmt: skip

PANELS = [
    Panel("content-mix", "Netflix's catalogue by genre", "mix", genres, TITLES, 6),
    Panel("production", "Netflix's catalogue by release year", "years", years, TITLES, 6),
    Panel("actors", "Actors with the most titles", "actors", actors, CREDITS),
]
