"""Split a text file into records, and find what is wrong with each. Every reader of a file's records uses this module.

An opened quote that nobody closes swallows the records after it, up to the next quote or to the end of the file. Such a
record is recovered: its first line is rejected, and the lines after it are read as the records that they are. A record
of several lines that satisfies the contract is never touched.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TextIO

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.values import could_start, find_fault, is_too_long
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.decode import RefusedError

# The longest record that loads, line ending included. DuckDB's reader skips longer records, except that right after the
# header it takes one more byte.
MAX_RECORD_BYTES = 2_000_000
# The longest text that is kept in memory and as a reject, in characters. Snowflake keeps at most 16 MiB.
MAX_REJECT_LENGTH = 16_000_000
# The default of Python's csv module is 131,072 characters per field.
csv.field_size_limit(2 * MAX_REJECT_LENGTH)

# Recovery reads lines again, up to this many characters in one file: 13 s for a million records of which every 40th
# opens a quote that runs to the end. Without a limit such a file would take hours.
_REREAD_LENGTH = 20 * MAX_REJECT_LENGTH
_SAMPLE_LINES = 1_000  # lines that recovery looks at
# Lines that must be records, where the contract has nothing but text to tell a record from a line of a text.
_RECORDS_IN_TEXT = 5

_END_MARK = "\x00end"  # cannot occur in a file: NUL bytes are refused
_LINE_END = re.compile("\r\n|\r|\n")
_FOOTER = re.compile(
    r"\s*(#.*|[^\w\s][^\w]*|total\s*(rows|records|lines|count)?\s*[:=].*|\(?[0-9][0-9,. ]*(rows?|records?)\b.*)\s*",
    re.IGNORECASE | re.DOTALL,
)


class Record(NamedTuple):
    """A record as it is written.

    ``line``: number of its first line, from 1. ``text``: with its line ending. ``is_open``: it opens a quote and does
    not close it. ``ends_file``: that quote is still open at the end of the file.
    """

    line: int
    text: str
    fields: list[str]
    line_count: int = 1
    is_open: bool = False
    ends_file: bool = False

    @property
    def has_line_end(self) -> bool:
        """Whether a line ending follows; only the last record of a file can lack it."""
        return self.text.endswith(("\n", "\r"))


@dataclass(frozen=True)
class Layout:
    """Where a file has the contract's columns: its number of columns, and the position of each contract column."""

    dataset: Dataset
    width: int
    positions: Sequence[int]


def read_header(path: Path, dataset: Dataset) -> tuple[str, ...]:
    """The fields of the first record. Raises: RefusedError when there is none, or when a quote in it stays open."""
    with path.open(encoding="utf-8", newline="") as file:
        for record in _Reader(file, dataset.delimiter).records():
            if record.is_open:
                raise RefusedError(f'the header (line {record.line}) opens a quote (") that is never closed')
            return tuple(record.fields)
    raise RefusedError("the file contains only blank lines")


def read_records(path: Path, layout: Layout) -> Iterator[Record]:
    """Every record of a file after the header; blank lines are skipped.

    Raises: RefusedError when a line, or a record that cannot be recovered, is longer than ``MAX_REJECT_LENGTH``.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = _Reader(file, layout.dataset.delimiter)
        records = reader.records()
        next(records, None)  # the header
        reread = 0
        for record in records:
            if record.line_count == 1:
                yield record
            elif reread < _REREAD_LENGTH and _swallows_records(record, layout):
                reread += len(record.text)
                yield reader.keep_first_line(record)
            elif record.is_open and not record.ends_file:
                raise RefusedError(
                    f"the record that starts at line {record.line} is longer than {MAX_REJECT_LENGTH:,} characters: a "
                    'quote (") in it is probably not closed'
                )
            else:
                yield record


class _Reader:
    """Splits a file into records with Python's csv module. Lines can be put back and read again."""

    def __init__(self, file: TextIO, delimiter: str) -> None:
        self._file = file
        self._delimiter = delimiter
        self._again: deque[str] = deque()
        self._at_end = False
        self._line = 1  # number of the first line of the current record
        self._lines: list[str] = []  # its lines so far

    def records(self) -> Iterator[Record]:
        """The records. The one that a quote keeps open ends with the file, or where it becomes too long."""
        while self._again or not self._at_end:
            for fields in csv.reader(self._feed(), delimiter=self._delimiter):
                lines, self._lines = self._lines, []
                line = self._line
                self._line += len(lines)
                is_open = bool(fields) and fields[-1].endswith(_END_MARK)
                if is_open:
                    fields[-1] = fields[-1].removesuffix(_END_MARK)
                if lines and fields:
                    yield Record(line, "".join(lines), fields, len(lines), is_open, is_open and self._at_end)

    def keep_first_line(self, record: Record) -> Record:
        """Shorten the record read last to its first line, and put back the others."""
        first, *others = split_lines(record.text)
        self._again.extendleft(reversed(others))
        self._line -= len(others)
        fields = next(csv.reader([first], delimiter=self._delimiter))
        return Record(record.line, first, fields, is_open=True)

    def _feed(self) -> Iterator[str]:
        """The lines. A mark after the last one shows whether a quote is open there."""
        lines, again, size = self._lines, self._again, 0
        while True:
            if self._lines is not lines:  # the reader has begun another record
                lines, size = self._lines, 0
            line = again.popleft() if again else self._file.readline(MAX_REJECT_LENGTH)
            size += len(line)
            if not line or (size > MAX_REJECT_LENGTH and lines):
                break
            if len(line) == MAX_REJECT_LENGTH:
                raise RefusedError(
                    f"line {self._line + len(lines)} is longer than {MAX_REJECT_LENGTH:,} characters; its line endings "
                    "are probably missing. Export the file with one record per line"
                )
            lines.append(line)
            yield line
        self._at_end = not line
        if line:
            again.appendleft(line)
        yield _END_MARK


def parse_records(text: str, dataset: Dataset) -> list[list[str]]:
    """The fields of each record of a text that is in memory, such as a reject or a header."""
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=dataset.delimiter))


def split_lines(text: str) -> list[str]:
    """The lines of a text, each with its line ending. Other separators, such as U+2028, are no line endings."""
    ends = [match.end() for match in _LINE_END.finditer(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]


def _swallows_records(record: Record, layout: Layout) -> bool:
    """Whether the lines of a faulty record are records themselves, so that a quote in its first line is not closed."""
    if layout.width < 2 or not (record.is_open or find_faults(layout, record.text, record.fields)[1]):
        return False
    return holds_records(record, layout, share=2 / 3)


def holds_records(record: Record, layout: Layout, share: float) -> bool:
    """Whether the lines of a record of several lines, after its first, satisfy the contract as records.

    ``share``: of the lines between the first and the last one. The last line has the quote that ended the record.
    """
    lines = [line for line in split_lines(record.text)[1 : 1 + _SAMPLE_LINES] if line.strip("\r\n")]
    found = [_is_record(line, layout) for line in lines]
    between = found[:-1]
    has_form = any(column.type != "text" or column.values or column.pattern for column in layout.dataset.columns)
    return sum(found) >= (1 if has_form else _RECORDS_IN_TEXT) and sum(between) >= share * len(between)


def _is_record(line: str, layout: Layout) -> bool:
    fields = next(csv.reader([line], delimiter=layout.dataset.delimiter), [])
    return not find_faults(layout, line, fields)[1]


def find_faults(layout: Layout, text: str, fields: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The faulty columns of a record, and the reasons; both empty when it satisfies the contract.

    A malformed record has a reason but no columns.
    """
    malformed = malformed_reason(layout, text, fields)
    if malformed:
        return (), (malformed,)
    found = {
        column.name: problem
        for column, position in zip(layout.dataset.columns, layout.positions, strict=True)
        if (problem := find_fault(column, fields[position]))
    }
    return tuple(found), tuple(found.values())


def has_too_long_text(layout: Layout, fields: Sequence[str]) -> bool:
    """Whether a field of a well-formed record is longer than its column allows."""
    columns = zip(layout.dataset.columns, layout.positions, strict=True)
    return any(is_too_long(column, fields[position]) for column, position in columns)


def malformed_reason(layout: Layout, text: str, fields: Sequence[str]) -> str | None:
    """Why a record cannot be split into as many fields as the header has; None when it can."""
    if '"' in text and not _well_quoted(layout.dataset.delimiter).fullmatch(text):
        return 'unescaped quote (") inside a field; quote the field and double the inner quotes'
    if len(fields) != layout.width:
        return f"{counted(len(fields), 'field')}, but the header has {layout.width}{_why_too_few(layout, text, fields)}"
    if len(text) >= MAX_RECORD_BYTES // 4 and _size(text) > MAX_RECORD_BYTES:
        return f"the record is longer than {MAX_RECORD_BYTES:,} bytes"
    return None


def open_quote_reason(record: Record) -> str:
    """Why a record whose quote is not closed is rejected."""
    if record.ends_file:
        return 'opens a quote (") that is never closed; the file may be truncated'
    return 'opens a quote (") that is not closed; the lines after it are records and are read as such'


def is_cut_off(layout: Layout, record: Record) -> bool:
    """Whether a record looks like the end of a truncated file."""
    if record.ends_file:
        return True
    too_few = len(record.fields) < layout.width and not record.has_line_end
    return too_few and not _is_footer(layout, record.text, record.fields)


def _why_too_few(layout: Layout, text: str, fields: Sequence[str]) -> str:
    if len(fields) > layout.width:
        return ""
    if _is_footer(layout, text, fields):
        return "; this looks like a footer or a comment, not a record: delete the line"
    if not text.endswith(("\n", "\r")):
        return "; this last record has no line ending, so the file may be truncated"
    return ""


def _is_footer(layout: Layout, text: str, fields: Sequence[str]) -> bool:
    """Whether a record with too few fields was never one: ``Total: 3 rows``, ``# end``, ``;;;``."""
    if _FOOTER.fullmatch(text):
        return True
    if text.endswith(("\n", "\r")) or not fields:
        return False
    # The start of a record has valid values, of which the last may be cut off.
    columns = dict(zip(layout.positions, layout.dataset.columns, strict=True))
    *whole, last = enumerate(fields)
    is_start = all(at not in columns or find_fault(columns[at], value) is None for at, value in whole)
    return not is_start or not (last[0] not in columns or could_start(columns[last[0]], last[1]))


def _size(text: str) -> int:
    """Bytes of a record as it is loaded: with a line ending."""
    return len(text.encode()) + (not text.endswith(("\n", "\r")))


@lru_cache
def _well_quoted(delimiter: str) -> re.Pattern[str]:
    # A field by RFC 4180: quoted as a whole with inner quotes doubled, or free of quotes.
    separator = re.escape(delimiter)
    field = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n{separator}]*+)'
    return re.compile(rf"{field}(?:{separator}{field})*+[\r\n]*+")
