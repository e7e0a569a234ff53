"""Sample data in the shape of a Netflix catalogue: invented films and series, and who acts in them or directs them.

Belongs here: what these files hold and how they are made. Does not belong here: what they are checked against
(``contracts/netflix.yaml``).

What is hidden in the data, for a reader of the dashboards to find:

* The catalogue grows from year to year until it levels off; its newest year is only half over.
* The mix moves from films to series, and from the first of the ``INDUSTRIES`` to others.
* Genres and types differ in quality and length, and new titles are judged more severely than old ones.
* Most people are in one title. A few (``STAR_SHARE``) are in dozens, and titles that they act in draw more votes.
* A handful of titles has most of the votes, the better ones more, so that a mean by vote is above one by title.
* Awkward records: names with commas, quotes, apostrophes and other scripts, different people of the same name,
  descriptions of several lines, lists in brackets, none in them or with an apostrophe, seasons written as ``1.0``,
  scores, votes, certifications and identifiers that are missing, a title without a name, titles without credits,
  actors with two characters.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netflix_assets.dev.samples.making import (
    ADJECTIVES,
    NOUNS,
    SAMPLE_IDS_FROM,
    Dice,
    Floats,
    Ints,
    invented_name,
    write_rows,
)

FIRST_YEAR, LAST_YEAR = 1954, 2024
TITLES = 6_000  # at scale 1
STAR_SHARE, REGULAR_SHARE = 0.03, 0.40  # of the credits of actors; the others go to people who are in one title only
CREDITS_PER_STAR, CREDITS_PER_REGULAR = 20, 3  # on average


class Industry(NamedTuple):
    """The films and series of a country: its weight among the new titles in the first and in the last year."""

    country: str
    first: int
    last: int


INDUSTRIES = (
    Industry("US", 640, 330), Industry("IN", 90, 110), Industry("GB", 80, 65), Industry("JP", 40, 55),
    Industry("KR", 5, 75), Industry("FR", 50, 40), Industry("ES", 10, 50), Industry("DE", 25, 25),
    Industry("CA", 25, 40), Industry("MX", 10, 25), Industry("BR", 5, 22), Industry("NG", 1, 25),
    Industry("TR", 4, 22), Industry("EG", 6, 10), Industry("PH", 2, 16), Industry("PL", 2, 12), Industry("AR", 5, 14),
)  # fmt: skip
_EUROPE = {"GB", "FR", "ES", "DE", "PL"}
_UNKNOWN_COUNTRY = "XX"


class Genre(NamedTuple):
    """A genre: its weight among films and among series, and how it is judged, in points above the average title."""

    name: str
    movies: int
    shows: int
    quality: float


GENRES = (
    Genre("drama", 190, 200, 0.15), Genre("comedy", 175, 130, -0.10), Genre("thriller", 75, 60, -0.10),
    Genre("action", 65, 80, -0.10), Genre("romance", 65, 50, -0.05), Genre("documentation", 85, 75, 0.60),
    Genre("crime", 45, 60, 0.15), Genre("animation", 30, 75, 0.10), Genre("family", 33, 55, -0.25),
    Genre("fantasy", 28, 45, 0.0), Genre("scifi", 20, 60, -0.05), Genre("horror", 25, 20, -0.60),
    Genre("music", 19, 12, 0.25), Genre("history", 14, 18, 0.40), Genre("reality", 1, 50, -0.50),
    Genre("sport", 12, 10, 0.10), Genre("war", 9, 9, 0.35), Genre("western", 4, 2, 0.0),
    Genre("kids' quiz", 1, 6, -0.2),
)  # fmt: skip
_QUALITY = {genre.name: genre.quality for genre in GENRES}
EUROPEAN = "european"

_CERTIFICATIONS = {
    "MOVIE": (("", 63), ("R", 14), ("PG-13", 12), ("PG", 7), ("G", 3), ("NC-17", 1)),
    "SHOW": (("", 12), ("TV-MA", 42), ("TV-14", 22), ("TV-PG", 9), ("TV-Y7", 6), ("TV-Y", 5), ("TV-G", 4)),
}

_FIRST_NAMES = (
    "Abel", "Ada", "Alma", "Amir", "Ana", "Anouk", "Aris", "Asha", "Bela", "Bruno", "Carla", "Chidi", "Clea", "Dario",
    "Dilan", "Dina", "Edda", "Eino", "Elif", "Emre", "Ewa", "Farah", "Femi", "Gita", "Goran", "Hana", "Hugo", "Ines",
    "Iris", "Ivo", "Jae", "Jin", "Joao", "Jonas", "Kai", "Kaya", "Lale", "Leo", "Lin", "Lola", "Mae", "Malik", "Mara",
    "Mina", "Nadia", "Nils", "Noor", "Nuria", "Olga", "Omar", "Otis", "Pia", "Priya", "Rafa", "Ravi", "Remy", "Rosa",
    "Sami", "Sana", "Silas", "Sora", "Tara", "Theo", "Tilda", "Uma", "Vera", "Wanda", "Xenia", "Yara", "Yuto", "Zara",
    "Zoltan", "André", "Björk", "Chloë", "Élodie", "François", "Günter", "Håkon", "İpek", "José", "Łucja", "Renée",
    "Søren", "Zoë", "Mary-Ann", "Jean-Luc",
)  # fmt: skip
_FAMILY_ENDS = ("", "", "", "", "s", "ek", "ova", "ides", "ez", "sen", "ini", "oglu", "wala", "å", "é", "ski")
_CHARACTER_FORMS = (
    "{f}", "{f}", "{f}", "{f} {n}", "{f} {n}", "Detective {n}", "Dr. {n}", "Young {f}", "{f}'s Mother", "Mrs. {n}",
    "The {a}", '{f} "{a}" {n}', "{f} / Narrator", "Nurse", "Police Officer", "{a}, the Elder", "Father {f}",
)  # fmt: skip
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

# The parts of the data, for Dice; MovieLens' have one number less.
_SOURCE = 100
_TITLES, _TEXTS, _PEOPLE, _CAST = range(4)

_TITLE_COLUMNS = (
    "id", "title", "type", "description", "release_year", "age_certification", "runtime", "genres",
    "production_countries", "seasons", "imdb_id", "imdb_score", "imdb_votes", "tmdb_popularity", "tmdb_score",
)  # fmt: skip
_CREDIT_COLUMNS = ("person_id", "id", "name", "character", "role")


def write(folder: Path, scale: float, seed: int) -> list[str]:
    """Write the files into an existing folder and return their names: titles.csv and credits.csv.

    Scale 1 means 6,000 titles and about 74,000 credits of 50,000 people. They grow with the scale's square root: more
    users do not make as many more films. Titles are ordered by release year, credits by title.
    """
    titles = _make_titles(round(TITLES * math.sqrt(scale)), seed)
    cast = _make_cast(titles, seed)
    return [
        write_rows(folder / "titles.csv", _TITLE_COLUMNS, _title_rows(titles, cast, seed)),
        write_rows(folder / "credits.csv", _CREDIT_COLUMNS, _credit_rows(titles, cast, seed)),
    ]


@dataclass(frozen=True)
class _Titles:
    """All titles, by release year; ``industry`` is an index into INDUSTRIES, ``genres`` may be empty."""

    ids: list[str]
    years: list[int]
    is_show: list[bool]
    industry: Ints
    genres: list[list[str]]


@dataclass(frozen=True)
class _Cast:
    """Who is in the titles: one entry per actor and title, and per director and title.

    ``actor_starts`` and ``director_starts`` say where a title's entries begin, with one number more than there are
    titles; ``actors`` and ``directors`` are indices into ``person_ids`` and ``names``; ``stars``: how many of a title's
    actors are stars.
    """

    actors: list[int]
    actor_starts: list[int]
    directors: list[int]
    director_starts: list[int]
    stars: Ints
    person_ids: list[int]
    names: list[str]


def _make_titles(count: int, seed: int) -> _Titles:
    dice = Dice(seed, _SOURCE, _TITLES)
    # A year's weight: a thin tail of old titles, growth up to six years before the end, half a year at the end.
    span = np.arange(LAST_YEAR - FIRST_YEAR + 1).astype(np.float64)
    late = np.maximum(0.0, np.minimum(span - (LAST_YEAR - 6 - FIRST_YEAR) + 14.0, 14.0))
    weight = 1.0 + span * 0.04 + late * late * late * 0.12
    weight[-1] *= 0.5
    until = np.cumsum((weight * 1_000.0).astype(np.int64))
    years = np.sort(np.searchsorted(until, dice.below(np.full(count, until[-1])), side="right")) + FIRST_YEAR
    # 22 % series up to 2004, then more each year, up to 48 %.
    show_share = 0.22 + 0.26 * np.maximum(0.0, years - 2004.0) / (LAST_YEAR - 2004.0)
    is_show = (dice.uniform(count) < show_share).tolist()
    number = (SAMPLE_IDS_FROM + np.cumsum(20 + dice.below(np.full(count, 160)))[dice.shuffled(count)]).tolist()
    ids = [f"{'ts' if show else 'tm'}{each}" for show, each in zip(is_show, number, strict=True)]

    # An industry's weight moves from that of 1990 to that of the last year.
    moved = np.minimum(np.maximum(years - 1990.0, 0.0) / (LAST_YEAR - 1990.0), 1.0)
    weights = np.array([each.first * (1.0 - moved) + each.last * moved for each in INDUSTRIES])
    reached = np.cumsum(weights, axis=0) > dice.uniform(count) * weights.sum(axis=0)
    industry = np.argmax(reached, axis=0).astype(np.int64)
    genres = [_title_genres(dice, show, int(each)) for show, each in zip(is_show, industry, strict=True)]
    return _Titles(ids, years.tolist(), is_show, industry, genres)


def _title_genres(dice: Dice, is_show: bool, industry: int) -> list[str]:
    """One to six genres, the main one first; none for one title in a hundred."""
    u = dice.uniform(3)
    if u[0] < 0.01:
        return []
    weights = [genre.shows if is_show else genre.movies for genre in GENRES]
    found = {GENRES[dice.pick(weights)].name: None}
    for _ in range(int(u[1] * u[1] * 5.5)):
        found[GENRES[dice.pick(weights)].name] = None
    if INDUSTRIES[industry].country in _EUROPE and u[2] < 0.6:
        found[EUROPEAN] = None
    return list(found)


def _make_cast(titles: _Titles, seed: int) -> _Cast:
    """Give every title its actors and directors; a title has nobody twice in the same role."""
    dice = Dice(seed, _SOURCE, _CAST)
    count = len(titles.ids)
    is_show = np.array(titles.is_show)
    # Half of the titles have more than eleven actors, a few a hundred; some have no credits at all.
    u = dice.uniform(count)
    sizes = np.where(is_show, 3.0 + 8.0 * u, 3.0 + 16.0 * u) + np.minimum(0.55 / (1.0 - u), 100.0)
    nobody = dice.uniform(count) < np.where(is_show, 0.12, 0.03)
    n_actors = np.where(nobody, 0, sizes.astype(np.int64))
    u = dice.uniform(count)
    several = 1 + (u < 0.11).astype(np.int64) + (u < 0.02)
    n_directors = np.where(nobody | (u > np.where(is_show, 0.30, 0.97)), 0, several)

    slot_title = np.repeat(np.arange(count), n_actors)
    slot_industry = titles.industry[slot_title]
    # Stars first, then regulars, both industry by industry; then directors, and those who appear once.
    n_slots = np.bincount(slot_industry, minlength=len(INDUSTRIES))
    n_stars = 1 + (n_slots * STAR_SHARE / CREDITS_PER_STAR).astype(np.int64)
    n_regulars = 1 + (n_slots * REGULAR_SHARE / CREDITS_PER_REGULAR).astype(np.int64)
    first_star = np.cumsum(n_stars) - n_stars
    first_regular = int(n_stars.sum()) + np.cumsum(n_regulars) - n_regulars
    first_director = int(n_stars.sum() + n_regulars.sum())
    pool = 1 + int(n_directors.sum()) * 6 // 10
    u, place = dice.uniform(len(slot_title)), _leaning(dice, len(slot_title))
    is_star, is_once = u < STAR_SHARE, u >= STAR_SHARE + REGULAR_SHARE
    person = np.where(
        is_star,
        first_star[slot_industry] + (place * n_stars[slot_industry]).astype(np.int64),
        first_regular[slot_industry] + (place * n_regulars[slot_industry]).astype(np.int64),
    )
    person[is_once] = first_director + pool + np.arange(int(is_once.sum()))
    actors, actor_starts = _without_repetition(slot_title, person, count)
    stars = np.bincount(slot_title[is_star], minlength=count)

    slot_title = np.repeat(np.arange(count), n_directors)
    person = first_director + (_leaning(dice, len(slot_title)) * pool).astype(np.int64)
    # One director in twenty-five directs what they act in.
    own = (dice.uniform(len(slot_title)) < 0.04) & (np.diff(actor_starts)[slot_title] > 0)
    person[own] = np.array(actors)[np.array(actor_starts)[slot_title[own]]]
    directors, director_starts = _without_repetition(slot_title, person, count)

    n_people = first_director + pool + int(is_once.sum())
    ids, names = _make_people(n_people, seed)
    return _Cast(actors, actor_starts, directors, director_starts, stars, ids, names)


def _leaning(dice: Dice, size: int) -> Floats:
    """Numbers in [0, 1), the small ones more often: what they choose from has favourites."""
    leaning: Floats = 1.0 - np.sqrt(1.0 - dice.uniform(size))
    return leaning


def _without_repetition(title: Ints, person: Ints, count: int) -> tuple[list[int], list[int]]:
    """The people in the order of the titles, each once per title, and where each title's begin."""
    cast: list[dict[int, None]] = [{} for _ in range(count)]
    for each, who in zip(title.tolist(), person.tolist(), strict=True):
        cast[each][who] = None
    starts = np.cumsum([0, *map(len, cast)]).tolist()
    return [who for people in cast for who in people], starts


def _make_people(count: int, seed: int) -> tuple[list[int], list[str]]:
    """Numbers, all different and in no order, and names, of which some are alike."""
    dice = Dice(seed, _SOURCE, _PEOPLE)
    ids = np.cumsum(1 + dice.below(np.full(count, 80)))[dice.shuffled(count)].tolist()
    family = [invented_name(dice) for _ in range(4_000)]
    u = dice.uniform(4 * count).reshape(4, count)
    picks = (u[:3].T * np.array([len(_FIRST_NAMES), len(family), len(_FAMILY_ENDS)])).astype(np.int64).tolist()
    names = [f"{_FIRST_NAMES[a]} {family[b]}{_FAMILY_ENDS[c]}" for a, b, c in picks]
    for index in np.flatnonzero(u[3] < 0.01).tolist():
        first, last = names[index].split(" ", 1)
        odd = (f"{last}, Jr.", f'"{NOUNS[index % len(NOUNS)]}" {last}', f"O'{last}", f"{last} ", last)
        names[index] = f"{first} {odd[index % len(odd)]}" if index % 5 < 4 else last
    return ids, names


def _title_rows(titles: _Titles, cast: _Cast, seed: int) -> Iterator[Sequence[object]]:
    dice = Dice(seed, _SOURCE, _TEXTS)
    count = len(titles.ids)
    unnamed = count // 2
    noise = dice.bell(count).tolist()
    imdb_numbers = np.cumsum(1 + dice.below(np.full(count, 2_500)))[dice.shuffled(count)].tolist()
    for index in range(count):
        year, is_show, genres = titles.years[index], titles.is_show[index], titles.genres[index]
        kind = "SHOW" if is_show else "MOVIE"
        u = dice.uniform(16).tolist()
        texts, certifications = _texts(dice), _CERTIFICATIONS[kind]
        title = dice.choose(_TITLE_FORMS).format(**texts)
        certification = certifications[dice.pick([weight for _, weight in certifications])][0]
        number = imdb_numbers[index] + (10_000_000 if year >= 2019 else 30_000)
        imdb_id = "" if u[0] < 0.07 else f"tt{number:07d}"
        quality = sum(_QUALITY.get(genre, 0.1) for genre in genres) / max(1, len(genres))
        level = 6.35 + (0.65 if is_show else 0.0) + quality + min(max((2012 - year) * 0.03, -0.35), 0.5)
        tenths = min(max(int((level + noise[index] * 0.95) * 10.0 + 0.5), 15), 96)
        odds = (1.0 - u[1]) / (u[1] + 0.008)
        # Stars and quality draw votes.
        drawn = (1.0 + min(int(cast.stars[index]), 2)) * (1.0 + 2.5 * max(0.0, noise[index]))
        votes = 5 + int(1_000.0 * odds * math.sqrt(odds) * drawn)
        scored = bool(imdb_id) and u[2] >= 0.015
        tmdb = min(max(int((level + 0.1 + noise[index] * 0.7 + (u[3] - 0.5)) * 1_000.0), 500), 10_000)
        tmdb = tmdb if u[4] < 0.5 else tmdb // 100 * 100  # few votes make a short number
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
            f"{tenths // 10}.{tenths % 10}" if scored else "",
            f"{votes}.0" if scored and u[14] >= 0.004 else "",
            "" if u[15] < 0.015 else repr(popularity),
            "" if u[4] > 0.95 else repr(tmdb / 1_000.0),
        )


def _texts(dice: Dice) -> dict[str, str]:
    """Words to fill in: a name, two nouns, an adjective, a first name."""
    return {
        "n": invented_name(dice),
        "a": dice.choose(NOUNS),
        "b": dice.choose(NOUNS),
        "j": dice.choose(ADJECTIVES),
        "f": dice.choose(_FIRST_NAMES),
    }


def _description(dice: Dice, texts: dict[str, str], length: float, form: float) -> str:
    """One to four sentences, in one case of a hundred on several lines; none for one title in three hundred."""
    if form < 0.003:
        return ""
    lower = {name: text.lower() if name in "abj" else text for name, text in texts.items()}
    sentences = [dice.choose(_SENTENCES).format(**lower) for _ in range(1 + int(length * length * 4.0))]
    if form < 0.013:
        return ("\r\n" if form < 0.005 else "\n\n").join([*sentences, "Filmed on location."])
    return "  ".join(sentences) if form > 0.95 else " ".join(sentences)


def _runtime(is_show: bool, genres: Sequence[str], u: float, v: float) -> int:
    """Minutes, of a series those of an episode; 0 where it is not known."""
    if is_show:
        if v < 0.012:
            return 0
        short = {"animation", "comedy", "kids' quiz"} & set(genres)
        return int((20.0 if short else 38.0) + 14.0 * u + 10.0 * v)
    if "documentation" in genres or "animation" in genres:
        return int(40.0 + 55.0 * u + 15.0 * v)
    return int(78.0 + 36.0 * u + 26.0 * v * v)


def _countries(home: str, u: float, v: float) -> list[str]:
    """The home country and, for one title in nine, others; none for one in twenty-five."""
    if u < 0.04:
        return []
    if u < 0.045:
        return [_UNKNOWN_COUNTRY]
    others = [each.country for each in INDUSTRIES if each.country != home]
    n_others = 0 if u < 0.885 else 1 if u < 0.97 else 2 + int(v * 3.0)
    start = int(v * len(others))
    return [home, *(others[(start + 5 * step) % len(others)] for step in range(n_others))]


def _credit_rows(titles: _Titles, cast: _Cast, seed: int) -> Iterator[Sequence[object]]:
    dice = Dice(seed, _SOURCE, _CAST, 1)
    # A stock of characters: as in real files, many are called alike.
    stock = [dice.choose(_CHARACTER_FORMS).format(**_texts(dice)) for _ in range(4_000)]
    for index, title in enumerate(titles.ids):
        actors = cast.actors[cast.actor_starts[index] : cast.actor_starts[index + 1]]
        unscripted = bool({"documentation", "reality", "music"} & set(titles.genres[index]))
        voice = " (voice)" if "animation" in titles.genres[index] else ""
        u = dice.uniform(2 * len(actors)).tolist()
        for place, person in enumerate(actors):
            character = stock[int(u[2 * place] * len(stock))] + voice
            if unscripted and u[2 * place + 1] < 0.8:
                character = "Self"
            elif u[2 * place + 1] > 0.925:
                character = ""
            yield cast.person_ids[person], title, cast.names[person], character, "ACTOR"
            if 0.9 < u[2 * place + 1] < 0.9012 and character:
                yield cast.person_ids[person], title, cast.names[person], f"{character} II", "ACTOR"
        for person in cast.directors[cast.director_starts[index] : cast.director_starts[index + 1]]:
            yield cast.person_ids[person], title, cast.names[person], "", "DIRECTOR"
