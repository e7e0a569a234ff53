"""The scenario of the MovieLens samples: dates, tastes, genres, tags, and what is unusual."""

from datetime import date
from enum import IntEnum
from typing import NamedTuple

FIRST_DAY = date(2015, 1, 1)
LAST_DAY = date(2024, 12, 31)
YEARS = range(FIRST_DAY.year, LAST_DAY.year + 1)
N_DAYS = (LAST_DAY - FIRST_DAY).days + 1
FAULTY_RECORDS = 5  # in the last year's file, on top of its ratings
RE_RATED_SHARE = 0.01  # of all ratings, corrections included


class Week(NamedTuple):
    """An unusual week: its Monday, its volume relative to a usual week, and a shift of its ratings in stars."""

    monday: date
    volume: float
    stars: float


UNUSUAL_WEEKS = (
    Week(date(2018, 11, 5), 4.0, 0.0),  # a surge
    Week(date(2021, 8, 2), 3.0, -1.2),  # a review bombing
    Week(date(2023, 5, 8), 0.05, 0.0),  # an outage
)


class Taste(NamedTuple):
    """A group of users with the same favourite genres.

    users_first, users_last: their share of the users who join in the first and in the last year, in percent.
    films: the share of films made for them, in percent.
    peak_hour: the hour (UTC) at which they watch most.
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
GENRE_QUALITY = {
    "Action": -0.15, "Adventure": -0.05, "Animation": 0.15, "Children": -0.20, "Comedy": -0.10, "Crime": 0.15,
    "Documentary": 0.35, "Drama": 0.20, "Fantasy": 0.0, "Film-Noir": 0.40, "Horror": -0.45, "IMAX": 0.10,
    "Musical": 0.0, "Mystery": 0.10, "Romance": 0.0, "Sci-Fi": -0.05, "Thriller": -0.05, "War": 0.30,
    "Western": 0.05,
}  # fmt: skip
GENRES = tuple(GENRE_QUALITY)
NO_GENRES = "(no genres listed)"
# Tags for films of a genre, and tags for any film: 19 x 5 + 25 = 120 tags.
GENRE_TAGS = {
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
ANY_TAGS = (
    "atmospheric", "beautifully filmed", "boring", "classic", "cliffhanger", "complex", "cult film",
    "great acting", "great soundtrack", "hidden gem", "inspiring", "long", "masterpiece", "melancholic",
    "must see", "original", "overrated", "plot twist", "predictable", "remake", "sequel", "slow", "surreal",
    "thought-provoking", "underrated",
)  # fmt: skip

GENRE_OF_TAG = {tag: genre for genre, tags in GENRE_TAGS.items() for tag in tags}
GENRE_OF_TAG |= dict.fromkeys(ANY_TAGS, "")
GENOME_TAGS = tuple(sorted(GENRE_OF_TAG))


class Part(IntEnum):
    """The independent streams of random numbers, for ``Dice``."""

    FILMS = 0
    TITLES = 1
    USERS = 2
    RATINGS = 3
    TAGS = 4
    GENOME = 5
