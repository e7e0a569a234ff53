"""What the sample sources share: random numbers that are the same on every machine, invented names, CSV files."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SCALES = (0.01, 25.0)  # minimum and maximum size of sample data

# Every title contains a name made of these parts, so that it cannot be the title of a real film.
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

# TMDB ids and title ids start here, far above all real ones. They mark rows as synthetic, whatever the file is called
# (dbt: vars sample_min_tmdb_id and sample_title_id).
SAMPLE_IDS_FROM = 900_000_000


def check_size(scale: float, seed: int) -> None:
    """Raise ValueError for a scale outside ``SCALES`` or a negative seed."""
    if not SCALES[0] <= scale <= SCALES[1]:
        raise ValueError(f"scale {scale} is not between {SCALES[0]:g} and {SCALES[1]:g}")
    if seed < 0:
        raise ValueError(f"seed {seed} is negative")


class Dice:
    """Random numbers for one part of the data. Parts are independent: a change of one leaves the others as they are."""

    def __init__(self, seed: int, *part: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence((seed, *part)))

    def uniform(self, size: int) -> Floats:
        """Return numbers in [0, 1) with 53 random bits."""
        return (self._bits.random_raw(size) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def below(self, bounds: Ints) -> Ints:
        """Return one integer in [0, bound) for each bound."""
        return (self.uniform(len(bounds)) * bounds).astype(np.int64)

    def bell(self, size: int) -> Floats:
        """Return roughly normal numbers with mean 0 and standard deviation 1, within 3.5.

        They are sums of four uniform numbers: a real normal distribution needs a logarithm.
        """
        parts = self.uniform(4 * size).reshape(4, size)
        bell: Floats = (parts[0] + parts[1] + parts[2] + parts[3] - 2.0) * math.sqrt(3.0)
        return bell

    def pick(self, weights: Sequence[int]) -> int:
        """Return the index of a weight, with a probability in proportion to it."""
        target = int(self.uniform(1)[0] * sum(weights))
        for index, weight in enumerate(weights):
            target -= weight
            if target < 0:
                return index
        raise AssertionError("unreachable: the target is below the sum of the weights")

    def choose(self, options: Sequence[str]) -> str:
        """Return one of the options, all equally likely."""
        return options[int(self.uniform(1)[0] * len(options))]

    def shuffled(self, size: int) -> Ints:
        """Return the numbers from 0 to size - 1 in random order."""
        return np.argsort(self.uniform(size), kind="stable")


def invented_name(dice: Dice) -> str:
    """Return a name that sounds real and belongs to nobody."""
    return dice.choose(_NAME_STARTS) + dice.choose(_NAME_MIDDLES) + dice.choose(_NAME_ENDS)


def running_total(weights: Ints) -> Ints:
    """Return 0 and the cumulative sums: the total before each weight, and the total of all."""
    return np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(weights, dtype=np.int64)))


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a CSV file (UTF-8, LF) and return its name."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path.name
