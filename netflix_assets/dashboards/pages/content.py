"""Content: popular genres, divisive films and the make-up of Netflix's catalogue."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import OVERVIEW, RATINGS, Drawing, Frames, Page, Panel, Tile
from netflix_assets.dashboards.pages import catalogue, films
from netflix_assets.dashboards.queries import Query, first_row, max_row
from netflix_assets.dashboards.text import plural, sentence

ALL_USERS = "all"


def tiles(frames: Frames) -> Sequence[Tile]:
    """Return the number of films and titles, and the most popular genre."""
    row, genres, mix = first_row(frames["overview"]), frames["genres"], frames["mix"]
    top = genres[(genres["segment_name"] == ALL_USERS) & (genres["popularity_rank"] == 1)] if len(genres) else genres
    is_series = (mix["genre"] == catalogue.ALL_GENRES) & (mix["production_type"] == "SHOW")
    series = mix.loc[is_series, "n_titles"].sum() if len(mix) else 0
    return [
        Tile(f"{row['n_movies']:,}", f"{plural(row['n_movies'], 'film')} to rate"),
        Tile(str(top["genre"].iloc[0]) if len(top) else "–", "most popular genre"),
        Tile(f"{row['n_titles']:,}", plural(row["n_titles"], "Netflix title")),
        Tile(f"{series:,}", f"of them {plural(series, 'is a series', 'are series')}"),
    ]


def popular_genres(frame: pd.DataFrame) -> Drawing:
    """Draw the share of ratings of each genre as bars and its mean rating as dots."""
    genres = frame[frame["segment_name"] == ALL_USERS].sort_values("popularity_rank", ignore_index=True)
    columns = [
        number("popularity_rank", "Rank"),
        Column("genre", "Genre"),
        number("n_ratings", "Ratings"),
        percent("share", "Share of ratings"),
        number("avg_rating", "Mean rating", 2),
    ]
    order = genres["genre"].tolist()
    name = alt.Y("genre:N", sort=order, title=None)
    bars = (
        theme.base()
        .mark_bar(color=theme.BLUE)
        .encode(
            alt.X("share:Q", title="share of ratings (bars)", axis=alt.Axis(format="%", orient="bottom")),
            name,
            tooltip=tooltips(columns),
        )
    )
    dots = (
        theme.base()
        .mark_point(color=theme.RED, size=60, opacity=1)
        .encode(
            alt.X(
                "avg_rating:Q",
                title="mean rating (dots)",
                scale=alt.Scale(zero=False, padding=12),
                axis=alt.Axis(orient="top", grid=False, tickCount=5),
            ),
            name,
            tooltip=tooltips(columns),
        )
    )
    top, liked = first_row(genres), max_row(genres, "avg_rating")
    return Drawing(
        sentence(
            "Most popular: {top}, {share:.0%} of ratings. Best liked: {liked}, {mean:.2f} stars.",
            top=top["genre"],
            share=top["share"],
            liked=liked["genre"],
            mean=liked["avg_rating"],
        ),
        genres,
        columns,
        alt.layer(bars, dots).resolve_scale(x="independent").properties(height=theme.band_height(order, 21)),
    )


def segment_genres(frame: pd.DataFrame) -> Drawing:
    """Draw each segment's genres against their popularity among all users."""
    cells = frame[(frame["segment_name"] != ALL_USERS) & frame["over_index"].notna()]
    cells = cells.sort_values(["segment_name", "genre"], ignore_index=True)
    if cells.empty:
        return Drawing(sentence("No segments yet: users have too few ratings."), cells)
    columns = [
        Column("segment_name", "Segment"),
        Column("genre", "Genre"),
        number("over_index", "× all users", 2),
        percent("share", "Share of ratings"),
        number("n_ratings", "Ratings"),
        number("avg_rating", "Mean rating", 2),
    ]
    steps = theme.diverging("× popularity among all users", (0.5, 0.7, 0.9, 1.1, 1.5, 2))
    return Drawing(
        sentence(
            "Strongest preference: {genre} is {over_index:.1f} times as popular in {segment_name} as among all users.",
            **max_row(cells, "over_index"),
        ),
        cells,
        columns,
        theme.heatmap(
            "segment_name:N",
            "genre:N",
            "over_index",
            steps,
            columns,
            height=theme.band_height(cells["genre"], 18),
            has_long_names=True,
        ),
        steps=steps,
    )


PAGE = Page(
    name="content",
    title="Content",
    lead="Popular genres, divisive films and the make-up of Netflix's catalogue.",
    queries={
        "overview": OVERVIEW,
        "genres": Query(
            "mart_genre_popularity",
            ("segment_name", "genre", "n_ratings", "avg_rating", "share", "popularity_rank", "over_index"),
        ),
        **films.QUERIES,
        **catalogue.QUERIES,
    },
    tiles=tiles,
    panels=[
        Panel("popular-genres", "Are popular genres also the best liked?", "genres", popular_genres, RATINGS, 6),
        Panel("over-index", "Which genres does each segment prefer?", "genres", segment_genres, RATINGS, 6),
        *films.PANELS,
        *catalogue.PANELS,
    ],
)
