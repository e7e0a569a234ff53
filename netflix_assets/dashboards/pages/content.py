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
        Tile(f"{row['n_movies']:,}", plural(row["n_movies"], "MovieLens film")),
        Tile(str(top["genre"].iloc[0]) if len(top) else "–", "most popular genre"),
        Tile(f"{row['n_titles']:,}", plural(row["n_titles"], "Netflix title")),
        Tile(f"{series:,}", f"of them {plural(series, 'is a series', 'are series')}"),
    ]


def popular_genres(frame: pd.DataFrame) -> Drawing:
    """Draw the share of ratings of each genre, with its mean rating as a label and a colour."""
    genres = frame[frame["segment_name"] == ALL_USERS].sort_values("popularity_rank", ignore_index=True)
    overall = (genres["avg_rating"] * genres["n_ratings"]).sum() / max(genres["n_ratings"].sum(), 1)
    genres["stars_above"] = genres["avg_rating"] - overall
    columns = [
        number("popularity_rank", "Rank"),
        Column("genre", "Genre"),
        number("n_ratings", "Ratings"),
        percent("share", "Share of ratings"),
        number("avg_rating", "Mean rating", 2),
        number("stars_above", "Stars above or below all genres", 2, signed=True),
    ]
    order = genres["genre"].tolist()
    title = "mean rating, at the end of the bar: stars above or below all genres"
    steps = theme.ColourSteps(title, (-0.1, 0.1), (theme.RED, theme.GREY, theme.BLUE), "{:+g}")
    bars = (
        theme.base()
        .mark_bar()
        .encode(
            alt.X("share:Q", title="share of ratings", axis=alt.Axis(format="%")),
            alt.Y("genre:N", sort=order, title=None),
            alt.Color("stars_above:Q", legend=None, scale=steps.scale),
            tooltip=tooltips(columns),
        )
    )
    means = bars.mark_text(align="left", dx=4, fontSize=11).encode(
        alt.Text("avg_rating:Q", format=".2f"), color=alt.value(theme.INK)
    )
    top, liked = first_row(genres), max_row(genres, "avg_rating")
    return Drawing(
        sentence(
            "Most popular: {top}, {share:.0%} of ratings and {top_mean:.2f} stars. Best liked: {liked}, {mean:.2f} "
            "stars, number {rank} in popularity.",
            top=top["genre"],
            share=top["share"],
            top_mean=top["avg_rating"],
            liked=liked["genre"],
            mean=liked["avg_rating"],
            rank=liked["popularity_rank"],
        ),
        genres,
        columns,
        alt.layer(bars, means).properties(height=theme.band_height(order, 21)),
        steps=steps,
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
