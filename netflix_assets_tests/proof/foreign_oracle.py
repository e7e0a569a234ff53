"""The expected outcome of any CSV file, from Python's csv module, under a contract of text columns from its header.

The rule: every physical line belongs to exactly one loaded record or one reject. From a clean start, a record that csv
reads well must be loaded, and one that it cannot must be rejected at that line. How many of a bad record's lines the
reject covers is the loader's choice (``_lines_of_reject``); reading starts clean after them. Files stream: memory does
not grow with their size.
"""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from netflix_assets.contracts.model import Dataset, Tolerance
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.proof.csv_oracle import LONGEST_RECORD, _is_well_quoted

DELIMITERS = ",;\t|"
_SNIFFED_LINES, _SNIFFED_CHARACTERS = 50, 100_000  # lines that decide the delimiter, characters of each
LONGEST_REJECT = 16_000_000  # characters
_BLOCK_BYTES = 2**16
_AFTER_THE_END = "\0end"
_BUCKETS = 4096
_SHOWN = 5  # differences per file

Values = tuple[str | None, ...]


@dataclass(frozen=True)
class ForeignFile:
    """A file and how to read it.

    ``unreadable``: why no text can be had of it; such a file must be refused. ``without_ctrl_z``: whether DOS's mark of
    the end of a file is no part of it.
    """

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    unreadable: str = ""
    without_ctrl_z: bool = False

    @property
    def columns(self) -> list[int]:
        """Positions of the columns of the contract: those with a name, the first of each name."""
        return [at for at, name in enumerate(self.header) if name and self.header.index(name) == at]

    def dataset(self, name: str) -> Dataset:
        """A contract of text columns. It never refuses a file for its number of rejects."""
        columns = [
            make_column(f"c{at}{_slug(self.header[at])}", source_name=self.header[at], nullable=True)
            for at in self.columns
        ]
        return make_dataset(
            *columns or [make_column("unnamed")],
            name=name,
            dialect={"delimiter": self.delimiter},
            encoding=self.encoding,
            tolerance=Tolerance(rejected_share=1),
        )

    def lines(self) -> Iterator[str]:
        """The physical lines with their line endings, without a byte order mark."""
        codec = {"utf-8": "utf-8-sig"}.get(self.encoding, self.encoding)
        with _open(self.path) as binary, io.TextIOWrapper(binary, codec, newline="") as text:
            yield from _without_ctrl_z(text) if self.without_ctrl_z else text


def _without_ctrl_z(lines: Iterable[str]) -> Iterator[str]:
    held: list[str] = []  # a line, and those after it that have nothing but the mark
    for line in lines:
        if line.strip("\x1a\r\n"):
            yield from held
            held.clear()
        held.append(line)
    text = "".join(held)
    end = len(text.rstrip("\x1a\r\n"))
    left = end + len(text[end:].partition("\x1a")[0])
    for line in held:
        if left > 0:
            yield line[:left]
        left -= len(line)


@dataclass(frozen=True)
class Reject:
    """A rejected record as the warehouse has it."""

    line: int
    text: str
    reason: str = ""


class DifferenceError(Exception):
    """The warehouse has something else than csv reads."""


# ---------------------------------------------------------------- how to read a file


def inspect(path: Path) -> ForeignFile:
    """Find a file's encoding, delimiter and header."""
    encoding, unreadable = _find_encoding(path)
    file = ForeignFile(path, encoding, ",", (), unreadable)
    if unreadable:
        return file
    with closing(file.lines()) as lines:
        head = [line[:_SNIFFED_CHARACTERS] for line in islice(lines, _SNIFFED_LINES)]
    delimiter = max(DELIMITERS, key=lambda each: _fit(head, each))
    file = ForeignFile(path, encoding, delimiter, ())
    with closing(file.lines()) as lines:
        header = next(_Records(lines, delimiter), None)
    return ForeignFile(path, encoding, delimiter, tuple(header.fields) if header else ())


def reasons_to_refuse(file: ForeignFile) -> list[str]:
    """Why a file may be refused; empty when it must load."""
    if file.unreadable:
        return [file.unreadable]
    names = [name for name in file.header if name]
    found = [f"duplicate column '{name}'" for name, count in Counter(names).items() if count > 1]
    if not names:
        found.append("no column has a name")
    with closing(file.lines()) as lines:
        if any("\0" in line for line in lines):
            found.append("NUL")
    count = 0
    with closing(replace(file, without_ctrl_z=True).lines()) as lines:
        for record in _Records(lines, file.delimiter):
            count += 1
            if record.is_open:
                found.append(f"line {record.line}: a quote that is never closed")
            if sum(map(len, record.lines)) > LONGEST_REJECT:
                found.append(f"line {record.line}: a record too long to be kept as a reject")
    if count < 2:
        found.append("no records")
    return found


def _find_encoding(path: Path) -> tuple[str, str]:
    """The encoding by the byte order mark, else UTF-8 if that fits, else Windows-1252; and what is wrong with it."""
    try:
        with _open(path) as binary:
            head = binary.read(4)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16", _fault_of_text(path, "utf-16")
        fault = _fault_of_text(path, "utf-8")
        if not fault or head.startswith(codecs.BOM_UTF8):
            return "utf-8", fault
        return "windows-1252", _fault_of_text(path, "windows-1252")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return "utf-8", f"gzip: {error}"


def _fault_of_text(path: Path, encoding: str) -> str:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with _open(path) as binary:
            while block := binary.read(_BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return f"not {encoding}: {error.reason}"
    return ""


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if is_gzip else path.open("rb")


def _fit(head: list[str], delimiter: str) -> tuple[int, int]:
    """How well a delimiter fits the first lines: records as wide as the header, and that width."""
    widths = [len(record.fields) for record in _Records(head, delimiter)]
    if not widths or widths[0] < 2:
        return 0, 0
    return widths.count(widths[0]), widths[0]


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return f"_{slug[:30]}" if slug else ""


# ---------------------------------------------------------------- what csv reads


@dataclass(frozen=True)
class _Record:
    """A record: the number of its first line, its lines, its fields; ``is_open``: a quote in it is never closed."""

    line: int
    lines: list[str]
    fields: list[str]
    is_open: bool = False


class _Records:
    """The records of a file, header included and blank lines left out; after any of them reading can start over."""

    def __init__(self, lines: Iterable[str], delimiter: str) -> None:
        self._lines = iter(lines)
        self._delimiter = delimiter
        self._returned: deque[str] = deque()
        self._taken: list[str] = []
        self._has_ended = False
        self._done = 0  # lines of the records before
        self._reader = csv.reader(self._take(), delimiter=delimiter)

    def __iter__(self) -> Iterator[_Record]:
        return self

    def __next__(self) -> _Record:
        while True:
            self._done += len(self._taken)
            self._taken.clear()
            try:
                fields, is_open = next(self._reader), False
            except csv.Error:  # a field longer than csv.field_size_limit
                fields, is_open = [], True
            if fields == [_AFTER_THE_END] and not self._taken:
                raise StopIteration
            is_open = is_open or (self._has_ended and fields[-1:] != [] and fields[-1].endswith(_AFTER_THE_END))
            if fields or is_open:
                return _Record(self._done + 1, self._taken.copy(), fields, is_open)

    def start_over(self, after: int) -> None:
        """Read on from a clean start after so many lines of the record just read."""
        self._returned.extendleft(reversed(self._taken[after:]))
        del self._taken[after:]
        self._has_ended = False
        self._reader = csv.reader(self._take(), delimiter=self._delimiter)

    def _take(self) -> Iterator[str]:
        while not self._has_ended:
            line = self._returned.popleft() if self._returned else next(self._lines, None)
            if line is None:
                break
            self._taken.append(line)
            yield line
        self._has_ended = True
        yield _AFTER_THE_END


def problem_of(record: _Record, file: ForeignFile, dataset: Dataset) -> str:
    """Why a record must be rejected; empty when it must be loaded."""
    text = "".join(record.lines)
    body = text.rstrip("\r\n")
    if record.is_open:
        return "a quote that is never closed"
    if len(record.fields) != len(file.header):
        return f"{len(record.fields)} fields instead of {len(file.header)}"
    if not _is_well_quoted(body, record.fields, file.delimiter):
        return "badly quoted"
    if len(body.encode()) + max(1, len(text) - len(body)) > LONGEST_RECORD:
        return "a record too long"
    limits = [column.length_limit for column in dataset.columns]
    if any(most and len(record.fields[at]) > most for at, most in zip(file.columns, limits, strict=False)):
        return "a text too long"
    return ""


@dataclass
class Expected:
    """The rows that a file must have loaded, given its rejects. ``count``: records so far, loaded and rejected."""

    file: ForeignFile
    dataset: Dataset
    rejects: Iterable[Reject]
    count: int = 0

    def rows(self) -> Iterator[tuple[int, Values]]:
        """Each row that must be loaded, with the number of its first line. Raises: DifferenceError."""
        rejects = iter(self.rejects)
        reject = next(rejects, None)
        with closing(self.file.lines()) as lines:
            records = _Records(lines, self.file.delimiter)
            next(records)
            for record in records:
                self.count += 1
                problem = problem_of(record, self.file, self.dataset)
                if reject and reject.line < record.line + (not problem):
                    raise DifferenceError(
                        f"line {reject.line}: rejected ({reject.reason}): {reject.text[:200]!r}; csv reads it as a "
                        f"record or as blank, and line {record.line} as {shown(record.fields)}"
                    )
                if not problem:
                    yield record.line, tuple(record.fields[at] or None for at in self.file.columns)
                    continue
                if reject is None or reject.line != record.line:
                    raise DifferenceError(
                        f"line {record.line}: {problem}, but not rejected; expected a reject of "
                        f"{record.lines[0][:200]!r}, got {reject}"
                    )
                records.start_over(after=_lines_of_reject(reject, record))
                reject = next(rejects, None)
        if reject is not None:
            raise DifferenceError(f"line {reject.line}: rejected, but the file has no such record: {reject}")


def _lines_of_reject(reject: Reject, record: _Record) -> int:
    """How many lines of a bad record a reject covers: the first or more of them, in the file's own words."""
    text = ""
    for count, line in enumerate(record.lines, start=1):
        text += line
        if text.rstrip("\r\n") == reject.text:
            return count
    raise DifferenceError(
        f"line {record.line}: expected a reject with the text {''.join(record.lines)[:200]!r} or its first lines, got "
        f"{reject.text[:200]!r}"
    )


# ---------------------------------------------------------------- comparing


@dataclass
class _Tally:
    """A multiset of rows as sums of hashes: of fixed size, and equal only if no row differs."""

    sums: list[int] = field(default_factory=lambda: [0] * _BUCKETS)

    def add(self, values: Values, sign: int) -> None:
        number = hash(values)
        self.sums[number % _BUCKETS] += sign * number

    def differing(self) -> set[int]:
        return set([bucket for bucket, total in enumerate(self.sums) if total][: 2 * _SHOWN])


def compare(
    file: ForeignFile,
    dataset: Dataset,
    rows: Callable[[], Iterable[Values]],
    rejects: Callable[[], Iterable[Reject]],
) -> int:
    """Compare what was loaded and rejected with the file, as multisets. Returns the number of records.

    Raises: DifferenceError naming lines, what was expected and what was found.
    """
    tally, expected = _Tally(), Expected(file, dataset, rejects())
    for _, values in expected.rows():
        tally.add(values, 1)
    for values in rows():
        tally.add(values, -1)
    buckets = tally.differing()
    if not buckets:
        return expected.count
    missing, lines = Counter(), {}
    for line, values in Expected(file, dataset, rejects()).rows():
        if hash(values) % _BUCKETS in buckets:
            missing[values] += 1
            lines.setdefault(values, line)
    extra = Counter(values for values in rows() if hash(values) % _BUCKETS in buckets)
    missing, extra = missing - extra, extra - missing
    wanted = [f"line {lines[values]} must be loaded as {shown(values)}" for values in islice(missing, _SHOWN)]
    found = [f"loaded instead: {shown(values)}" for values in islice(extra, _SHOWN)]
    raise DifferenceError("; ".join(wanted + found))


def shown(values: Iterable[str | None]) -> str:
    """The values of a record, short enough for a message."""
    return repr(tuple(values))[:500]
