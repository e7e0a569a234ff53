"""Sample data in the format of MovieLens: synthetic films, users, ratings, tags and tag genome.

Every question that the marts answer has an interesting answer in this data. It contains these patterns:

* Six tastes (``TASTES``). A user has one, watches mostly films of its genres and rates them higher. The shares of the
  tastes change over the years, and the supply of films does not follow demand, which creates growth and content gaps.
* Heavy tails: a few users rate a lot; half of the users rate the top films, and almost nobody rates many others.
* Genres differ in quality, old films get better ratings than new ones, and users differ in mood and consistency.
* Hours (UTC) depend on taste and weekend. Volume depends on weekday and month, grows from year to year, and has three
  unusual weeks (``UNUSUAL_WEEKS``): a surge, a review bombing and an outage.
* Polarised films, loved by half of the users and hated by the rest, and flops that everybody saw and nobody likes.
* About one rating in a hundred corrects an earlier rating of the same user and film (``RE_RATED_SHARE``).
* Awkward text: titles with commas, quotes, other scripts, a second title, a range of years or no year; films without
  genres; tags in several spellings; identifiers with leading zeros or missing.
* ``FAULTY_RECORDS`` faulty records in the last year's ratings, so that there are rejects to look at.
"""

import math
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import numpy as np

from netflix_assets.dev.samples.common import Dice, running_total
from netflix_assets.dev.samples.movielens.films import Films, make_films, write_films
from netflix_assets.dev.samples.movielens.ratings import make_block, rating_lines, with_faulty_records
from netflix_assets.dev.samples.movielens.scenario import LAST_DAY, YEARS, Part
from netflix_assets.dev.samples.movielens.tags import tag_lines, write_genome
from netflix_assets.dev.samples.movielens.users import Users, make_users

# At scale 1. The minimum of films ensures that users find enough films that they have not rated yet.
FILMS, MIN_FILMS = 1_200, 400
USERS = 600
RATINGS = 60_000
TAGS = 3_000
GENOME_FILMS = 400
_BLOCK_USERS = 500  # users generated at a time, so that memory stays the same at every scale


def write(folder: Path, scale: float, seed: int) -> list[str]:
    """Write the files into an existing folder and return their names.

    The files are movies.csv, links.csv, ratings-2015.csv to ratings-2024.csv, tags.csv, genome-tags.csv and
    genome-scores.csv. Ratings are ordered by user, film and time, and the last year's file has ``FAULTY_RECORDS``
    faulty records on top of its ratings.

    Scale 1 means 1,200 films (their ids have gaps, as in MovieLens), 600 users, 60,000 ratings, 3,000 tags and a genome
    of 120 tags x 400 films. Users, ratings and tags grow with the scale. Films and genome grow with its square root,
    because films multiply more slowly than their audience; there are at least 400 films.
    """
    films = make_films(max(MIN_FILMS, round(FILMS * math.sqrt(scale))), seed)
    users = make_users(round(USERS * scale), round(RATINGS * scale), len(films.ids), seed)
    return [
        *write_films(folder, films, seed),
        *_write_ratings_and_tags(folder, films, users, round(TAGS * scale), seed),
        *write_genome(folder, films, round(GENOME_FILMS * math.sqrt(scale)), seed),
    ]


def _write_ratings_and_tags(folder: Path, films: Films, users: Users, tags: int, seed: int) -> list[str]:
    """Write the ratings of each year and the tags, block by block, so that rows stay ordered by user."""
    names = [f"ratings-{year}.csv" for year in YEARS]
    year_starts = [int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (*YEARS, LAST_DAY.year + 1)]
    ratings_before = running_total(users.ratings)
    with ExitStack() as files:

        def open_csv(name: str, header: str) -> TextIO:
            file = files.enter_context((folder / name).open("w", encoding="utf-8", newline=""))
            file.write(f"{header}\n")
            return file

        by_year = [open_csv(name, "userId,movieId,rating,timestamp") for name in names]
        tag_file = open_csv("tags.csv", "userId,movieId,tag,timestamp")
        for first in range(0, len(users.ratings), _BLOCK_USERS):
            after = min(first + _BLOCK_USERS, len(users.ratings))
            block = make_block(films, users, first, after, seed)
            lines = rating_lines(films, block)
            for index, file in enumerate(by_year):
                inside = (block.time >= year_starts[index]) & (block.time < year_starts[index + 1])
                year_lines = [lines[row] for row in np.flatnonzero(inside).tolist()]
                if first == 0 and index == len(by_year) - 1:
                    year_lines = with_faulty_records(year_lines)
                file.write("".join(year_lines))
            tags_before, tags_after = (
                tags * int(ratings_before[user]) // int(ratings_before[-1]) for user in (first, after)
            )
            tag_file.write(tag_lines(films, block, tags_after - tags_before, Dice(seed, Part.TAGS, first)))
    return [*names, "tags.csv"]
