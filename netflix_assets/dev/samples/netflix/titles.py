"""Titles: films and series with their genres, countries, scores and votes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from netflix_assets.dev.samples.common import ADJECTIVES, NOUNS, SAMPLE_IDS_FROM, Dice, Ints, invented_name
from netflix_assets.dev.samples.netflix.scenario import (
    EUROPEAN,
    EUROPEAN_COUNTRIES,
    FIRST_NAMES,
    FIRST_YEAR,
    GENRES,
    INDUSTRIES,
    LAST_YEAR,
    Part,
)

_UNKNOWN_COUNTRY = "XX"
_QUALITY = {genre.name: genre.quality for genre in GENRES}
_CERTIFICATIONS = {
    "MOVIE": (("", 63), ("R", 14), ("PG-13", 12), ("PG", 7), ("G", 3), ("NC-17", 1)),
    "SHOW": (("", 12), ("TV-MA", 42), ("TV-14", 22), ("TV-PG", 9), ("TV-Y7", 6), ("TV-Y", 5), ("TV-G", 4)),
}
_TITLE_FORMS = (
    "The {a} of {n}", "The {j} {a}", "{n} and the {a}", "{n}", "Goodbye, {n}", "{n}: {j} {a}", "{j} {n}", "{n}'s {a}",
    "Return to {n}", "The {a}, the {b} and {n}", "A {a} from {n}", "My {j} {n}", "{n} 2", "#{n}", 'Operation "{n}"',
    "Gärten von {n}", "L'été à {n}", "Año en {n}", "Żółta łódź z {n}", "{n}の月", "Письма из {n}", "{n}, světlo a stín",
)  # fmt: skip
_SENTENCES = (
    "When {n} loses the {j} {a}, an old {b} returns and nothing stays as it was.",
    "A {j} {a}, a {b} and a promise lead {f} from {n} to the end of the world.",
    'In {n}, where everybody knows the "{a}", {f} is the only one who asks why.',
    "{f} has one night to bring the {a} to {n}; the {b} is faster.",
    "This series follows the people of {n}, their {a} and a {j} secret.",
    "A stand-up evening about the {a}, the {b} and being from {n}.",
    'They called it "the {j} {a}". Forty years later, {f} tells the truth.',
    "Between {n} and the sea, a {b} learns that the {a}'s silence has a price.",
)
TITLE_COLUMNS = (
    "id", "title", "type", "description", "release_year", "age_certification", "runtime", "genres",
    "production_countries", "seasons", "imdb_id", "imdb_score", "imdb_votes", "tmdb_popularity", "tmdb_score",
)  # fmt: skip


@dataclass(frozen=True)
class Titles:
    """All titles by release year. ``industry`` is an index into INDUSTRIES, a title's ``genres`` may be empty."""

    ids: list[str]
    years: list[int]
    is_show: list[bool]
    industry: Ints
    genres: list[list[str]]


def make_titles(count: int, seed: int) -> Titles:
    """Return ``count`` titles."""
    dice = Dice(seed, Part.SOURCE, Part.TITLES)
    # Weight of a year: few old titles, growth until six years before the end, and a last year that is half over.
    span = np.arange(LAST_YEAR - FIRST_YEAR + 1).astype(np.float64)
    late = np.maximum(0.0, np.minimum(span - (LAST_YEAR - 6 - FIRST_YEAR) + 14.0, 14.0))
    weight = 1.0 + span * 0.04 + late * late * late * 0.12
    weight[-1] *= 0.5
    until = np.cumsum((weight * 1_000.0).astype(np.int64))
    years = np.sort(np.searchsorted(until, dice.below(np.full(count, until[-1])), side="right")) + FIRST_YEAR
    # 22 % of the titles are series up to 2004, then more each year, up to 48 %.
    show_share = 0.22 + 0.26 * np.maximum(0.0, years - 2004.0) / (LAST_YEAR - 2004.0)
    is_show = (dice.uniform(count) < show_share).tolist()
    number = (SAMPLE_IDS_FROM + np.cumsum(20 + dice.below(np.full(count, 160)))[dice.shuffled(count)]).tolist()
    ids = [f"{'ts' if show else 'tm'}{each}" for show, each in zip(is_show, number, strict=True)]

    # The weight of an industry moves from its first to its last value between 1990 and the last year.
    moved = np.minimum(np.maximum(years - 1990.0, 0.0) / (LAST_YEAR - 1990.0), 1.0)
    weights = np.array([each.first * (1.0 - moved) + each.last * moved for each in INDUSTRIES])
    reached = np.cumsum(weights, axis=0) > dice.uniform(count) * weights.sum(axis=0)
    industry = np.argmax(reached, axis=0).astype(np.int64)
    genres = [_title_genres(dice, show, int(each)) for show, each in zip(is_show, industry, strict=True)]
    return Titles(ids, years.tolist(), is_show, industry, genres)


def _title_genres(dice: Dice, is_show: bool, industry: int) -> list[str]:
    """Return one to six genres, the main one first; no genre for one title in a hundred."""
    u = dice.uniform(3)
    if u[0] < 0.01:
        return []
    weights = [genre.shows if is_show else genre.movies for genre in GENRES]
    genres = {GENRES[dice.pick(weights)].name: None}
    for _ in range(int(u[1] * u[1] * 5.5)):
        genres[GENRES[dice.pick(weights)].name] = None
    if INDUSTRIES[industry].country in EUROPEAN_COUNTRIES and u[2] < 0.6:
        genres[EUROPEAN] = None
    return list(genres)


def title_rows(titles: Titles, stars: Ints, seed: int) -> Iterator[Sequence[object]]:
    """Yield the rows of titles.csv. ``stars`` is the number of star actors in each title."""
    dice = Dice(seed, Part.SOURCE, Part.TEXTS)
    count = len(titles.ids)
    unnamed = count // 2
    noise = dice.bell(count).tolist()
    imdb_numbers = np.cumsum(1 + dice.below(np.full(count, 2_500)))[dice.shuffled(count)].tolist()
    for index in range(count):
        year, is_show, genres = titles.years[index], titles.is_show[index], titles.genres[index]
        kind = "SHOW" if is_show else "MOVIE"
        u = dice.uniform(16).tolist()
        texts, certifications = random_words(dice), _CERTIFICATIONS[kind]
        title = dice.choose(_TITLE_FORMS).format(**texts)
        certification = certifications[dice.pick([weight for _, weight in certifications])][0]
        number = imdb_numbers[index] + (10_000_000 if year >= 2019 else 30_000)
        imdb_id = "" if u[0] < 0.07 else f"tt{number:07d}"
        quality = sum(_QUALITY.get(genre, 0.1) for genre in genres) / max(1, len(genres))
        level = 6.35 + (0.65 if is_show else 0.0) + quality + min(max((2012 - year) * 0.03, -0.35), 0.5)
        tenths = min(max(int((level + noise[index] * 0.95) * 10.0 + 0.5), 15), 96)
        odds = (1.0 - u[1]) / (u[1] + 0.008)
        # Stars and quality draw votes.
        appeal = (1.0 + min(int(stars[index]), 2)) * (1.0 + 2.5 * max(0.0, noise[index]))
        votes = 5 + int(1_000.0 * odds * math.sqrt(odds) * appeal)
        has_score = bool(imdb_id) and u[2] >= 0.015
        tmdb = min(max(int((level + 0.1 + noise[index] * 0.7 + (u[3] - 0.5)) * 1_000.0), 500), 10_000)
        tmdb = tmdb if u[4] < 0.5 else tmdb // 100 * 100  # a mean of few votes has few digits
        popularity = (0.6 + math.sqrt(float(votes)) * 0.06 * u[5]) if u[6] >= 0.01 else u[5] / 50.0
        popularity = int(popularity * 1_000.0) / 1_000.0 if u[6] >= 0.01 else popularity
        yield (
            titles.ids[index],
            "" if index == unnamed else title,
            kind,
            _description(dice, texts, u[7], u[8]),
            year,
            certification,
            _runtime(is_show, genres, u[9], u[10]),
            repr(genres),
            repr(_countries(INDUSTRIES[titles.industry[index]].country, u[11], u[12])),
            f"{1 + int(0.75 * u[13] / (1.02 - u[13]))}.0" if is_show else "",
            imdb_id,
            f"{tenths // 10}.{tenths % 10}" if has_score else "",
            f"{votes}.0" if has_score and u[14] >= 0.004 else "",
            "" if u[15] < 0.015 else repr(popularity),
            "" if u[4] > 0.95 else repr(tmdb / 1_000.0),
        )


def random_words(dice: Dice) -> dict[str, str]:
    """Return words for templates: a name, two nouns, an adjective, a first name."""
    return {
        "n": invented_name(dice),
        "a": dice.choose(NOUNS),
        "b": dice.choose(NOUNS),
        "j": dice.choose(ADJECTIVES),
        "f": dice.choose(FIRST_NAMES),
    }


def _description(dice: Dice, texts: dict[str, str], length: float, form: float) -> str:
    """Return one to four sentences, on several lines for 1 % of the titles; empty for 0.3 %."""
    if form < 0.003:
        return ""
    lower = {name: text.lower() if name in "abj" else text for name, text in texts.items()}
    sentences = [dice.choose(_SENTENCES).format(**lower) for _ in range(1 + int(length * length * 4.0))]
    if form < 0.013:
        return ("\r\n" if form < 0.005 else "\n\n").join([*sentences, "Filmed on location."])
    return "  ".join(sentences) if form > 0.95 else " ".join(sentences)


def _runtime(is_show: bool, genres: Sequence[str], u: float, v: float) -> int:
    """Return the minutes of a film or of one episode of a series; 0 if unknown."""
    if is_show:
        if v < 0.012:
            return 0
        short = {"animation", "comedy", "kids' quiz"} & set(genres)
        return int((20.0 if short else 38.0) + 14.0 * u + 10.0 * v)
    if "documentation" in genres or "animation" in genres:
        return int(40.0 + 55.0 * u + 15.0 * v)
    return int(78.0 + 36.0 * u + 26.0 * v * v)


def _countries(home: str, u: float, v: float) -> list[str]:
    """Return the home country and, for one title in nine, others; no country for one in twenty-five."""
    if u < 0.04:
        return []
    if u < 0.045:
        return [_UNKNOWN_COUNTRY]
    others = [each.country for each in INDUSTRIES if each.country != home]
    n_others = 0 if u < 0.885 else 1 if u < 0.97 else 2 + int(v * 3.0)
    start = int(v * len(others))
    return [home, *(others[(start + 5 * step) % len(others)] for step in range(n_others))]
