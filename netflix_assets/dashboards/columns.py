"""Columns of a panel: how its table and its chart's tooltips show a value."""

from collections.abc import Iterable
from dataclasses import dataclass

import altair as alt


@dataclass(frozen=True)
class Column:
    """A column of a panel's rows.

    Parameters:
        name: the column of the frame.
        label: its heading in the table and its name in tooltips.
        format: "text", "number", "percent" (a share, 0 to 1) or "bar" (a number with a bar scaled to ``maximum``).
        digits: digits after the decimal point.
        signed: show a plus sign.
        maximum: the value of a full bar.
    """

    name: str
    label: str
    format: str = "text"
    digits: int = 0
    signed: bool = False
    maximum: float | None = None

    @property
    def d3_format(self) -> str | None:
        """The d3 format of the column's numbers; None for text."""
        if self.format == "text":
            return None
        return f"{'+' if self.signed else ''},.{self.digits}{'%' if self.format == 'percent' else 'f'}"


def number(name: str, label: str, digits: int = 0, *, signed: bool = False) -> Column:
    """Return a column of numbers."""
    return Column(name, label, "number", digits, signed)


def percent(name: str, label: str, digits: int = 1, *, signed: bool = False) -> Column:
    """Return a column of shares (0 to 1), shown as percentages."""
    return Column(name, label, "percent", digits, signed)


def tooltips(columns: Iterable[Column]) -> list[alt.Tooltip]:
    """Return one tooltip line per column."""
    return [
        alt.Tooltip(
            f"{column.name}:{'N' if column.format == 'text' else 'Q'}",
            title=column.label,
            format=column.d3_format or alt.Undefined,
        )
        for column in columns
    ]
