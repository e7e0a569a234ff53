"""Where a contract's columns are in a record with named members: a JSON object or a row of a Parquet file.

Literals keep the text that they have in the file (``Literal``), so nothing is rounded on the way to the warehouse.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring  # the C function behind ensure_ascii=False
from typing import Any

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.records import Default, Literal

MAX_DEPTH = 100  # levels of nesting, far below the limits of Python, DuckDB and Snowflake
_MAX_UNKNOWN = 1_000  # names of unknown members that are remembered
ABSENT = object()  # in place of a value that is not there
_INDEX = re.compile("0|[1-9][0-9]*")


def to_json(value: object) -> str:
    """The value as compact JSON. Literals and the order of members stay as they are.

    Raises: RecursionError when it is nested more than ``MAX_DEPTH`` levels deep.
    """
    return _to_json(value, MAX_DEPTH)


def _to_json(value: object, levels: int) -> str:
    if levels < 0:
        raise RecursionError
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, Mapping):
        members = [f"{encode_basestring(name)}:{_to_json(each, levels - 1)}" for name, each in value.items()]
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join([_to_json(each, levels - 1) for each in value])}]"
    return encode_basestring(str(value))


def tokens(pointer: str) -> tuple[str, ...]:
    """The names and indexes in a JSON Pointer (RFC 6901)."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def paths(column: Column) -> tuple[tuple[str, ...], ...]:
    """Where the column may be, the usual place first."""
    return (tokens(column.pointer), *((alias,) for alias in column.aliases))


class Members:
    """Takes the values of a contract's columns out of records.

    ``names``: of the columns. ``unknown``: top-level members that no column reads, in the order of their appearance.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.unknown: dict[str, None] = {}
        self.names = tuple(column.name for column in dataset.columns)
        self._columns = [(column, paths(column)) for column in dataset.columns]
        self._flat = [
            each[0][0] if len(each) == 1 and len(each[0]) == 1 and not column.rest and column.default is None else None
            for column, each in self._columns
        ]
        self._holds_rest = any(column.rest for column in dataset.columns)
        self._reads_all = any(not each[0] and not column.rest for column, each in self._columns)
        self._known = {path[0] for column, each in self._columns if not column.rest for path in each if path}
        # Parquet has no type for JSON: there it is in strings. In a JSON file a string is a JSON value itself.
        self._strings_are_json = dataset.format == "parquet"

    def take(self, record: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
        """The text of each column in the contract's order, and what is wrong with those that have none, by column."""
        if not self._known.issuperset(record) and not (self._holds_rest or self._reads_all):
            self._note_unknown(record)
        fields: list[str] = []
        faults: dict[str, str] = {}
        for (column, places), name in zip(self._columns, self._flat, strict=True):
            value = record.get(name) if name is not None else self._find(record, column, places, faults)
            if type(value) is str and column.type != "json":
                fields.append(value)
            else:
                fields.append(self._text(value, column, faults))
        return fields, faults

    def _note_unknown(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._known and len(self.unknown) < _MAX_UNKNOWN:
                self.unknown[name] = None

    def _find(
        self, record: Mapping[str, Any], column: Column, places: Sequence[tuple[str, ...]], faults: dict[str, str]
    ) -> object:
        if column.rest:
            return {name: value for name, value in record.items() if name not in self._known}
        for path in places:
            try:
                value = follow(record, path)
            except WrongKindError as error:
                faults[column.name] = f"{column.name}: {error}"
                return None
            if value is not ABSENT:
                return value
        return None if column.default is None else Default(column.default)

    def _text(self, value: object, column: Column, faults: dict[str, str]) -> str:
        if value is None or value == "":
            return ""
        if column.type == "json" and not (self._strings_are_json and type(value) is str):
            return value if isinstance(value, Default) else Literal(to_json(value))
        if isinstance(value, bool):
            return Literal("true" if value else "false")
        if isinstance(value, str):
            return value
        faults[column.name] = (
            f"{column.name} is {describe(value)}, not {_article(column.type)}; declare `type: json` or a `path`"
        )
        return ""


class WrongKindError(Exception):
    """A path leads into a value that has no members."""


def follow(value: Any, path: Sequence[str]) -> object:
    """The value at a path; ``ABSENT`` when there is none. Raises: WrongKindError."""
    for at, token in enumerate(path):
        if value is None or value == "":
            return ABSENT
        if isinstance(value, Mapping):
            value = value.get(token, ABSENT)
        elif isinstance(value, list) and _INDEX.fullmatch(token):
            index = int(token)
            value = value[index] if index < len(value) else ABSENT
        else:
            raise WrongKindError(f"/{'/'.join(path[:at])} is {describe(value)}, which has no member '{token}'")
        if value is ABSENT:
            return ABSENT
    return value


def describe(value: object) -> str:
    """What kind of JSON value it is, for messages."""
    if isinstance(value, Mapping):
        return "a JSON object"
    if isinstance(value, list):
        return "a JSON array"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Literal):
        return "a number"
    return "null" if value is None else "a text"


def _article(kind: str) -> str:
    return kind if kind == "text" else f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
