"""The queries of a page: columns of one mart each, read into pandas frames."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

# vl-convert ends the process at a character that XML does not allow, and a line break in a name that a chart sorts by
# empties the chart.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")

Execute = Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]  # SQL -> column names, rows


@dataclass(frozen=True)
class Query:
    """Columns of a mart; ``where`` names a boolean column of it that selects the rows, such as is_charted."""

    mart: str
    columns: tuple[str, ...]
    where: str | None = None

    @property
    def full_name(self) -> str:
        """``schema.name`` of the mart."""
        return f"marts.{self.mart}"

    @property
    def sql(self) -> str:
        """The query, the same for every warehouse."""
        condition = f" where {self.where}" if self.where else ""
        return f"select {', '.join(self.columns)} from {self.full_name}{condition}"  # noqa: S608 - constants


def read(queries: Mapping[str, Query], execute: Execute) -> dict[str, pd.DataFrame]:
    """Run each query once and return its frame."""
    return {name: frame(*execute(query.sql)) for name, query in queries.items()}


def first_row(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the first row, each value with the type of its column (``iloc[0]`` casts numbers to one type)."""
    return {name: frame[name].iloc[0] for name in frame.columns}


def last_row(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the last row."""
    return first_row(frame.tail(1))


def max_row(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    """Return the first row with the highest value of a numeric column."""
    return first_row(frame.loc[[frame[column].idxmax()]])


def min_row(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    """Return the first row with the lowest value of a numeric column."""
    return first_row(frame.loc[[frame[column].idxmin()]])


def frame(names: list[str], rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return rows as a frame: numbers as numbers, everything else as Python objects, nulls as None.

    Control characters and line breaks in texts become spaces.
    """
    columns = zip(*rows, strict=True) if rows else [() for _ in names]
    return pd.DataFrame({name: _series(list(column)) for name, column in zip(names, columns, strict=True)})


def _series(values: list[Any]) -> pd.Series:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known):
        return pd.Series([float(value) if isinstance(value, Decimal) else value for value in values])
    return pd.Series([_CONTROL.sub(" ", value) if isinstance(value, str) else value for value in values], dtype=object)
