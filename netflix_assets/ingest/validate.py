"""The gate that every object passes before anything of it reaches a warehouse; one piece of code for all warehouses.

An object streams through once: its bytes are judged (compression, encoding, line ends), its header is compared with the
contract by name, its records are counted without the loader's parser. What both loaders parse alike goes on as it is,
what needs it is written anew in one plain dialect, the rest is refused with a reason a non-programmer can act on.

Does not belong here: values (``values.py``), which objects to load (``level.py``).
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TextIO

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.decode import RefusedError, Unpacked
from netflix_assets.ingest.diagnose import header_problem, other_format
from netflix_assets.warehouse.loads import ValidatedFile

# One record, with its line end, may be at most this long: DuckDB's reader leaves longer ones out, or takes them (one
# byte more, right after the header).
MAX_RECORD_BYTES = 2_000_000
# Python's csv module stops at 131,072 characters a field unless told otherwise.
csv.field_size_limit(16 * MAX_RECORD_BYTES)

_NUMERIC_BYTES = b"0123456789.,\r\n"
_LATIN = "Latin-1 or Windows-1252: save the file as 'CSV UTF-8', or declare `encoding: windows-1252` in the contract"
_NAMES_SHOWN, _NAME_SHOWN = 10, 60  # columns that a reason lists, characters of each
_HEAD_LINES, _LINE_CHARACTERS = 20, 1_000_000  # what is looked at of a file whose header is wrong
_ENDS = (b"\n", b"\r")
_END_MARK = "\x00end"  # cannot stand in a file: NUL bytes are refused


def validate(blocks: Iterable[bytes], dataset: Dataset, path: Path) -> ValidatedFile:
    """Write the object's text to ``path``, decompressed and in UTF-8, and judge it.

    Raises: RefusedError when the object cannot be loaded.
    """
    unpacked = Unpacked(blocks, dataset.encoding)
    try:
        return _judge(unpacked, dataset, path)
    except RefusedError as error:
        known = None if error.ignored else other_format(unpacked.head, dataset)
        if known is None:
            raise
        raise RefusedError(known) from error


def _judge(unpacked: Unpacked, dataset: Dataset, path: Path) -> ValidatedFile:
    text = unpacked.utf8()
    scan = _Scan(dataset.delimiter.encode(), start=unpacked.mark_size)
    with path.open("wb") as file:
        for block in text:
            scan.feed(block)
            file.write(block)
    if scan.size == 0:
        raise RefusedError("the file is empty (0 bytes)")
    scan.finish()
    header = _first_record(path, dataset)
    positions, warnings = _compare_header(path, header, dataset)
    if scan.is_plain and not (scan.has_empty_last_field and _some_are_too_wide(path, dataset, len(header))):
        loadable, count = path, scan.line_count - 1
    else:
        loadable = path.with_suffix(".normalised")
        count = _normalise(path, loadable, dataset, len(header))
    if count == 0:
        raise RefusedError("the file has a header and no records; the rows loaded before stay", ignored=True)
    numeric = scan.numeric and dataset.delimiter == ","
    return ValidatedFile(loadable, path, header, positions, count, numeric, (*warnings, *unpacked.warnings))


def records(path: Path, dataset: Dataset) -> Iterator[tuple[int, str, list[str]]]:
    """Every record of a file, the header included: number of its first line (from 1), its text, its fields.

    Blank lines are no records. Raises: RefusedError when a quote is opened and never closed.
    """
    lines: list[str] = []

    def remembered(source: Iterable[str]) -> Iterator[str]:
        for line in source:
            lines.append(line)
            yield line
        yield _END_MARK

    with path.open(encoding="utf-8", newline="") as file:
        first = 1
        unclosed = (
            'the record that starts at line {} opens a quote (") that is never closed: the file is damaged or cut off'
        )
        try:
            for fields in csv.reader(remembered(file), delimiter=dataset.delimiter):
                if fields == [_END_MARK]:
                    return
                if fields and fields[-1].endswith(_END_MARK):
                    raise RefusedError(unclosed.format(first))
                if fields:
                    yield first, "".join(lines), fields
                first += len(lines)
                lines.clear()
        except csv.Error as error:  # a field longer than the limit
            raise RefusedError(unclosed.format(first)) from error


def record_fault(text: str, fields: Sequence[str], dataset: Dataset, width: int) -> str | None:
    """Why a record cannot be taken apart into as many fields as the header has (``width``); None when it can."""
    if '"' in text and not _well_quoted(dataset.delimiter).fullmatch(text):
        return 'a quote (") stands within a field: put the whole field in quotes and double those in it'
    if len(fields) != width:
        is_cut = is_cut_off(text, fields, width)
        cut = ": it is the last record and has no line end, so the file may be cut off" if is_cut else ""
        return f"{len(fields)} fields, the header has {width}{cut}"
    if len(text) >= MAX_RECORD_BYTES // 4 and _size(text) > MAX_RECORD_BYTES:
        return f"the record is longer than {MAX_RECORD_BYTES:,} bytes"
    return None


def is_cut_off(text: str, fields: Sequence[str], width: int) -> bool:
    """Whether a record looks like the last one of a file that is cut off: only a last record has no line end."""
    return len(fields) < width and not text.endswith(("\n", "\r"))


def _size(text: str) -> int:
    """Bytes of a record as it is loaded, that is with a line end."""
    return len(text.encode()) + (not text.endswith(("\n", "\r")))


@lru_cache
def _well_quoted(delimiter: str) -> re.Pattern[str]:
    # Fields by RFC 4180: in quotes as a whole, quotes within doubled, or without any quote.
    mark = re.escape(delimiter)
    one = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n{mark}]*+)'
    return re.compile(rf"{one}(?:{mark}{one})*+[\r\n]*+")


def compare_header(header: Sequence[str], dataset: Dataset) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Where each column of the contract stands in the file, and warnings about columns that the contract lacks.

    Raises: RefusedError when a column is missing or stands twice.
    """
    expected = {column.file_name: None for column in dataset.columns}
    found = Counter(header)  # in the order of the file
    # Columns without a name are left out whatever their number: spreadsheets put such behind the last one.
    twice = [name for name, count in found.items() if count > 1 and name]
    if twice:
        raise RefusedError(f"the header names column {_listed(sorted(twice))} twice")
    missing = [name for name in expected if name not in found]
    added = [name for name in found if name not in expected]
    if missing:
        hint = f" and has {_listed(added)}, which the contract does not know" if added else ""
        raise RefusedError(f"the header lacks {_listed(missing)}{hint}; expected {dataset.delimiter.join(expected)}")
    warnings = (f"column {_listed(added)} is not in the contract and was left out",) if added else ()
    places = {name: place for place, name in enumerate(header)}
    return tuple(places[name] for name in expected), warnings


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
    shown = [name if len(name) <= _NAME_SHOWN else name[:_NAME_SHOWN] + "…" for name in names[:_NAMES_SHOWN]]
    return ", ".join(map(repr, shown)) + more


def _compare_header(path: Path, header: Sequence[str], dataset: Dataset) -> tuple[tuple[int, ...], tuple[str, ...]]:
    try:
        return compare_header(header, dataset)
    except RefusedError as error:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [file.readline(_LINE_CHARACTERS) for _ in range(_HEAD_LINES)]
        problem = header_problem(lines, dataset)
        if problem is None:
            raise
        raise RefusedError(problem) from error


def header_record(header: Sequence[str], dataset: Dataset) -> str:
    """A header as one CSV record without its line end, so that it can be taken apart again whatever its names."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=dataset.delimiter).writerow(header)
    return text.getvalue().removesuffix("\r\n")


@dataclass
class _Scan:
    """What one pass over the bytes tells; every test here runs at memory speed."""

    delimiter: bytes
    start: int = 0  # bytes of the file before the first that is fed
    size: int = 0
    lf: int = 0
    cr: int = 0
    crlf: int = 0
    has_quote: bool = False
    has_blank_line: bool = False
    has_empty_last_field: bool = False
    has_long_line: bool = False
    numeric: bool = True
    _last: bytes = b""
    _open: int = 0  # bytes since the last LF
    _utf8: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("utf-8"))
    _in_header: bool = True

    def feed(self, block: bytes) -> None:
        self._judge_encoding(block)
        joint = self._last + block[:1]
        # A search for two bytes costs four times one for a single byte; most files have no CR at all.
        ends = _ENDS if b"\r" in block else _ENDS[:1]
        self.lf += block.count(b"\n")
        if len(ends) > 1:
            self.cr += block.count(b"\r")
            self.crlf += block.count(b"\r\n")
        self.crlf += joint == b"\r\n"
        self.has_quote = self.has_quote or b'"' in block
        self.has_blank_line = (
            self.has_blank_line
            or joint in (b"\n\n", b"\n\r")
            or (self.size == 0 and block[:1] in (b"\n", b"\r"))
            or any(b"\n" + end in block for end in ends)
        )
        self.has_empty_last_field = (
            self.has_empty_last_field
            or joint in [self.delimiter + end for end in _ENDS]
            or any(self.delimiter + end in block for end in ends)
        )
        if self.numeric:
            self.numeric = not self._body(block).translate(None, _NUMERIC_BYTES)
        self._measure_lines(block)
        self.size += len(block)
        self._last = block[-1:]

    def finish(self) -> None:
        try:
            self._utf8.decode(b"", final=True)
        except UnicodeDecodeError as error:
            offset = self.start + self.size - len(error.object)
            raise RefusedError(
                f"byte 0x{error.object[0]:02x} at offset {offset} starts a UTF-8 character that the file ends in: it "
                f"was cut off, so upload it again; or it is not UTF-8 but {_LATIN}"
            ) from error
        self.has_empty_last_field = self.has_empty_last_field or self._last == self.delimiter[-1:]
        self.has_long_line = self.has_long_line or self._open >= MAX_RECORD_BYTES

    @property
    def is_plain(self) -> bool:
        """Whether every line end is a record's end, in one style, so that lines count records."""
        one_style = self.cr == 0 or self.cr == self.crlf == self.lf
        return one_style and not self.has_quote and not self.has_blank_line and not self.has_long_line

    @property
    def line_count(self) -> int:
        return self.lf + (self._last != b"\n")

    def _measure_lines(self, block: bytes) -> None:
        # From LF to the last LF that a line of the greatest length could have: two searches a block, both short.
        start = -self._open
        while (limit := start + MAX_RECORD_BYTES) < len(block):
            end = block.rfind(b"\n", max(start, 0), max(limit, 0))
            if end < 0:
                self.has_long_line = True
                break
            start = end + 1
        last = block.rfind(b"\n")
        self._open = self._open + len(block) if last < 0 else len(block) - last - 1

    def _body(self, block: bytes) -> bytes:
        if not self._in_header:
            return block
        ends = [position for position in map(block.find, _ENDS) if position >= 0]
        self._in_header = not ends
        return block[min(ends) :] if ends else b""

    def _judge_encoding(self, block: bytes) -> None:
        nul = block.find(b"\0")
        if nul >= 0:
            raise RefusedError(f"NUL byte at offset {self.start + self.size + nul}: the file is damaged or no text")
        pending = bool(self._utf8.getstate()[0])
        if block.isascii() and not pending:
            return
        try:
            self._utf8.decode(block)
        except UnicodeDecodeError as error:
            offset = self.start + self.size + error.start - len(error.object) + len(block)
            byte = error.object[error.start]
            raise RefusedError(f"byte 0x{byte:02x} at offset {offset} is not UTF-8; likely {_LATIN}") from error


def _first_record(path: Path, dataset: Dataset) -> tuple[str, ...]:
    for _, _, fields in records(path, dataset):
        return tuple(fields)
    raise RefusedError("the file holds only blank lines")


def _some_are_too_wide(path: Path, dataset: Dataset, width: int) -> bool:
    """Whether a record of a plain file has an empty field too many at its end, which DuckDB's reader lets pass."""
    mark = dataset.delimiter.encode()
    with path.open("rb") as file:
        return any(line.count(mark) >= width for line in file if line.rstrip(b"\r\n").endswith(mark))


def _normalise(path: Path, target: Path, dataset: Dataset, width: int) -> int:
    """Write the records anew: LF line ends, quotes only where needed, none that cannot be taken apart.

    Returns how many records the object has, without the header.
    """
    count = -1
    with target.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(_LineEndsAsLf(file), delimiter=dataset.delimiter, lineterminator="\r\n").writerow
        for _, text, fields in records(path, dataset):
            count += 1
            if count == 0 or record_fault(text, fields, dataset, width) is None:
                write(fields)
    return count


@dataclass
class _LineEndsAsLf:
    """What csv.writer writes to: with CRLF as line end it quotes a CR in a field, which it forgets to with LF."""

    file: TextIO

    def write(self, line: str) -> int:
        return self.file.write(line.removesuffix("\r\n") + "\n")
