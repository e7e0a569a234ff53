"""Films: genres, titles, quality, popularity and identifiers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from netflix_assets.dev.samples.common import (
    ADJECTIVES,
    NOUNS,
    SAMPLE_IDS_FROM,
    Dice,
    Floats,
    Ints,
    invented_name,
    write_rows,
)
from netflix_assets.dev.samples.movielens.scenario import (
    ANY_TAGS,
    FIRST_DAY,
    GENOME_TAGS,
    GENRE_QUALITY,
    GENRE_TAGS,
    GENRES,
    N_DAYS,
    NO_GENRES,
    TASTES,
    Part,
)

# {n} is the invented name, {a} and {b} are nouns, {j} is an adjective. Articles come last, as in MovieLens.
_TITLE_FORMS = (
    "{a} of {n}", "{a} of {n}, The", "{j} {a} of {n}, The", "{n} and the {a}", "{n}", "Goodbye, {n}",
    "{n} {a}, A", "{n}: {j} {a}", "{n} II: The {a}", "{a}, the {b} and {n}, The", "Dr. {n}'s {j} {a}",
    "{j} {n}", "Return to {n}", "Old {a} from {n}, An", "{n} vs. the {a}", "{n}'s {a}",
)  # fmt: skip
_FOREIGN_FORMS = (
    "Gärten von {n}, Die", "Été à {n}, L'", "{n} (Die Brücke über {n})", "Año en {n}, El (A Year in {n})",
    "Żółta łódź z {n}", "Dağdaki {n}", "{n}の月 (Moon over {n})", "Письма из {n} (Letters from {n})",
    "Ærens vinter i {n}", "{n}, světlo a stín", "{n}·Ω", "Città di {n}, La",
)  # fmt: skip
_AKA_FORMS = (
    "{a} of {n} (a.k.a. {j} {a})", "{n} (a.k.a. {a}, The)", 'Operation "{n}"', '"{n}" Tapes, The',
    "{a} of {n}, The (a.k.a. {n} 2)",
)  # fmt: skip


@dataclass(frozen=True)
class Films:
    """All films, in the order in which they become available, which is also the order of their ids.

    available: days since FIRST_DAY, 0 for older films.
    rank: popularity; 0 is the most popular film.
    quality: stars.
    camp: of a polarised film, 0 or 1 for the tastes that love it (even or odd); -1 for other films.
    affinity: taste x film; the share of the film's genres that are favourites of the taste.
    weights: taste x film; relative probability that the taste watches the film.
    tags: film x 6; indices into GENOME_TAGS.
    """

    ids: Ints
    years: list[int]
    genres: list[list[str]]
    available: Ints
    rank: Ints
    quality: Floats
    camp: Ints
    affinity: Floats
    weights: Ints
    tags: Ints


def make_films(count: int, seed: int) -> Films:
    """Return ``count`` films. 72 % of them are older than the first day."""
    dice = Dice(seed, Part.FILMS)
    old = round(count * 0.72)
    past = dice.uniform(old)
    available = np.concatenate(
        (
            np.zeros(old, dtype=np.int64),
            # The square root gives more films each year.
            np.sort((np.sqrt(dice.uniform(count - old)) * (N_DAYS - 1)).astype(np.int64) + 1),
        )
    )
    years = [FIRST_DAY.year - 1 - int(84.0 * float(u) * float(u)) for u in past]
    years += [(FIRST_DAY + timedelta(days=int(day))).year for day in available[old:]]
    # Most ids have no gap before them; a few have a wide one.
    ids = np.cumsum(1 + np.minimum(0.6 / (1.0 - dice.uniform(count)), 400.0).astype(np.int64))

    genres = [_film_genres(dice) for _ in range(count)]
    affinity = np.array(
        [[sum(g in taste.genres for g in film) / max(1, len(film)) for film in genres] for taste in TASTES]
    )

    rank = dice.shuffled(count)
    # A head that nearly everybody knows, and a tail that falls to nearly zero.
    position = rank.astype(np.float64)
    popularity = (1.02 - position / count) / (position + 1.0 + count / 48)
    loved = affinity * np.sqrt(affinity)
    demand = np.array([_genre_demand(set(film)) for film in genres])
    weights = ((0.12 + 3.0 * loved) * (popularity * demand) * 1e8).astype(np.int64) + 1

    age = np.array([min(max((2005 - year) * 0.006, -0.06), 0.3) for year in years])
    by_genre = np.array([sum(GENRE_QUALITY[g] for g in film) / max(1, len(film)) for film in genres])
    quality = 3.3 + by_genre + age + 0.34 * dice.bell(count) + 0.3 * (0.5 - position / count)
    every = 40
    flops = (rank % every == 12) & (rank < count // 2)
    quality[flops] = 1.9
    polarised = (rank % every == 25) & (rank < count // 2)
    camp = np.where(polarised, (rank // every) % 2, -1)

    tags = np.array([_film_tags(dice, film) for film in genres], dtype=np.int64)
    return Films(ids, years, genres, available, rank, quality, camp, affinity, weights, tags)


def _genre_demand(genres: set[str]) -> float:
    """Return how much a film's genres raise or lower its views: demand exceeds supply above 1."""
    if not genres:
        return 0.4  # hard to find
    if genres & {"Animation", "Children", "Documentary"}:
        return 2.2
    return 0.6 if genres & {"Film-Noir", "Musical", "Romance", "Western"} else 1.0


def _film_genres(dice: Dice) -> list[str]:
    """Return one to four genres in alphabetical order, mostly of one taste; no genre for one film in seventy."""
    u = dice.uniform(3)
    if u[0] < 1 / 70:
        return []
    home = TASTES[dice.pick([taste.films for taste in TASTES])]
    genres = {dice.choose(home.genres)}
    for _ in range(int(u[1] * u[2] * 4.0)):
        genres.add(dice.choose(home.genres if dice.uniform(1)[0] < 0.75 else GENRES))
    return sorted(genres)


def _film_tags(dice: Dice, genres: Sequence[str]) -> list[int]:
    tags = [dice.choose(GENRE_TAGS[dice.choose(genres)] if genres else ANY_TAGS) for _ in range(4)]
    tags += [dice.choose(ANY_TAGS) for _ in range(2)]
    return [GENOME_TAGS.index(tag) for tag in tags]


def write_films(folder: Path, films: Films, seed: int) -> list[str]:
    """Write movies.csv and links.csv and return their names."""
    ids = films.ids.tolist()
    genres = ["|".join(film) or NO_GENRES for film in films.genres]
    titles = _film_titles(films.years, seed)
    dice = Dice(seed, Part.TITLES, 1)
    # Seven digits, eight for newer films: these only look like IMDb ids. The TMDB ids mark the film as synthetic.
    steps = np.cumsum(1 + dice.below(np.full(len(ids), 800))).tolist()
    imdb = [
        f"{step + (10_000_000 if year >= 2019 else 1_000):07d}" for step, year in zip(steps, films.years, strict=True)
    ]
    numbers = (SAMPLE_IDS_FROM + np.cumsum(1 + dice.below(np.full(len(ids), 150)))[dice.shuffled(len(ids))]).tolist()
    missing = (dice.uniform(len(ids)) < 0.02).tolist()
    tmdb = ["" if gone else number for gone, number in zip(missing, numbers, strict=True)]
    movies = zip(ids, titles, genres, strict=True)
    links = zip(ids, imdb, tmdb, strict=True)
    return [
        write_rows(folder / "movies.csv", ("movieId", "title", "genres"), movies),
        write_rows(folder / "links.csv", ("movieId", "imdbId", "tmdbId"), links),
    ]


def _film_titles(years: Sequence[int], seed: int) -> list[str]:
    """Return a different title for each film, with its year in one of MovieLens' forms or without a year."""
    dice = Dice(seed, Part.TITLES, 0)
    titles: dict[str, None] = {}
    for year in years:
        while (title := f"{_title_without_year(dice)}{_year_suffix(dice, year)}") in titles:
            pass
        titles[title] = None
    return list(titles)


def _title_without_year(dice: Dice) -> str:
    forms = (_TITLE_FORMS, _FOREIGN_FORMS, _AKA_FORMS)[dice.pick((88, 8, 4))]
    name = invented_name(dice)
    words = {"n": name, "a": dice.choose(NOUNS), "b": dice.choose(NOUNS), "j": dice.choose(ADJECTIVES)}
    return dice.choose(forms).format(**words)


def _year_suffix(dice: Dice, year: int) -> str:
    form = dice.pick((960, 12, 8, 8, 6))
    if form == 0 or (form > 1 and year >= FIRST_DAY.year):
        return f" ({year})"
    return ("", f" ({year}-{year + 4})", f" ({year}–{year + 1})", f" ({year}-)")[form - 1]  # noqa: RUF001
