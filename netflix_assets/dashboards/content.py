"""Content: what is watched and liked, what splits its audience, and what Netflix' catalogue is made of."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.dashboards import look
from netflix_assets.dashboards.page import OVERVIEW, Column, Drawing, Frames, Page, Panel, Tile, number, percent, said
from netflix_assets.dashboards.queries import Query, first, greatest

EVERYBODY = "all"
STARS = ("0.5", "1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0", "4.5", "5.0")
KINDS = ("seen by many, liked by few", "splits its audience", "other")
TYPES = {"MOVIE": "films", "SHOW": "series"}

_RATINGS, _TITLES, _CREDITS = "movielens/ratings", "netflix/titles", "netflix/credits"
_UNDATED = "None of these films is in the seed of release dates."
_STRIPS = 15
# Up to 2 stars, and from 4 on: the two sides that polarization counts.
_LOW3, _LOW2, _LOW1, _EVEN, _HIGH1, _HIGH2, _HIGH3 = look.DIVERGING
_STAR_SHADES = [_LOW3, _LOW2, _LOW2, _LOW1, _EVEN, _EVEN, _EVEN, _HIGH1, _HIGH2, _HIGH3]
_COUNTS = {stars: f"n_{stars.replace('.', '_')}" for stars in STARS}


def film_names(films: pd.DataFrame, prefix: str = "") -> list[str]:
    """What films are called: title and year, or the number where movies.csv does not name one.

    ``prefix`` of the three columns that say so: title, release_year and movie_id.
    """
    named = films[[f"{prefix}title", f"{prefix}release_year", f"{prefix}movie_id"]]
    return [_film_name(*each) for each in named.itertuples(index=False, name=None)]


def _film_name(title: str | None, year: float | None, movie_id: int) -> str:
    if not title:
        return f"film {movie_id}"
    return title if year is None or pd.isna(year) else f"{title} ({year:.0f})"


def tiles(frames: Frames) -> Sequence[Tile]:
    """What there is to watch."""
    row, genres, mix = first(frames["overview"]), frames["genres"], frames["mix"]
    top = genres[(genres["segment_name"] == EVERYBODY) & (genres["popularity_rank"] == 1)] if len(genres) else genres
    shows = (
        mix.loc[(mix["genre"] == EVERYBODY) & (mix["production_type"] == "SHOW"), "n_titles"].sum() if len(mix) else 0
    )
    return [
        Tile(f"{row['n_movies']:,}", "films to rate"),
        Tile(str(top["genre"].iloc[0]) if len(top) else "–", "is watched most"),
        Tile(f"{row['n_titles']:,}", "titles in Netflix' catalogue"),
        Tile(f"{shows:,}", "of them series"),
    ]


def popular_genres(frame: pd.DataFrame) -> Drawing:
    """Ratings of each genre as bars, its mean as a dot."""
    genres = frame[frame["segment_name"] == EVERYBODY].sort_values("popularity_rank", ignore_index=True)
    top, liked = first(genres), greatest(genres, "avg_rating")
    order = genres["genre"].tolist()
    tips = look.tooltip(
        ("genre:N", "genre"),
        ("n_ratings:Q", "ratings", ","),
        ("share:Q", "share", ".1%"),
        ("avg_rating:Q", "mean rating", ".2f"),
    )
    name = alt.Y("genre:N", sort=order, title=None)
    bars = (
        look.base()
        .mark_bar(color=look.BLUE)
        .encode(
            alt.X("share:Q", title="share of ratings (bars)", axis=alt.Axis(format="%", orient="bottom")),
            name,
            tooltip=tips,
        )
    )
    dots = (
        look.base()
        .mark_point(color=look.RED, size=60, opacity=1)
        .encode(
            alt.X(
                "avg_rating:Q",
                title="mean rating (dots)",
                scale=alt.Scale(zero=False, padding=12),
                axis=alt.Axis(orient="top", grid=False, tickCount=5),
            ),
            name,
            tooltip=tips,
        )
    )
    return Drawing(
        said(
            "{first} is watched most, with {share} of the ratings; {liked} is liked best, at {mean} stars.",
            first=top["genre"],
            share=f"{top['share']:.0%}",
            liked=liked["genre"],
            mean=f"{liked['avg_rating']:.2f}",
        ),
        genres,
        [
            number("popularity_rank", "#"),
            Column("genre", "Genre"),
            number("n_ratings", "Ratings"),
            percent("share", "Share"),
            number("avg_rating", "Mean rating", 2),
        ],
        alt.layer(bars, dots).resolve_scale(x="independent").properties(height=look.bands(order, 21)),
    )


def over_index(frame: pd.DataFrame) -> Drawing:
    """What each segment watches more, or less, than all users do."""
    cells = frame[(frame["segment_name"] != EVERYBODY) & frame["over_index"].notna()]
    cells = cells.sort_values(["segment_name", "genre"], ignore_index=True)
    if cells.empty:
        return Drawing(said("No {what} yet: users have rated too little.", what="segments"), cells, [])
    top = greatest(cells, "over_index")
    steps = look.around("× as popular as among all", (0.5, 0.7, 0.9, 1.1, 1.5, 2))
    chart = (
        look.base()
        .mark_rect(cornerRadius=2)
        .encode(
            alt.X("segment_name:N", title=None, axis=look.slanted()),
            alt.Y("genre:N", title=None, axis=alt.Axis(domain=False, ticks=False)),
            alt.Color("over_index:Q", legend=None, scale=steps.scale),
            tooltip=look.tooltip(
                ("segment_name:N", "segment"),
                ("genre:N", "genre"),
                ("over_index:Q", "× all", ".2f"),
                ("share:Q", "share", ".1%"),
                ("n_ratings:Q", "ratings", ","),
            ),
        )
        .properties(height=look.bands(cells["genre"], 18))
    )
    return Drawing(
        said(
            "{genre} is {times} times as popular in {segment} as among all users.",
            genre=top["genre"],
            times=f"{top['over_index']:.1f}",
            segment=top["segment_name"],
        ),
        cells,
        [
            Column("segment_name", "Segment"),
            Column("genre", "Genre"),
            number("over_index", "× all users", 2),
            percent("share", "Share"),
            number("n_ratings", "Ratings"),
            number("avg_rating", "Mean rating", 2),
        ],
        chart,
        steps=steps,
    )


def _polarised(frame: pd.DataFrame) -> pd.DataFrame:
    """The films that split opinion most, a row for each of the ten ratings."""
    top = frame[frame["polarization_rank"].notna()].sort_values("polarization_rank").head(_STRIPS)
    top = top.assign(film=film_names(top))
    rows = top.melt(
        ["polarization_rank", "film", "polarization_score", "n_ratings"], list(_COUNTS.values()), "n", "ratings"
    )
    rows["stars"] = rows["n"].map({column: stars for stars, column in _COUNTS.items()})
    rows["share"] = rows["ratings"] / rows["n_ratings"]
    return rows.sort_values(["polarization_rank", "stars"], ignore_index=True).drop(columns="n")


_POLARISED_COLUMNS = [
    Column("film", "Film"),
    Column("stars", "Stars"),
    number("ratings", "Ratings"),
    percent("share", "Share"),
    number("polarization_score", "Polarization", 2),
]


def polarised(frame: pd.DataFrame) -> Drawing:
    """The ratings of the films that split opinion most, from half a star to five."""
    rows = _polarised(frame)
    if rows.empty:
        return Drawing(said("No film with enough ratings {what}.", what="splits its audience"), rows, [])
    top = first(rows)
    chart = (
        look.base()
        .mark_bar(cornerRadiusEnd=0)
        .encode(
            alt.X("ratings:Q", stack="normalize", title="share of ratings", axis=alt.Axis(format="%")),
            alt.Y("film:N", title=None, sort=list(dict.fromkeys(rows["film"]))),
            alt.Color(
                "stars:O",
                title="stars",
                legend=alt.Legend(columns=5),
                scale=look.colours(STARS, _STAR_SHADES),
            ),
            alt.Order("stars:O"),
            tooltip=look.tooltip(
                ("film:N", "film"),
                ("stars:O", "stars"),
                ("ratings:Q", "ratings", ","),
                ("share:Q", "share", ".0%"),
            ),
        )
        .properties(height=look.bands(rows["film"], 24))
    )
    return Drawing(
        said(
            "{film} splits its audience most: some love what the others cannot stand (polarization {score}, where 1 is "
            "half and half).",
            film=top["film"],
            score=f"{top['polarization_score']:.2f}",
        ),
        rows,
        _POLARISED_COLUMNS,
        chart,
    )


def distribution(frame: pd.DataFrame) -> Drawing:
    """The histogram of one of these films."""
    rows = _polarised(frame)
    if rows.empty:
        return polarised(frame)
    chart = (
        look.base()
        .mark_bar(color=look.BLUE)
        .encode(
            alt.X("stars:O", title="stars", axis=alt.Axis(labelAngle=0)),
            alt.Y("ratings:Q", title="ratings"),
            tooltip=look.tooltip(("stars:O", "stars"), ("ratings:Q", "ratings", ","), ("share:Q", "share", ".0%")),
        )
        .properties(height=300)
    )
    return Drawing(
        said("Pick one of the {count} most divided films.", count=rows["film"].nunique()),
        rows,
        _POLARISED_COLUMNS,
        chart,
        pick="film",
    )


def engagement(frame: pd.DataFrame) -> Drawing:
    """Films by how many rate them and how they are judged."""
    films = frame.sort_values("movie_id", ignore_index=True)
    films["film"] = film_names(films)
    films["kind"] = [
        KINDS[0] if each.is_high_engagement_low_rating else KINDS[1] if each.is_polarized else KINDS[2]
        for each in films.itertuples()
    ]
    disappointing = films[films["kind"] == KINDS[0]]
    picked = look.legend_filter("kind")
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
            alt.Y("avg_rating:Q", title="mean rating", scale=alt.Scale(domain=[0.5, 5])),
            alt.Color(
                "kind:N",
                title=None,
                scale=look.colours(KINDS, [look.RED, look.AMBER, look.GREY]),
            ),
            opacity=look.faded(picked, 0.75),
            tooltip=look.tooltip(
                ("film:N", "film"),
                ("genres:N", "genres"),
                ("n_ratings:Q", "ratings", ","),
                ("avg_rating:Q", "mean", ".2f"),
                ("polarization_score:Q", "polarization", ".2f"),
            ),
        )
        .properties(height=380)
        .add_params(picked)
    )
    if disappointing.empty:
        answer = said("No film of the most rated tenth is {what}.", what="liked by few")
    else:
        worst = greatest(disappointing, "n_ratings")
        answer = said(
            "Of the most rated tenth, {film} is the best known that averages three stars or less: {ratings} ratings, "
            "{mean} stars. {count} like it are drawn, and of the others a sample of all volumes.",
            film=worst["film"],
            ratings=f"{worst['n_ratings']:,}",
            mean=f"{worst['avg_rating']:.2f}",
            count=f"{len(disappointing):,}",
        )
    return Drawing(
        answer,
        films,
        [
            Column("film", "Film"),
            Column("genres", "Genres"),
            number("n_ratings", "Ratings"),
            number("avg_rating", "Mean rating", 2),
            number("polarization_score", "Polarization", 2),
            Column("kind", "Kind"),
        ],
        chart,
    )


def releases(frame: pd.DataFrame) -> Drawing:
    """The films whose release is known, the latest first, and what is said about them."""
    films = frame.sort_values("release_date", ascending=False, ignore_index=True)
    films["film"] = film_names(films)
    newest = first(films)
    has_genome = films["top_genome_tags"].notna().any()
    columns = [
        Column("film", "Film"),
        Column("release_date", "Released"),
        Column("distributor", "Distributor"),
        number("n_ratings", "Ratings"),
        number("avg_rating", "Mean", 2),
        Column("top_tags", "Tags of users"),
        *([Column("top_genome_tags", "Tags of the genome")] if has_genome else []),
    ]
    genome = (
        "" if has_genome else said(" Tags are those of users: this release of MovieLens has {no}.", no="no tag genome")
    )
    return Drawing(
        said(
            "Of {count} films the date of release is known; the latest is {film}.",
            count=len(films),
            film=newest["film"],
        )
        + genome,
        films,
        columns,
    )


def content_mix(frame: pd.DataFrame) -> Drawing:
    """The catalogue's genres, films and series side by side."""
    genres = frame[frame["genre"] != EVERYBODY].assign(kind=lambda rows: rows["production_type"].map(TYPES))
    genres = genres.sort_values(["genre", "kind"], ignore_index=True)
    total = genres.groupby("genre")["n_titles"].sum().sort_values(ascending=False)
    shows = genres[(genres["kind"] == "series") & (genres["n_titles"] >= 20)]
    picked = look.legend_filter("kind")
    chart = (
        look.base()
        .mark_bar()
        .encode(
            alt.X("n_titles:Q", title="titles, in each of their genres"),
            alt.Y("genre:N", title=None, sort=total.index.tolist()),
            alt.Color("kind:N", title=None, scale=look.colours(list(TYPES.values()), [look.BLUE, look.AMBER])),
            opacity=look.faded(picked),
            tooltip=look.tooltip(
                ("genre:N", "genre"),
                ("kind:N", "type"),
                ("n_titles:Q", "titles", ","),
                ("share_of_genre:Q", "of the genre", ".0%"),
                ("weighted_imdb_score:Q", "IMDb, by votes", ".2f"),
            ),
        )
        .properties(height=look.bands(total.index, 20))
        .add_params(picked)
    )
    most = said(
        "{genre} is the largest genre of the catalogue, with {titles} titles.",
        genre=total.index[0],
        titles=f"{total.iloc[0]:,}",
    )
    if len(shows):
        top = greatest(shows, "share_of_genre")
        most += said(
            " Series make up most of {genre}: {share}.", genre=top["genre"], share=f"{top['share_of_genre']:.0%}"
        )
    return Drawing(
        most,
        genres,
        [
            Column("genre", "Genre"),
            Column("kind", "Type"),
            number("n_titles", "Titles"),
            percent("share_of_genre", "Share of the genre"),
            number("weighted_imdb_score", "IMDb, by votes", 2),
        ],
        chart,
    )


def production(frame: pd.DataFrame) -> Drawing:
    """Titles by year of release, films and series stacked."""
    years = frame.assign(kind=lambda rows: rows["production_type"].map(TYPES))
    years = years.sort_values(["release_year", "kind"], ignore_index=True)
    whole = years[~years["is_newest_year"].astype(bool)]
    total = (whole if len(whole) else years).groupby("release_year")["n_titles"].sum()
    series = years[(years["kind"] == "series") & (years["release_year"] == total.index.max())]
    share = series["share_of_year"].iloc[0] if len(series) and pd.notna(series["share_of_year"].iloc[0]) else 0.0
    picked = look.legend_filter("kind")
    chart = (
        look.base()
        .mark_area(line=False)
        .encode(
            alt.X(
                "release_year:Q",
                title="year of release",
                axis=alt.Axis(format="d"),
                scale=alt.Scale(nice=False, zero=False),
            ),
            alt.Y("n_titles:Q", title="titles"),
            alt.Color("kind:N", title=None, scale=look.colours(list(TYPES.values()), [look.BLUE, look.AMBER])),
            opacity=look.faded(picked),
            tooltip=look.tooltip(
                ("release_year:Q", "year", "d"),
                ("kind:N", "type"),
                ("n_titles:Q", "titles", ","),
                ("share_of_year:Q", "of the year", ".0%"),
                ("weighted_imdb_score:Q", "IMDb, by votes", ".2f"),
            ),
        )
        .properties(height=400)
        .add_params(picked)
    )
    return Drawing(
        said(
            "Most titles are of {year} ({titles}); of {last}, {share} are series. The newest year may not be over.",
            year=total.idxmax(),
            titles=f"{total.max():,}",
            last=total.index.max(),
            share=f"{share:.0%}",
        ),
        years,
        [
            Column("release_year", "Year"),
            Column("kind", "Type"),
            number("n_titles", "Titles"),
            percent("share_of_year", "Share of the year"),
            number("weighted_imdb_score", "IMDb, by votes", 2),
        ],
        chart,
    )


def actors(frame: pd.DataFrame) -> Drawing:
    """The actors who are in most titles."""
    top = frame.sort_values("actor_rank", ignore_index=True)
    leader, best = first(top), greatest(top.assign(score=top["weighted_imdb_score"].fillna(0)), "score")
    return Drawing(
        said(
            "{first} is in {titles} titles, more than anybody. Of these {count}, the titles of {best} are judged best.",
            first=leader["person_name"],
            titles=leader["n_titles"],
            count=len(top),
            best=best["person_name"],
        ),
        top,
        [
            number("actor_rank", "#"),
            Column("person_name", "Actor"),
            Column("n_titles", "Titles", "bar", most=float(top["n_titles"].max())),
            number("n_movies", "Films"),
            number("n_shows", "Series"),
            number("weighted_imdb_score", "IMDb, by votes", 2),
            Column("most_voted_title", "Best known title"),
        ],
    )


PAGE = Page(
    name="content",
    title="Content",
    lead="What is watched and liked, what splits its audience, and what Netflix' catalogue is made of.",
    queries={
        "overview": OVERVIEW,
        "genres": Query(
            "mart_genre_popularity",
            ("segment_name", "genre", "n_ratings", "avg_rating", "share", "popularity_rank", "over_index"),
        ),
        "films": Query(
            "mart_movie_ratings",
            (
                "movie_id",
                "title",
                "release_year",
                "genres",
                "n_ratings",
                *_COUNTS.values(),
                "avg_rating",
                "polarization_score",
                "polarization_rank",
                "is_polarized",
                "is_high_engagement_low_rating",
            ),
            only="is_charted",
        ),
        "releases": Query(
            "mart_movie_releases",
            (
                "movie_id",
                "title",
                "release_year",
                "release_date",
                "distributor",
                "n_ratings",
                "avg_rating",
                "top_tags",
                "top_genome_tags",
            ),
            only="has_release_date",
        ),
        "mix": Query(
            "mart_content_mix",
            ("genre", "production_type", "n_titles", "share_of_genre", "weighted_imdb_score"),
        ),
        "years": Query(
            "mart_content_by_year",
            (
                "release_year",
                "production_type",
                "n_titles",
                "share_of_year",
                "is_newest_year",
                "weighted_imdb_score",
            ),
        ),
        "actors": Query(
            "mart_top_actors",
            (
                "actor_rank",
                "person_name",
                "n_titles",
                "n_movies",
                "n_shows",
                "weighted_imdb_score",
                "most_voted_title",
            ),
            only="is_charted",
        ),
    },
    tiles=tiles,
    panels=[
        Panel(
            "popular-genres",
            "Which genres are popular, and are they the best liked?",
            "genres",
            popular_genres,
            _RATINGS,
            span=6,
        ),
        Panel("over-index", "What does each segment watch more than others?", "genres", over_index, _RATINGS, span=6),
        Panel("polarised", "Which films split their audience?", "films", polarised, _RATINGS, span=7),
        Panel(
            "distribution", "How are the ratings of such a film distributed?", "films", distribution, _RATINGS, span=5
        ),
        Panel("engagement", "Which films do many rate and few like?", "films", engagement, _RATINGS),
        Panel("releases", "How were known releases received?", "releases", releases, _RATINGS, otherwise=_UNDATED),
        Panel("content-mix", "What is the catalogue made of?", "mix", content_mix, _TITLES, span=6),
        Panel("production", "How does production develop over time?", "years", production, _TITLES, span=6),
        Panel(
            "actors",
            "Which actors are in most titles?",
            "actors",
            actors,
            _CREDITS,
        ),
    ],
)
