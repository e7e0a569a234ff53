"""The scenario of the Netflix samples: years, industries, genres, first names."""

from enum import IntEnum
from typing import NamedTuple

FIRST_YEAR, LAST_YEAR = 1954, 2024
STAR_SHARE, REGULAR_SHARE = 0.03, 0.40  # of the actors' credits; the rest goes to people with a single title
CREDITS_PER_STAR, CREDITS_PER_REGULAR = 20, 3  # on average


class Industry(NamedTuple):
    """A country and its weight among the new titles of the first and of the last year."""

    country: str
    first: int
    last: int


INDUSTRIES = (
    Industry("US", 640, 330), Industry("IN", 90, 110), Industry("GB", 80, 65), Industry("JP", 40, 55),
    Industry("KR", 5, 75), Industry("FR", 50, 40), Industry("ES", 10, 50), Industry("DE", 25, 25),
    Industry("CA", 25, 40), Industry("MX", 10, 25), Industry("BR", 5, 22), Industry("NG", 1, 25),
    Industry("TR", 4, 22), Industry("EG", 6, 10), Industry("PH", 2, 16), Industry("PL", 2, 12), Industry("AR", 5, 14),
)  # fmt: skip
EUROPEAN_COUNTRIES = {"GB", "FR", "ES", "DE", "PL"}


class Genre(NamedTuple):
    """A genre, its weight among films and among series, and its score in points above the average title."""

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
EUROPEAN = "european"
FIRST_NAMES = (
    "Abel", "Ada", "Alma", "Amir", "Ana", "Anouk", "Aris", "Asha", "Bela", "Bruno", "Carla", "Chidi", "Clea", "Dario",
    "Dilan", "Dina", "Edda", "Eino", "Elif", "Emre", "Ewa", "Farah", "Femi", "Gita", "Goran", "Hana", "Hugo", "Ines",
    "Iris", "Ivo", "Jae", "Jin", "Joao", "Jonas", "Kai", "Kaya", "Lale", "Leo", "Lin", "Lola", "Mae", "Malik", "Mara",
    "Mina", "Nadia", "Nils", "Noor", "Nuria", "Olga", "Omar", "Otis", "Pia", "Priya", "Rafa", "Ravi", "Remy", "Rosa",
    "Sami", "Sana", "Silas", "Sora", "Tara", "Theo", "Tilda", "Uma", "Vera", "Wanda", "Xenia", "Yara", "Yuto", "Zara",
    "Zoltan", "André", "Björk", "Chloë", "Élodie", "François", "Günter", "Håkon", "İpek", "José", "Łucja", "Renée",
    "Søren", "Zoë", "Mary-Ann", "Jean-Luc",
)  # fmt: skip


class Part(IntEnum):
    """The independent streams of random numbers, for ``Dice``. All of them start with ``SOURCE``."""

    SOURCE = 100
    TITLES = 0
    TEXTS = 1
    PEOPLE = 2
    CAST = 3
