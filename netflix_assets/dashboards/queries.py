"""What a page asks: columns of one mart, and nothing else. Knows neither charts nor Dagster."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pandas as pd

Run = Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]  # a query -> names of the columns, rows


@dataclass(frozen=True)
class Query:
    """Columns of a mart; ``only``: the mart's own column that says which rows are meant, such as is_charted."""

    mart: str
    columns: tuple[str, ...]
    only: str | None = None

    @property
    def full_name(self) -> str:
        """``schema.name`` of the mart."""
        return f"marts.{self.mart}"

    @property
    def sql(self) -> str:
        """The query, the same in every warehouse."""
        condition = f" where {self.only}" if self.only else ""
        return f"select {', '.join(self.columns)} from {self.full_name}{condition}"  # noqa: S608 - names of our own


def read(queries: Mapping[str, Query], run: Run) -> dict[str, pd.DataFrame]:
    """The frame of each query; every mart is asked once."""
    return {name: frame(*run(query.sql)) for name, query in queries.items()}


def first(frame: pd.DataFrame) -> dict[str, Any]:
    """The first row, each value of its own type (a row that pandas gives has one type for all of its numbers)."""
    return {name: frame[name].iloc[0] for name in frame.columns}


def last(frame: pd.DataFrame) -> dict[str, Any]:
    """The last row."""
    return first(frame.tail(1))


def greatest(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    """The first of the rows with the greatest value of a column that has numbers."""
    return first(frame.loc[[frame[column].idxmax()]])


def least(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    """The first of the rows with the least value of a column that has numbers."""
    return first(frame.loc[[frame[column].idxmin()]])


def frame(names: list[str], rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows as a frame: numbers as numbers, texts, days and times as Python has them, nothing as None."""
    columns = zip(*rows, strict=True) if rows else [() for _ in names]
    return pd.DataFrame({name: _series(list(column)) for name, column in zip(names, columns, strict=True)})


def _series(values: list[Any]) -> pd.Series:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known):
        return pd.Series(list(_numbers(values)))
    return pd.Series(values, dtype=object)


def _numbers(values: list[Any]) -> Iterator[int | float | None]:
    for value in values:
        yield float(value) if isinstance(value, Decimal) else value
