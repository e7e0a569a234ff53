"""Files with values at the edges of the contracts, generated from the contracts.

A value that keeps the contract loads, however odd it is: a film of the year 2999, a blank name, a rating at the epoch.
Values just outside the bounds are generated too; they must be rejected one by one.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.conversion import conversion_of
from netflix_assets.contracts.dialect import EPOCHS
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.values import INTEGER_BOUNDS, find_fault, precision

Rows = list[list[str]]

_ORDINARY_NUMBERS = 40  # ids that many rows share, so that rows join and reach the thresholds of the marts
_BLANKS = ["", " ", "\t", "\u00a0", "\u3000", " \n "]
_INVISIBLE = ["\u200b", "\x01", "\x1b[31m", "\x7f", "\ufeff", "\u202e", "e\u0301"]
_MISLEADING = ["NULL", "null", "None", "nan", "-", "0", "00", "true", "%", "_", "\\", "''", '"', '""', ",", ";", "#1"]
_TITLES = [
    "Title", "title", "TITLE ", "Title (1995)", "Title (1995) ", "(1995)", "(1850)", "(1849)", "(2100)", "(2101)",
    "(0000)", "(2999)", "Zero (0000)", "Future (2999)", "Title (1995-)", "Title (1995\u20139999)", "Title ()", "()",
    "(", "Title (١٩٩٥)", "=1+1", "+1", "@x", "Amélie (2001)", "映画 (2020)", "🎬 (2021)", "Two\nlines (1999)", "A / B",
    "var(--film)", "a" * 1_000,
]  # fmt: skip
_LISTS = [
    "(no genres listed)", "(no genres listed)|Action", "Action", "action", "Action|Action", " Action | Action", "|",
    "||", "Action||Drama", "Drama|", "|".join(f"G{number}" for number in range(60)), "all", "(none)", "unknown",
    "[]", "['']", "[' ']", "['a', 'a']", "['A', 'a']", "['a', '']", '["it\'s"]', "['a|b']", "['all']", "['(none)']",
    "['\u00a0']", "['XX', 'ZZZ']", "['" + "', '".join(f"g{number}" for number in range(60)) + "']",
]  # fmt: skip
_IDENTIFIERS = [
    "0000000", "0000001", "00000000", "99999999", "tt0000000", "tt000000000", "tt999999999", "tm1", "TM1", "ts1", "t_1",
    "t_000000001", "tm1 ",
]  # fmt: skip
_CODES = ["US", "CA", "ZZ", "USD", "JPY", "XXX"]
_TEXTS = [*_BLANKS, *_INVISIBLE, *_MISLEADING, *_TITLES, *_LISTS, *_IDENTIFIERS, *_CODES]
_FLOATS = [
    0.0,
    -0.0,
    1.0,
    0.1,
    0.5,
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    1e15,
    -1.0,
    1e-10,
    123.456,
]
_TYPED = {
    "json": ["null", "[]", "{}", '["a", "a"]', '{"size": 1e3, "size ": ""}', '"text"', "-0.0"],
    "boolean": ["true", "false", "TRUE", "False"],
    "date": [
        "0001-01-01",
        "0099-12-31",
        "1582-10-10",
        "1900-02-28",
        "1970-01-01",
        "2000-02-29",
        "2262-04-12",
        "9999-12-31",
    ],
    "timestamp": ["0001-01-01 00:00:00", "1969-12-31T23:59:59.999999", "2262-04-12 00:00:00", "9999-12-31 23:59:59"],
}


@dataclass(frozen=True)
class Edges:
    """The edge values of one column as a file spells them: those that load, and those that are rejected."""

    valid: list[str]
    invalid: list[str]


def edges_of(dataset: Dataset, column: Column) -> Edges:
    """The values at the edges of a column's type and rules.

    Raises: AssertionError for a rule that none of the known values meets, such as a new pattern.
    """
    texts = list(dict.fromkeys(_candidates(dataset, column)))
    valid = [text for text in texts if find_fault(column, text, conversion_of(dataset, column)) is None]
    assert any(valid), f"no value in proof/edges.py is valid for {column.name}; add one to _TEXTS"
    return Edges(valid, [text for text in texts if text not in valid])


def _candidates(dataset: Dataset, column: Column) -> Iterator[str]:
    yield ""
    yield from column.values
    if time_format := dataset.time_format(column):
        yield from (_written(text, time_format) for text in _TYPED["timestamp"])
    elif column.type in _TYPED:
        yield from _TYPED[column.type]
    elif column.type == "text":
        yield from _TEXTS
    elif column.type == "double":
        yield from (repr(value) for value in _FLOATS)
        yield from (f"{bound:f}" for bound in (column.min, column.max) if bound is not None)
    else:
        yield from _numbers(column)


def _written(text: str, time_format: str) -> str:
    """A timestamp as files of a dataset with this format have it."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    if time_format in EPOCHS:
        return str(int(moment.timestamp()) * EPOCHS[time_format])
    return moment.strftime(time_format)


def _numbers(column: Column) -> Iterator[str]:
    digits = precision(column)
    scale = digits[1] if digits else 0
    largest = Decimal(10) ** (digits[0] - scale) if digits else Decimal(INTEGER_BOUNDS[column.type])
    step = column.multiple_of or Decimal(1).scaleb(-scale)
    bounds = [bound for bound in (column.min, column.max) if bound is not None]
    for value in (*bounds, -largest, largest, Decimal(0), Decimal(2**31), Decimal(2**62)):
        yield from (f"{near:f}" for near in (value - step, value, value + step))
    yield from ("007", "+1", "-1", "1.0", "4.500", "1e3", "99")
    yield from (str(number) for number in range(1, _ORDINARY_NUMBERS + 1))


def _ordinary(column: Column, edges: Edges, random: Random) -> str:
    """A value as most files have it."""
    if column.type in ("integer", "bigint"):
        low = max(int(column.min or 0), 1)
        high = low + _ORDINARY_NUMBERS - 1
        return str(random.randint(low, high if column.max is None else min(high, int(column.max))))
    if column.name == "title_id":
        return f"tm{random.randint(1, _ORDINARY_NUMBERS)}"
    return random.choice([text for text in edges.valid if text.strip()][:20])


def one_at_a_time(dataset: Dataset, random: Random) -> Rows:
    """Ordinary rows with one edge value each: every valid edge of every column twice, every invalid one once."""
    columns = [(column, edges_of(dataset, column)) for column in dataset.columns]
    rows = []
    for position, (_, edges) in enumerate(columns):
        for text in edges.valid * 2 + edges.invalid:
            row = [_ordinary(*each, random) for each in columns]
            row[position] = text
            rows.append(row)
    return rows


def combined(dataset: Dataset, random: Random, count: int, share: float) -> Rows:
    """Valid rows; each value is at an edge with probability ``share``."""
    columns = [(column, edges_of(dataset, column)) for column in dataset.columns]
    return [
        [
            random.choice(edges.valid) if random.random() < share else _ordinary(column, edges, random)
            for column, edges in columns
        ]
        for _ in range(count)
    ]


def is_valid(dataset: Dataset, row: Sequence[str]) -> bool:
    """Whether the contract accepts the row. A deleted row has only its key."""
    texts = dict(zip((column.name for column in dataset.columns), row, strict=True))
    is_deleted = dataset.tombstone is not None and texts[dataset.tombstone].strip().lower() == "true"
    return all(
        find_fault(
            column.model_copy(update={"nullable": True})
            if is_deleted and dataset.is_empty_if_deleted(column)
            else column,
            texts[column.name],
            conversion_of(dataset, column),
        )
        is None
        for column in dataset.columns
    )


def file_of(dataset: Dataset, rows: Rows) -> bytes:
    """The rows as a file of the dataset. Raises: KeyError for a format that has no edges yet."""
    return {"csv": _csv, "json": _json_lines, "jsonl": _json_lines}[dataset.format](dataset, rows)


def _csv(dataset: Dataset, rows: Rows) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow([column.file_name for column in dataset.columns])
    writer.writerows(rows)
    return file.getvalue().encode()


def _json_lines(dataset: Dataset, rows: Rows) -> bytes:
    """JSON Lines, which datasets of documents take too. Values are strings, except those of type json."""
    return "".join(f"{{{', '.join(map(_member, dataset.columns, row))}}}\n" for row in rows).encode()


def _member(column: Column, text: str) -> str:
    value = text if column.type == "json" else json.dumps(text)
    return f"{json.dumps(column.file_name)}: {value or 'null'}"


def edge_rows(dataset: Dataset, random: Random) -> Rows:
    """Every edge of every column, and two thousand rows around them."""
    return [*one_at_a_time(dataset, random), *combined(dataset, random, 2_000, 0.1)]
