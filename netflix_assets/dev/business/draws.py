"""Random numbers one at a time, from the same streams as those of the sample files."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid5

from netflix_assets.dev.samples.common import Dice

Option = TypeVar("Option")
_POOL = 4_096  # numbers drawn at a time; one at a time costs 20 times as much
_NAMESPACE = UUID("5d3f6c1e-9f0a-5b3f-8f0e-2d1c7a0b9e44")


class Draws:
    """Random numbers for one part of the data."""

    def __init__(self, seed: int, *part: int) -> None:
        self._dice = Dice(seed, _SOURCE, *part)
        self._pool: list[float] = []

    def unit(self) -> float:
        """A number in [0, 1)."""
        if not self._pool:
            self._pool = self._dice.uniform(_POOL).tolist()
            self._pool.reverse()
        return self._pool.pop()

    def chance(self, share: float) -> bool:
        """True in this share of the calls."""
        return self.unit() < share

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both inclusive."""
        return low + int(self.unit() * (high - low + 1))

    def one_of(self, options: Sequence[Option]) -> Option:
        """One of the options, all equally likely."""
        return options[int(self.unit() * len(options))]

    def weighted(self, options: Sequence[Option], cumulative: Sequence[int]) -> Option:
        """One of the options, by their cumulative weights."""
        return options[bisect_right(cumulative, self.unit() * cumulative[-1])]

    def moment(self, days: float = 1.0) -> timedelta:
        """A span below so many days, in whole microseconds."""
        return timedelta(microseconds=int(self.unit() * days * 86_400_000_000))


_SOURCE = 200  # apart from the streams of the sample files


def identifier(*parts: object) -> str:
    """A UUID that depends on nothing but its parts."""
    return str(uuid5(_NAMESPACE, "/".join(map(str, parts))))
