"""What all sample files are made with: random numbers that are the same on every machine, invented names, CSV files.

Does not belong here: what a source's files hold (``movielens.py``, ``netflix.py``).
"""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Every title holds a name that is put together from these, so that none is the title of a real film.
_NAME_STARTS = (
    "Bel", "Bren", "Cal", "Dro", "Eld", "Fen", "Gal", "Hol", "Ist", "Jor", "Kel", "Lum", "Mor", "Nev", "Ost",
    "Pel", "Quin", "Ral", "Sel", "Tarn", "Ul", "Vel", "Wyn", "Zan",
)  # fmt: skip
_NAME_MIDDLES = ("a", "e", "i", "o", "u", "an", "is", "or", "en", "ar")
_NAME_ENDS = (
    "bra", "dell", "dova", "gast", "lith", "mora", "nwick", "quay", "ria", "skar", "thal", "vane", "wen",
    "zor",
)  # fmt: skip
NOUNS = (
    "Archivist", "Bridge", "Cartographer", "Clockmaker", "Comet", "Courier", "Daughter", "Diver", "Echo",
    "Ferry", "Garden", "Glacier", "Harbour", "Inheritance", "Judge", "Kiosk", "Lantern", "Lighthouse",
    "Machine", "Messenger", "Nightingale", "Orchard", "Passenger", "Pianist", "Quarry", "Recipe", "Saboteur",
    "Signal", "Station", "Tailor", "Tide", "Umbrella", "Verdict", "Violinist", "Watchtower", "Winter",
)  # fmt: skip
ADJECTIVES = (
    "Borrowed", "Brass", "Crooked", "Distant", "Electric", "Forgotten", "Frozen", "Hollow", "Invisible",
    "Last", "Little", "Midnight", "Paper", "Patient", "Quiet", "Restless", "Scarlet", "Second", "Silver",
    "Sleepless",
)  # fmt: skip


# Numbers of films at TMDB and of titles begin here, far above all real ones: so tables can tell that their rows are
# invented, whatever their files were called (dbt: vars sample_min_tmdb_id and sample_title_id).
SAMPLE_IDS_FROM = 900_000_000


class Dice:
    """Uniform random numbers of one part of the data; parts are independent, so that one can change without
    the others.
    """

    def __init__(self, seed: int, *part: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence((seed, *part)))

    def uniform(self, size: int) -> Floats:
        """Numbers in [0, 1) with 53 random bits."""
        return (self._bits.random_raw(size) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, bounds: Ints) -> Ints:
        """Whole numbers, one in [0, bound) for each bound."""
        return (self.uniform(len(bounds)) * bounds).astype(np.int64)

    def bell(self, size: int) -> Floats:
        """Numbers around 0 with standard deviation 1: sums of four uniform ones, which need no logarithm;
        within 3.5.
        """
        parts = self.uniform(4 * size).reshape(4, size)
        bell: Floats = (parts[0] + parts[1] + parts[2] + parts[3] - 2.0) * math.sqrt(3.0)
        return bell

    def pick(self, weights: Sequence[int]) -> int:
        """The index of one weight, as likely as it is heavy."""
        target = int(self.uniform(1)[0] * sum(weights))
        for index, weight in enumerate(weights):
            target -= weight
            if target < 0:
                return index
        raise AssertionError("unreachable: the target is below the sum of the weights")

    def choose(self, options: Sequence[str]) -> str:
        """One of the texts."""
        return options[int(self.uniform(1)[0] * len(options))]

    def shuffled(self, size: int) -> Ints:
        """The numbers from 0 to size - 1 in random order."""
        return np.argsort(self.uniform(size), kind="stable")


def invented_name(dice: Dice) -> str:
    """A name that sounds like one and is nobody's."""
    return dice.choose(_NAME_STARTS) + dice.choose(_NAME_MIDDLES) + dice.choose(_NAME_ENDS)


def running_total(weights: Ints) -> Ints:
    """What stands before each weight, and behind the last: one more than there are weights."""
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(weights, dtype=np.int64)))


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a CSV file, UTF-8 with LF, and return its name."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path.name
