"""Tags that users type, and the tag genome."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from netflix_assets.dev.samples.common import Dice, write_rows
from netflix_assets.dev.samples.movielens.activity import LAST_S
from netflix_assets.dev.samples.movielens.films import Films
from netflix_assets.dev.samples.movielens.ratings import RatingBlock
from netflix_assets.dev.samples.movielens.scenario import GENOME_TAGS, GENRE_OF_TAG, Part

_ODD_TAGS = (
    "great, but long", 'the "lighthouse" scene', "über-cool", "déjà vu", "10/10", "seen on DVD", "so-so",
    "n/a", "雨の夜", "see also: the book", "WTF?!", "not for me; sorry",
)  # fmt: skip


def tag_lines(films: Films, block: RatingBlock, count: int, dice: Dice) -> str:
    """Return CSV lines with ``count`` tags, given shortly after a rating and in several spellings, as people type.

    Every fifth user gives tags, and so does user 1; (user, film, tag) is unique.
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
        chosen.setdefault(key, min(int(block.time[row]) + 10 + int(u[3] * 600), LAST_S))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows((*key, time) for key, time in sorted(chosen.items()))
    return text.getvalue()


def write_genome(folder: Path, films: Films, count: int, seed: int) -> list[str]:
    """Write the tag genome of the ``count`` most popular films and return the names of its two files.

    A film's own tags have a high relevance, other tags of its genres a medium one.
    """
    dice = Dice(seed, Part.GENOME)
    tag_genres = [GENRE_OF_TAG[tag] for tag in GENOME_TAGS]
    # In steps of 0.00025, as in GroupLens' files.
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
