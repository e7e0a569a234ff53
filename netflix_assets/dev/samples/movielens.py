"""Sample data in MovieLens' shape: invented films, users, ratings, tags and tag genome, written as CSV files.

Belongs here: what these files hold and how they are made. Does not belong here: what they are checked against
(``contracts/movielens.yaml``).

The files are there so that everything can be seen at work without a download, and so that every question that
the marts answer has an answer worth looking at. What is hidden in the data, for a reader of the dashboards to
find:

* Six tastes (``TASTES``). A user has one, watches mostly films of its genres and likes them better. The
  tastes' shares move over the years, and the supply of films does not follow the demand: that makes growth
  and content gaps.
* Heavy tails: a few users rate a lot, a few films are rated by half of the users, many films by almost nobody.
* Genres differ in quality, old films are kinder judged than new ones, users differ in mood and in steadiness.
* Hours (UTC) that depend on taste and weekend, weekdays, months, growth from year to year, and three unusual
  weeks (``UNUSUAL_WEEKS``): a surge, a review bombing and an outage.
* Polarised films that half of the users love and the other half hate, and flops that everybody saw and nobody
  likes.
* About one rating in a hundred corrects an earlier one of the same user and film (``RE_RATED_SHARE``).
* Awkward text: titles with commas, quotes, other scripts, a second title, a range of years or none; films
  without genres; tags in several spellings; identifiers with leading zeros or missing.
* ``FAULTY_RECORDS`` faulty records in the last year's ratings, so that rejects have something to show.
"""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from netflix_assets.dev.samples.making import (
    ADJECTIVES,
    NOUNS,
    SAMPLE_IDS_FROM,
    Dice,
    Floats,
    Ints,
    invented_name,
    running_total,
    write_rows,
)

FIRST_DAY = date(2015, 1, 1)
LAST_DAY = date(2024, 12, 31)
YEARS = range(FIRST_DAY.year, LAST_DAY.year + 1)

FILMS, MIN_FILMS = 1_200, 400  # at scale 1, and never fewer: a user must find films that were not rated yet
USERS = 600
RATINGS = 60_000
TAGS = 3_000
GENOME_FILMS = 400
FAULTY_RECORDS = 5  # in the last year's ratings file, on top of the ratings
RE_RATED_SHARE = 0.01  # of the ratings; the corrections are part of their number


class Week(NamedTuple):
    """A week that is unlike the others: its Monday, its volume as a multiple of the usual, a shift of ratings
    in stars.
    """

    monday: date
    volume: float
    stars: float


UNUSUAL_WEEKS = (
    Week(date(2018, 11, 5), 4.0, 0.0),  # a surge
    Week(date(2021, 8, 2), 3.0, -1.2),  # a review bombing
    Week(date(2023, 5, 8), 0.05, 0.0),  # an outage
)


class Taste(NamedTuple):
    """A group of users: the genres they love, their share of the users who join in the first and in the last
    year (in percent), the share of films made for them (in percent), and the hour (UTC) at which they watch
    most.
    """

    name: str
    genres: tuple[str, ...]
    users_first: int
    users_last: int
    films: int
    peak_hour: int


TASTES = (
    Taste("spectacle", ("Action", "Adventure", "Sci-Fi", "IMAX"), 26, 22, 20, 20),
    Taste("heart", ("Romance", "Drama", "Comedy", "Musical"), 22, 13, 28, 19),
    Taste("family", ("Children", "Animation", "Fantasy"), 12, 24, 9, 16),
    Taste("fright", ("Horror", "Thriller", "Sci-Fi"), 12, 18, 20, 23),
    Taste("crime", ("Crime", "Mystery", "Film-Noir", "Thriller"), 15, 10, 12, 21),
    Taste("world", ("Documentary", "War", "Western", "Drama"), 13, 13, 11, 10),
)

# Stars above or below the average film.
_GENRE_QUALITY = {
    "Action": -0.15, "Adventure": -0.05, "Animation": 0.15, "Children": -0.20, "Comedy": -0.10, "Crime": 0.15,
    "Documentary": 0.35, "Drama": 0.20, "Fantasy": 0.0, "Film-Noir": 0.40, "Horror": -0.45, "IMAX": 0.10,
    "Musical": 0.0, "Mystery": 0.10, "Romance": 0.0, "Sci-Fi": -0.05, "Thriller": -0.05, "War": 0.30,
    "Western": 0.05,
}  # fmt: skip
GENRES = tuple(_GENRE_QUALITY)
NO_GENRES = "(no genres listed)"

# What people tag films of a genre with, and what they tag any film with: 19 x 5 + 25 = 120 tags.
_GENRE_TAGS = {
    "Action": ("car chase", "explosions", "martial arts", "one-man army", "stunts"),
    "Adventure": ("expedition", "jungle", "lost city", "sea voyage", "treasure hunt"),
    "Animation": ("hand-drawn", "puppets", "stop motion", "talking animals", "watercolour"),
    "Children": ("fairy tale", "for the whole family", "friendship", "growing up", "school holidays"),
    "Comedy": ("absurd", "dark comedy", "deadpan", "slapstick", "witty dialogue"),
    "Crime": ("heist", "organised crime", "police", "prison", "undercover"),
    "Documentary": ("archive footage", "interviews", "nature", "politics", "true story"),
    "Drama": ("based on a novel", "coming of age", "family secrets", "grief", "small town"),
    "Fantasy": ("dragons", "enchanted forest", "magic", "mythology", "other worlds"),
    "Film-Noir": ("black and white", "femme fatale", "neon lights", "rainy streets", "voice-over"),
    "Horror": ("found footage", "gory", "haunted house", "monsters", "vampires"),
    "IMAX": ("3d", "big screen", "breathtaking", "landscapes", "spectacular"),
    "Musical": ("broadway style", "choreography", "jazz", "opera", "singing"),
    "Mystery": ("amnesia", "detective", "hidden identity", "locked room", "missing person"),
    "Romance": ("bittersweet", "first love", "love letters", "love triangle", "wedding"),
    "Sci-Fi": ("artificial intelligence", "dystopia", "parallel worlds", "space", "time travel"),
    "Thriller": ("conspiracy", "hostage", "on the run", "paranoia", "tense"),
    "War": ("anti-war", "partisans", "soldiers", "trenches", "world war"),
    "Western": ("desert", "gunfight", "horses", "outlaws", "stagecoach"),
}
_ANY_TAGS = (
    "atmospheric", "beautifully filmed", "boring", "classic", "cliffhanger", "complex", "cult film",
    "great acting", "great soundtrack", "hidden gem", "inspiring", "long", "masterpiece", "melancholic",
    "must see", "original", "overrated", "plot twist", "predictable", "remake", "sequel", "slow", "surreal",
    "thought-provoking", "underrated",
)  # fmt: skip
_ODD_TAGS = (
    "great, but long", 'the "lighthouse" scene', "über-cool", "déjà vu", "10/10", "seen on DVD", "so-so",
    "n/a", "雨の夜", "see also: the book", "WTF?!", "not for me; sorry",
)  # fmt: skip
_GENRE_OF_TAG = {tag: genre for genre, tags in _GENRE_TAGS.items() for tag in tags}
_GENRE_OF_TAG |= dict.fromkeys(_ANY_TAGS, "")
GENOME_TAGS = tuple(sorted(_GENRE_OF_TAG))

# {n} is the invented name, {a} and {b} nouns, {j} an adjective. Articles stand where MovieLens puts them: at
# the end.
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

# Ratings of a day relative to the average day, by month (January first), weekday (Monday first) and hour
# (UTC).
_MONTHS = (1.30, 1.10, 1.00, 0.90, 0.80, 0.70, 0.70, 0.80, 0.95, 1.10, 1.20, 1.45)
_WEEKDAYS = (0.85, 0.80, 0.85, 0.90, 1.15, 1.35, 1.30)
_WORKDAY_HOURS = (30, 20, 12, 8, 6, 6, 8, 12, 15, 16, 18, 22, 28, 26, 24, 26, 32, 42, 56, 70, 78, 76, 62, 44)
_WEEKEND_HOURS = (46, 36, 24, 14, 8, 6, 6, 10, 18, 30, 40, 46, 50, 54, 58, 58, 56, 56, 60, 66, 70, 70, 64, 54)
_GROWTH = (0.7, 2.0)  # on the first and on the last day

_EPOCH_DAY = (FIRST_DAY - date(1970, 1, 1)).days
_DAYS = (LAST_DAY - FIRST_DAY).days + 1
_DAY_S = 86_400
_LAST_S = (_EPOCH_DAY + _DAYS) * _DAY_S - 1
_BLOCK_USERS = 500  # users that are made at a time: bounds the memory, whatever the scale
_RATINGS_PER_SESSION = 3
_STARS = [f"{half / 2:.1f}" for half in range(11)]

# The parts of the data, for Dice.
_FILMS, _TITLES, _USERS, _RATINGS, _TAGS, _GENOME = range(6)


def write(folder: Path, scale: float, seed: int) -> list[str]:
    """Write the files into an existing folder and return their names: movies.csv, links.csv, one ratings-<year>.csv
    per year from 2015 to 2024, tags.csv, genome-tags.csv, genome-scores.csv.

    Scale 1 means 1,200 films (numbered with gaps, as MovieLens does), 600 users, 60,000 ratings, 3,000 tags
    and a genome of 120 tags x 400 films. Users, ratings and tags grow with the scale; films and genome with
    its square root, because a bigger audience does not make as many more films; there are never fewer than
    400 films. The last year's ratings hold ``FAULTY_RECORDS`` more records, which are faulty. Ratings are ordered
    by user, film and time.
    """
    films = _make_films(max(MIN_FILMS, round(FILMS * math.sqrt(scale))), seed)
    users = _make_users(round(USERS * scale), round(RATINGS * scale), len(films.ids), seed)
    return [
        *_write_films(folder, films, seed),
        *_write_ratings_and_tags(folder, films, users, round(TAGS * scale), seed),
        *_write_genome(folder, films, round(GENOME_FILMS * math.sqrt(scale)), seed),
    ]


@dataclass(frozen=True)
class _Films:
    """All films, in the order in which they became available, which is also the order of their ids.

    ``available``: days since FIRST_DAY (0 for older films); ``rank``: 0 for the most popular film; ``camp``:
    for a polarised film 0 or 1 (which tastes love it), else -1; ``affinity``, ``weights``: taste x film, the
    share of the film's genres that the taste loves and how likely it is watched; ``tags``: film x 6, indices
    into GENOME_TAGS.
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


@dataclass(frozen=True)
class _Users:
    """All users; the index plus one is the id. ``joined`` and ``left`` are days since FIRST_DAY, both
    inclusive; ``mood`` is in stars; ``spread`` is the standard deviation of the user's ratings of equally
    good films.
    """

    taste: Ints
    ratings: Ints
    joined: Ints
    left: Ints
    mood: Floats
    spread: Floats


def _make_films(count: int, seed: int) -> _Films:
    dice = Dice(seed, _FILMS)
    old = round(count * 0.72)
    past = dice.uniform(old)
    available = np.concatenate(
        (
            np.zeros(old, dtype=np.int64),
            # More films each year: the square root leans towards the end.
            np.sort((np.sqrt(dice.uniform(count - old)) * (_DAYS - 1)).astype(np.int64) + 1),
        )
    )
    years = [FIRST_DAY.year - 1 - int(84.0 * float(u) * float(u)) for u in past]
    years += [(FIRST_DAY + timedelta(days=int(day))).year for day in available[old:]]
    # Gaps between the ids: mostly none, some wide.
    ids = np.cumsum(1 + np.minimum(0.6 / (1.0 - dice.uniform(count)), 400.0).astype(np.int64))

    genres = [_film_genres(dice) for _ in range(count)]
    affinity = np.array(
        [[sum(g in taste.genres for g in film) / max(1, len(film)) for film in genres] for taste in TASTES]
    )

    rank = dice.shuffled(count)
    # A head that nearly everybody knows, and a tail that goes down to nothing.
    position = rank.astype(np.float64)
    popularity = (1.02 - position / count) / (position + 1.0 + count / 48)
    loved = affinity * np.sqrt(affinity)
    demand = np.array([_demand(set(film)) for film in genres])
    weights = ((0.12 + 3.0 * loved) * (popularity * demand) * 1e8).astype(np.int64) + 1

    age = np.array([min(max((2005 - year) * 0.006, -0.06), 0.3) for year in years])
    by_genre = np.array([sum(_GENRE_QUALITY[g] for g in film) / max(1, len(film)) for film in genres])
    quality = 3.3 + by_genre + age + 0.34 * dice.bell(count) + 0.3 * (0.5 - position / count)
    every = 40
    flops = (rank % every == 12) & (rank < count // 2)
    quality[flops] = 1.9
    polarised = (rank % every == 25) & (rank < count // 2)
    camp = np.where(polarised, (rank // every) % 2, -1)

    tags = np.array([_film_tags(dice, film) for film in genres], dtype=np.int64)
    return _Films(ids, years, genres, available, rank, quality, camp, affinity, weights, tags)


def _demand(genres: set[str]) -> float:
    """How much a film is watched for its genres: of some, people want more than there is, of others less."""
    if not genres:
        return 0.4  # hard to find
    if genres & {"Animation", "Children", "Documentary"}:
        return 2.2
    return 0.6 if genres & {"Film-Noir", "Musical", "Romance", "Western"} else 1.0


def _film_genres(dice: Dice) -> list[str]:
    """One to four genres in alphabetical order, mostly of one taste; none for one film in seventy."""
    u = dice.uniform(3)
    if u[0] < 1 / 70:
        return []
    home = TASTES[dice.pick([taste.films for taste in TASTES])]
    genres = {dice.choose(home.genres)}
    for _ in range(int(u[1] * u[2] * 4.0)):
        genres.add(dice.choose(home.genres if dice.uniform(1)[0] < 0.75 else GENRES))
    return sorted(genres)


def _film_tags(dice: Dice, genres: Sequence[str]) -> list[int]:
    tags = [dice.choose(_GENRE_TAGS[dice.choose(genres)] if genres else _ANY_TAGS) for _ in range(4)]
    tags += [dice.choose(_ANY_TAGS) for _ in range(2)]
    return [GENOME_TAGS.index(tag) for tag in tags]


@cache
def _day_weights() -> Ints:
    """How many ratings a day draws, relative to the others: growth, month, weekday, unusual weeks."""
    weights = []
    for day in range(_DAYS):
        today = FIRST_DAY + timedelta(days=day)
        weight = _GROWTH[0] + (_GROWTH[1] - _GROWTH[0]) * day / _DAYS
        weight *= _MONTHS[today.month - 1] * _WEEKDAYS[today.weekday()]
        for week in UNUSUAL_WEEKS:
            if 0 <= (today - week.monday).days < 7:
                weight *= week.volume
        weights.append(int(weight * 10_000))
    return np.array(weights, dtype=np.int64)


def _make_users(count: int, ratings: int, films: int, seed: int) -> _Users:
    dice = Dice(seed, _USERS)
    # Nobody joins in the last two weeks: who does would have to do all their rating in the days that are
    # left.
    before = running_total(_day_weights()[:-14])
    joined = np.searchsorted(before, dice.below(np.full(count, before[-1])), side="right") - 1
    activity = 1.0 / np.maximum(dice.uniform(count), 0.025)
    # Who rates more stays longer, so that no single user makes a season.
    stay = dice.uniform(count)
    place = np.arange(count)
    stay_days = 14.0 + 1_500.0 * np.where(place % 16 == 3, stay, stay * stay * stay) + 4.0 * activity
    # Some were there before the first day, and some of those stay to the end: user 1 is one of them, so that
    # every year has ratings.
    joined[(place % 40 == 0) | (place % 16 == 3)] = 0
    stay_days[place % 40 == 0] = _DAYS
    left = joined + np.minimum(stay_days.astype(np.int64), _DAYS - joined) - 1

    # The tastes' shares move from those of the first year to those of the last.
    target = dice.uniform(count) * (100 * _DAYS)
    taste, upto = np.zeros((2, count), dtype=np.int64)
    for one in TASTES[:-1]:
        upto += one.users_first * (_DAYS - joined) + one.users_last * joined
        taste += target >= upto

    # Twenty ratings at least, as in MovieLens; the rest goes by activity, and what is above 45 % of the films
    # to the users who are below.
    weight = (1_000.0 * activity * np.minimum(1.0, (_DAYS - joined) / stay_days)).astype(np.int64)
    weight[0] = max(int(weight[0]), 2 * int(weight.sum()) // count)
    most = films * 45 // 100
    counts = np.full(count, 20, dtype=np.int64)
    while (missing := ratings - int(counts.sum())) > 0:
        open_weight = np.where(counts < most, weight, 0)
        if missing > count:
            counts = np.minimum(counts + open_weight * missing // open_weight.sum(), most)
        else:
            counts[np.flatnonzero(counts < most)[:missing]] += 1

    mood = 0.35 * dice.bell(count)
    spread = 0.35 + 0.7 * dice.uniform(count)
    return _Users(taste, counts, joined, left, mood, spread)


def _write_films(folder: Path, films: _Films, seed: int) -> list[str]:
    ids = films.ids.tolist()
    genres = ["|".join(film) or NO_GENRES for film in films.genres]
    titles = _make_titles(films.years, seed)
    dice = Dice(seed, _TITLES, 1)
    # Seven digits, eight for newer films; the numbers only look like those of IMDb. TMDB's say that all is invented.
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


def _make_titles(years: Sequence[int], seed: int) -> list[str]:
    """One title per film, all different, each with its year in one of MovieLens' forms or without any."""
    dice = Dice(seed, _TITLES, 0)
    titles: dict[str, None] = {}
    for year in years:
        while (title := f"{_make_name(dice)}{_year_suffix(dice, year)}") in titles:
            pass
        titles[title] = None
    return list(titles)


def _make_name(dice: Dice) -> str:
    forms = (_TITLE_FORMS, _FOREIGN_FORMS, _AKA_FORMS)[dice.pick((88, 8, 4))]
    name = invented_name(dice)
    words = {"n": name, "a": dice.choose(NOUNS), "b": dice.choose(NOUNS), "j": dice.choose(ADJECTIVES)}
    return dice.choose(forms).format(**words)


def _year_suffix(dice: Dice, year: int) -> str:
    form = dice.pick((960, 12, 8, 8, 6))
    if form == 0 or (form > 1 and year >= FIRST_DAY.year):
        return f" ({year})"
    return ("", f" ({year}-{year + 4})", f" ({year}–{year + 1})", f" ({year}-)")[form - 1]  # noqa: RUF001


def _write_ratings_and_tags(folder: Path, films: _Films, users: _Users, tags: int, seed: int) -> list[str]:
    """Write both files in blocks of users: memory stays the same at every scale, and rows stay ordered by
    user.
    """
    names = [f"ratings-{year}.csv" for year in YEARS]
    year_starts = [int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (*YEARS, LAST_DAY.year + 1)]
    done = running_total(users.ratings)
    with ExitStack() as files:

        def start(name: str, header: str) -> TextIO:
            file = files.enter_context((folder / name).open("w", encoding="utf-8", newline=""))
            file.write(f"{header}\n")
            return file

        by_year = [start(name, "userId,movieId,rating,timestamp") for name in names]
        tag_file = start("tags.csv", "userId,movieId,tag,timestamp")
        for first in range(0, len(users.ratings), _BLOCK_USERS):
            after = min(first + _BLOCK_USERS, len(users.ratings))
            block = _make_block(films, users, first, after, seed)
            lines = _rating_lines(films, block)
            for index, file in enumerate(by_year):
                inside = (block.time >= year_starts[index]) & (block.time < year_starts[index + 1])
                of_year = [lines[row] for row in np.flatnonzero(inside).tolist()]
                if first == 0 and index == len(by_year) - 1:
                    of_year = _with_faulty_records(of_year)
                file.write("".join(of_year))
            tags_before, tags_after = (tags * int(done[user]) // int(done[-1]) for user in (first, after))
            tag_file.write(_tag_lines(films, block, tags_after - tags_before, Dice(seed, _TAGS, first)))
    return [*names, "tags.csv"]


@dataclass(frozen=True)
class _Block:
    """The ratings of some users, ordered by user, film and time. ``film`` is an index, ``half_stars`` 1 to
    10, ``time`` in seconds since 1970-01-01 UTC.
    """

    user: Ints
    film: Ints
    half_stars: Ints
    time: Ints


def _make_block(films: _Films, users: _Users, first: int, after: int, seed: int) -> _Block:
    dice = Dice(seed, _RATINGS, first)
    counts = users.ratings[first:after]
    user = np.repeat(np.arange(first, after), counts)
    starts = np.repeat(running_total(counts)[:-1], counts)  # where the user's ratings begin
    place = np.arange(len(user)) - starts  # 0 for the user's first rating
    day, time = _make_times(users, user, place, counts[user - first], dice)
    film = _make_choices(films, users.taste[user], user, day, dice)
    half_stars = _make_stars(films, users, user, film, day, dice)

    # Corrections: a later rating takes the film of an earlier one and moves its stars. Times grow with the
    # place.
    again = np.flatnonzero((dice.uniform(len(user)) < RE_RATED_SHARE) & (place > 0))
    earlier = starts[again] + dice.below(place[again])
    again, earlier = again[time[earlier] < time[again]], earlier[time[earlier] < time[again]]
    film[again] = film[earlier]
    moved = half_stars[earlier] + np.array((-2, -1, 1, 2))[dice.below(np.full(len(again), 4))]
    half_stars[again] = np.clip(moved, 1, 10)

    order = np.lexsort((time, film, user))
    return _Block(user[order], film[order], half_stars[order], time[order])


def _make_times(users: _Users, user: Ints, place: Ints, count: Ints, dice: Dice) -> tuple[Ints, Ints]:
    """The day (since FIRST_DAY) and the time (seconds since 1970) of each rating, ascending within a user.

    A user rates in sessions of about three films. The sessions are spread over the user's stay by quantiles
    of the days' weights, so that growth, season, weekday and unusual weeks show; the hour depends on taste
    and weekend.
    """
    sessions = (count + _RATINGS_PER_SESSION - 1) // _RATINGS_PER_SESSION
    session = place * sessions // count
    is_start = np.concatenate((np.ones(1, dtype=bool), (np.diff(user) != 0) | (np.diff(session) != 0)))
    row = np.cumsum(is_start) - 1  # of the session, among the block's sessions
    owner, number, of = user[is_start], session[is_start], sessions[is_start]

    before = running_total(_day_weights())
    low, high = before[users.joined[owner]], before[users.left[owner] + 1]
    quantile = (number + dice.uniform(len(owner))) / of
    day = np.searchsorted(before, low + (quantile * (high - low)).astype(np.int64), side="right") - 1
    weekend = (day + FIRST_DAY.weekday()) % 7 >= 5
    hours = _hour_totals()[users.taste[owner], weekend.astype(np.int64)]
    hour = (dice.below(hours[:, -1])[:, np.newaxis] >= hours).sum(axis=1)
    second = hour * 3_600 + dice.below(np.full(len(owner), 3_600))
    time = np.minimum((_EPOCH_DAY + day) * _DAY_S + second, _LAST_S)

    # Within a session one film after the other, twenty seconds to two minutes apart; sessions of a day in
    # order.
    steps = 20 + dice.below(np.full(len(user), 100))
    since_start = np.cumsum(steps)
    since_start -= since_start[is_start][row]
    all_times = np.minimum(time[row] + since_start, _LAST_S)
    all_times = all_times[np.lexsort((all_times, user))]
    return day[row], all_times


def _hour_totals() -> Ints:
    """Taste x (workday, weekend) x hour: running totals of the hours' weights, more around the taste's own
    hour.
    """
    totals = np.zeros((len(TASTES), 2, 24), dtype=np.int64)
    for index, taste in enumerate(TASTES):
        for weekend, usual in enumerate((_WORKDAY_HOURS, _WEEKEND_HOURS)):
            far = [min((hour - taste.peak_hour) % 24, (taste.peak_hour - hour) % 24) for hour in range(24)]
            totals[index, weekend] = np.cumsum(
                [weight + 16 * max(0, 4 - distance) for weight, distance in zip(usual, far, strict=True)]
            )
    return totals


def _make_choices(films: _Films, taste: Ints, user: Ints, day: Ints, dice: Dice) -> Ints:
    """The film of each rating: available on that day, chosen by the user's taste, no film twice for a user.

    One choice in five is among the films of the last twelve months: what is new is watched more.
    """
    before = np.stack([running_total(weights) for weights in films.weights])
    upto = np.searchsorted(films.available, day, side="right")
    since = np.searchsorted(films.available, day - 365, side="right")
    film = np.full(len(user), -1, dtype=np.int64)
    open_rows = np.arange(len(user))
    attempt = 0
    while len(open_rows):
        if attempt < 8:
            for index in range(len(TASTES)):
                rows = open_rows[taste[open_rows] == index]
                totals = before[index]
                newer = (dice.uniform(len(rows)) < 0.2) & (since[rows] < upto[rows]) & (day[rows] >= 365)
                low = np.where(newer, totals[since[rows]], 0)
                target = low + dice.below(totals[upto[rows]] - low)
                film[rows] = np.searchsorted(totals, target, side="right") - 1
        else:  # who has seen nearly all that is to their taste takes anything
            film[open_rows] = dice.below(upto[open_rows])
        pairs = user * films.ids.size + film
        order = np.argsort(pairs, kind="stable")
        open_rows = np.sort(order[1:][np.diff(pairs[order]) == 0])
        attempt += 1
    return film


def _make_stars(films: _Films, users: _Users, user: Ints, film: Ints, day: Ints, dice: Dice) -> Ints:
    """The half stars of each rating: the film's quality, the user's taste, mood and spread, the week; whole
    stars are more usual than half ones, as people are.
    """
    taste = users.taste[user]
    shift = np.zeros(_DAYS)
    for week in UNUSUAL_WEEKS:
        monday = (week.monday - FIRST_DAY).days
        shift[monday : monday + 7] = week.stars
    noise = dice.bell(len(user))
    stars = films.quality[film] + 1.0 * (films.affinity[taste, film] - 0.4) + users.mood[user]
    stars = stars + users.spread[user] * noise + shift[day]
    # A polarised film: the tastes of its camp (even or odd) mostly love it, the others mostly hate it.
    camp = films.camp[film]
    loves = dice.uniform(len(user)) < np.where(taste % 2 == camp, 0.85, 0.15)
    stars = np.where(camp >= 0, np.where(loves, 4.7, 1.0) + 0.4 * noise, stars)
    whole = dice.uniform(len(user)) < 0.4
    half_stars = np.where(whole, 2.0 * np.floor(stars + 0.5), np.floor(2.0 * stars + 0.5)).astype(np.int64)
    return np.clip(half_stars, 1, 10)


def _rating_lines(films: _Films, block: _Block) -> list[str]:
    columns = (block.user + 1, films.ids[block.film], block.half_stars, block.time)
    return [
        f"{user},{film},{_STARS[half]},{time}\n"
        for user, film, half, time in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _with_faulty_records(lines: list[str]) -> list[str]:
    """The lines with the faulty ones spread among them."""
    user, film, rating, time = lines[0].rstrip("\n").split(",")
    faulty = (
        f"{user},{film},four,{time}\n",  # a number as text
        f"{user},{film},{rating}\n",  # a field is missing
        f"{user},{film},7.5,{time}\n",  # above the range
        f",{film},{rating},{time}\n",  # no user
        f"{user},{film},{rating},{LAST_DAY.year}-07-01 20:15:00\n",  # not in seconds since 1970
    )
    lines = list(lines)
    for index, line in reversed(list(enumerate(faulty, start=1))):
        lines.insert(index * len(lines) // (len(faulty) + 1), line)
    return lines


def _tag_lines(films: _Films, block: _Block, count: int, dice: Dice) -> str:
    """Tags that some of the block's users gave to films they had rated, shortly after; as typed, so in
    several spellings.

    The third user out of every five gives tags, and user 1; (user, film, tag) is unique.
    """
    rows = np.flatnonzero((block.user % 5 == 2) | (block.user == 0))
    rows = rows[np.concatenate((np.diff(block.film[rows]) != 0, np.ones(1, dtype=bool)))]
    chosen: dict[tuple[int, int, str], int] = {}
    while len(chosen) < count:
        row = int(rows[int(dice.uniform(1)[0] * len(rows))])
        u = dice.uniform(4)
        film = int(block.film[row])
        tag = GENOME_TAGS[films.tags[film, int(u[0] * u[0] * films.tags.shape[1])]]
        if u[1] < 0.04:
            tag = _ODD_TAGS[int(u[2] * len(_ODD_TAGS))]
        elif u[1] < 0.12:
            tag = (tag.upper(), tag.title(), tag.capitalize())[int(u[2] * 3)]
        key = (int(block.user[row]) + 1, int(films.ids[film]), tag)
        chosen.setdefault(key, min(int(block.time[row]) + 10 + int(u[3] * 600), _LAST_S))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows((*key, time) for key, time in sorted(chosen.items()))
    return text.getvalue()


def _write_genome(folder: Path, films: _Films, count: int, seed: int) -> list[str]:
    """Write the genome of the most popular films: high relevance for their own tags, middling for tags of
    their genres.
    """
    dice = Dice(seed, _GENOME)
    tag_genres = [_GENRE_OF_TAG[tag] for tag in GENOME_TAGS]
    # Steps of 0.00025, as GroupLens' own.
    relevance_texts = [repr(step * 25 / 100_000) for step in range(4_001)]

    def rows() -> Iterable[tuple[int, int, str]]:
        for film in np.flatnonzero(films.rank < count).tolist():
            u = dice.uniform(len(GENOME_TAGS))
            genres = set(films.genres[film])
            middle = np.array([0.30 if genre in genres else 0.0 if genre else 0.12 for genre in tag_genres])
            middle[films.tags[film]] = 0.65
            steps = ((middle + 0.02 + 0.33 * u * u) * 4_000.0).astype(np.int64).tolist()
            for tag_id, step in enumerate(steps, start=1):
                yield int(films.ids[film]), tag_id, relevance_texts[step]

    return [
        write_rows(folder / "genome-tags.csv", ("tagId", "tag"), enumerate(GENOME_TAGS, start=1)),
        write_rows(folder / "genome-scores.csv", ("movieId", "tagId", "relevance"), rows()),
    ]
