"""A file's records, and what is wrong with each. Every format's reader returns these records."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.conversion import (
    Conversion,
    ConversionError,
    conversion_of,
    literal_conversion_of,
)
from netflix_assets.contracts.dialect import TableDialect
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.values import find_fault, is_too_long
from netflix_assets.ingest.fields import join_record

# The longest record that loads, line ending included. DuckDB's reader skips longer records, except that right after the
# header it takes one more byte.
MAX_RECORD_BYTES = 2_000_000

# How validated files are written if they are not loaded as they are: by RFC 4180, with LF line endings.
CANONICAL = TableDialect()


class Literal(str):
    """A typed value: a number, true or false, or JSON text. How texts are written does not matter."""

    __slots__ = ()


class Default(str):
    """The value of a column that a record does not have, in the loadable form."""

    __slots__ = ()


class Record(NamedTuple):
    """A record as it is written.

    ``line``: number of its first line (in Parquet: its row), from 1. ``text``: with its line ending. ``problem``: why
    it cannot be split into the file's columns. ``is_open``: it opens a quote and does not close it. ``ends_file``: it
    is cut off by the end of the file. ``faults``: of columns whose value has no text, the reasons by column.
    """

    line: int
    text: str
    fields: Sequence[str]
    line_count: int = 1
    problem: str = ""
    is_open: bool = False
    ends_file: bool = False
    faults: Mapping[str, str] = MappingProxyType({})

    @property
    def has_line_end(self) -> bool:
        """Whether a line ending follows; only the last record of a file can lack it."""
        return self.text.endswith(("\n", "\r"))


class Place(NamedTuple):
    """Where a record has a contract column, and how it is written there. ``position``: None if the file lacks it."""

    column: Column
    position: int | None
    conversion: Conversion | None = None
    of_literals: Conversion | None = None

    def conversion_of(self, text: str) -> Conversion | None:
        """How this value is converted; None when it is in the loadable form."""
        if isinstance(text, Literal):
            return self.of_literals
        return None if isinstance(text, Default) else self.conversion

    @property
    def converts(self) -> Mapping[type, Callable[[str], str] | None] | None:
        """What converts a value, by the kind of its text; None when nothing does."""
        if self.conversion is None and self.of_literals is None:
            return None
        return {
            str: self.conversion.convert if self.conversion else None,
            Literal: self.of_literals.convert if self.of_literals else None,
            Default: None,
        }

    def text_in(self, fields: Sequence[str]) -> str:
        """The value as it is written; the column's default if the file does not have the column."""
        return fields[self.position] if self.position is not None else self.column.default or ""


@dataclass(frozen=True)
class Layout:
    """Where a file has the contract's columns: its number of columns, and the position of each contract column."""

    dataset: Dataset
    width: int
    positions: Sequence[int | None]

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """The contract's columns in their order. Defaults are written in the loadable form already."""
        return tuple(
            Place(column, position)
            if position is None
            else Place(
                column, position, conversion_of(self.dataset, column), literal_conversion_of(self.dataset, column)
            )
            for column, position in zip(self.dataset.columns, self.positions, strict=True)
        )

    @cached_property
    def is_verbatim(self) -> bool:
        """Whether the file has all columns and every value is written in the loadable form."""
        return all(place.position is not None and place.conversion is None for place in self.places)

    @cached_property
    def _conversions(self) -> list[tuple[int | None, Mapping[type, Callable[[str], str] | None] | None, str]]:
        # Once per file: looking all of this up for each value takes twice as long as the conversion.
        return [(place.position, place.converts, place.column.default or "") for place in self.places]

    def loadable(self, record: Record) -> list[str] | None:
        """The values in the contract's order and in the loadable form.

        None when the record cannot be split, is too long, or has a value that cannot be converted. The values may still
        break the contract's rules.
        """
        if record.problem or record.faults:
            return None
        fields = record.fields
        try:
            values = [
                (convert(text) if converts and text and (convert := converts[type(text)]) else text)
                for position, converts, default in self._conversions
                for text in (default if position is None else fields[position],)
            ]
        except ConversionError:
            return None
        return None if _is_too_long(values) else values


def layout_of_contract(dataset: Dataset) -> Layout:
    """The layout of records that have exactly the contract's columns, in its order."""
    count = len(dataset.columns)
    return Layout(dataset, count, range(count))


def find_faults(layout: Layout, record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The faulty columns of a record, and the reasons; both empty when it satisfies the contract.

    A record that cannot be split has a reason but no columns.
    """
    if record.problem:
        return (), (record.problem,)
    is_deleted = _is_deleted(layout, record)
    found = {
        place.column.name: problem
        for place in layout.places
        for text in (place.text_in(record.fields),)
        if not (is_deleted and text == "" and layout.dataset.is_empty_if_deleted(place.column))
        and (problem := record.faults.get(place.column.name) or _fault(place, text))
    }
    if not found and _may_be_too_long(record.fields) and layout.loadable(record) is None:
        return (), (f"the record is longer than {MAX_RECORD_BYTES:,} bytes",)
    return tuple(found), tuple(found.values())


def _is_deleted(layout: Layout, record: Record) -> bool:
    mark = layout.dataset.tombstone
    return mark is not None and any(
        place.column.name == mark and place.text_in(record.fields).lower() == "true" for place in layout.places
    )


def _fault(place: Place, text: str) -> str | None:
    return find_fault(place.column, text, place.conversion_of(text))


def has_too_long_text(layout: Layout, record: Record) -> bool:
    """Whether a field of a record that can be split is longer than its column allows."""
    return any(is_too_long(place.column, place.text_in(record.fields)) for place in layout.places)


def size_of(text: str) -> int:
    """Bytes of a record as it is loaded: with a line ending."""
    return len(text.encode()) + (not text.endswith(("\n", "\r")))


def _may_be_too_long(fields: Sequence[str]) -> bool:
    return sum(map(len, fields)) >= MAX_RECORD_BYTES // 8  # a character has up to four bytes, a doubled quote two


def _is_too_long(values: Sequence[str]) -> bool:
    return _may_be_too_long(values) and size_of(join_record(values, CANONICAL)) > MAX_RECORD_BYTES
