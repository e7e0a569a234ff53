"""Find what is unusual about a load, compared with the dataset's own history. Pure functions over figures.

A figure is unusual when it is more than ``SPREADS`` robust standard deviations from the median of its history. The
robust standard deviation is the median absolute deviation, scaled as for a normal distribution. A few odd loads in the
history therefore neither hide nor cause a warning.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

# With fewer earlier loads than this, nothing is called unusual.
MIN_HISTORY = 8

SPREADS = 6.0
_WHOLE, _HUNDREDTH = 100, 0.01  # from here on, figures are shown with no and with two decimal places
_NORMAL = 1.4826  # standard deviation of a normal distribution, in median absolute deviations


@dataclass(frozen=True)
class Figure:
    """One figure of one load, and the same figure of earlier loads.

    ``slack``: smallest distance from the median that is worth a warning, in the figure's unit; needed because a history
    of equal values has no spread. ``floor``, ``ceiling``: smallest and largest possible value.
    """

    name: str
    value: float
    history: Sequence[float]
    slack: float
    floor: float = float("-inf")
    ceiling: float = float("inf")


@dataclass(frozen=True)
class Anomaly:
    """A figure outside its usual range, ``low`` to ``high`` inclusive, in the figure's unit."""

    name: str
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} {_format(self.value)}, usually {_format(self.low)} to {_format(self.high)}"


@dataclass(frozen=True)
class LoadFigures:
    """The compared figures of one load: row count, and per column the share of nulls (0 to 1) and the mean."""

    rows: int
    null_shares: dict[str, float]
    means: dict[str, float]


def row_count(value: int, history: Sequence[int]) -> Figure:
    """A load's row count; 10% more or less than the median is never unusual."""
    return Figure("row count", value, history, slack=0.1 * median(history) if history else 0.0, floor=0.0)


def null_share(column: str, value: float, history: Sequence[float]) -> Figure:
    """A column's share of nulls; 0.02 more or less than the median is never unusual."""
    return Figure(f"null share of {column}", value, history, slack=0.02, floor=0.0, ceiling=1.0)


def mean(column: str, value: float, history: Sequence[float]) -> Figure:
    """A column's mean; 5% more or less than the median is never unusual."""
    return Figure(f"mean of {column}", value, history, slack=0.05 * abs(median(history)) if history else 0.0)


def usual_range(figure: Figure) -> tuple[float, float] | None:
    """The lowest and the highest usual value; None while the history is too short."""
    if len(figure.history) < MIN_HISTORY:
        return None
    middle = median(figure.history)
    spread = _NORMAL * median(abs(value - middle) for value in figure.history)
    distance = max(SPREADS * spread, figure.slack)
    return max(middle - distance, figure.floor), min(middle + distance, figure.ceiling)


def anomaly(figure: Figure) -> Anomaly | None:
    """The anomaly in a figure; None when it is usual or the history is too short."""
    usual = usual_range(figure)
    if usual is None or usual[0] <= figure.value <= usual[1]:
        return None
    return Anomaly(figure.name, figure.value, *usual)


def anomalies(load: LoadFigures, history: Sequence[LoadFigures]) -> list[Anomaly]:
    """The anomalies of a load: in its row count, then in the nulls and the mean of each column."""
    return [found for figure in _figures(load, history) if (found := anomaly(figure))]


def _figures(load: LoadFigures, history: Sequence[LoadFigures]) -> Iterator[Figure]:
    yield row_count(load.rows, [each.rows for each in history])
    for column, share in load.null_shares.items():
        yield null_share(column, share, _column_history(column, (each.null_shares for each in history)))
    for column, value in load.means.items():
        yield mean(column, value, _column_history(column, (each.means for each in history)))


def _column_history(column: str, figures: Iterable[dict[str, float]]) -> list[float]:
    return [each[column] for each in figures if column in each]


def _format(value: float) -> str:
    if abs(value) >= _WHOLE or (value == int(value) and value != 0):
        return f"{value:,.0f}"
    return f"{value:,.2f}" if abs(value) >= _HUNDREDTH or value == 0 else f"{value:.3g}"
