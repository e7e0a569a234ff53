"""Validate an object before any of it reaches a warehouse. One validator serves all warehouses.

An object streams through once. Validation checks its bytes (compression, encoding, line endings), compares its header
with the contract by name, and counts its records without the loader's parser. A file that all loaders parse alike is
loaded unchanged. A file that they may parse differently is rewritten in one plain dialect. A file that cannot be loaded
is refused, with a reason that a non-programmer can act on.
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
from netflix_assets.ingest.decode import Decoder, RefusedError
from netflix_assets.ingest.diagnose import diagnose_format, diagnose_header
from netflix_assets.warehouse.loads import ValidatedFile

# The longest record, line ending included. DuckDB's reader skips longer records, except that right after the header it
# takes one more byte.
MAX_RECORD_BYTES = 2_000_000
# The default of Python's csv module is 131,072 characters per field.
csv.field_size_limit(16 * MAX_RECORD_BYTES)

_NUMERIC_BYTES = b"0123456789.,\r\n"
_SAVE_AS_UTF8 = "save it as 'CSV UTF-8', or declare `encoding: windows-1252` in the contract"
_MAX_NAMES, _MAX_NAME_LENGTH = 10, 60  # columns that a reason lists, characters of each
_HEAD_LINES, _MAX_LINE_LENGTH = 20, 1_000_000  # lines, and characters of each, read to diagnose a wrong header
_LINE_ENDINGS = (b"\n", b"\r")
_END_MARK = "\x00end"  # cannot occur in a file: NUL bytes are refused


def validate(blocks: Iterable[bytes], dataset: Dataset, path: Path) -> ValidatedFile:
    """Write the object's text to ``path``, decompressed and in UTF-8, and validate it.

    Raises: RefusedError when the object cannot be loaded.
    """
    decoder = Decoder(blocks, dataset.encoding)
    try:
        return _validate_text(decoder, dataset, path)
    except RefusedError as error:
        diagnosis = None if error.ignored else diagnose_format(decoder.head, dataset)
        if diagnosis is None:
            raise
        raise RefusedError(diagnosis) from error


def _validate_text(decoder: Decoder, dataset: Dataset, path: Path) -> ValidatedFile:
    text = decoder.utf8()
    scan = _Scan(dataset.delimiter.encode(), start=decoder.mark_size)
    with path.open("wb") as file:
        for block in text:
            scan.feed(block)
            file.write(block)
    if scan.size == 0:
        raise RefusedError("the file is empty (0 bytes)")
    scan.finish()
    header = _read_header(path, dataset)
    positions, warnings = _check_header(path, header, dataset)
    if scan.is_plain and not (scan.has_empty_last_field and _has_too_wide_record(path, dataset, len(header))):
        loadable, count = path, scan.line_count - 1
    else:
        loadable = path.with_suffix(".normalised")
        count = _normalise(path, loadable, dataset, len(header))
    if count == 0:
        raise RefusedError("the file has a header but no records; keeping the rows loaded earlier", ignored=True)
    numeric = scan.numeric and dataset.delimiter == ","
    return ValidatedFile(loadable, path, header, positions, count, numeric, (*warnings, *decoder.warnings))


def read_records(path: Path, dataset: Dataset) -> Iterator[tuple[int, str, list[str]]]:
    """Every record of a file, header included, as (number of its first line from 1, text, fields).

    Blank lines are skipped. Raises: RefusedError when a quote is opened and never closed.
    """
    lines: list[str] = []

    def keep_lines(source: Iterable[str]) -> Iterator[str]:
        for line in source:
            lines.append(line)
            yield line
        yield _END_MARK

    with path.open(encoding="utf-8", newline="") as file:
        first = 1
        unclosed = (
            'the record that starts at line {} opens a quote (") that is never closed; the file is damaged or truncated'
        )
        try:
            for fields in csv.reader(keep_lines(file), delimiter=dataset.delimiter):
                if fields == [_END_MARK] and not lines:
                    return
                if fields and fields[-1].endswith(_END_MARK):
                    raise RefusedError(unclosed.format(first))
                if fields:
                    yield first, "".join(lines), fields
                first += len(lines)
                lines.clear()
        except csv.Error as error:  # a field longer than the limit
            raise RefusedError(unclosed.format(first)) from error


def malformed_reason(text: str, fields: Sequence[str], dataset: Dataset, width: int) -> str | None:
    """Why a record cannot be split into as many fields as the header has (``width``); None when it can."""
    if '"' in text and not _well_quoted(dataset.delimiter).fullmatch(text):
        return 'unescaped quote (") inside a field; quote the field and double the inner quotes'
    if len(fields) != width:
        count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        is_cut = is_cut_off(text, fields, width)
        cut = "; this last record has no line ending, so the file may be truncated" if is_cut else ""
        return f"{count}, but the header has {width}{cut}"
    if len(text) >= MAX_RECORD_BYTES // 4 and _size(text) > MAX_RECORD_BYTES:
        return f"the record is longer than {MAX_RECORD_BYTES:,} bytes"
    return None


def is_cut_off(text: str, fields: Sequence[str], width: int) -> bool:
    """Whether a record looks like the end of a truncated file: only the last record can lack a line ending."""
    return len(fields) < width and not text.endswith(("\n", "\r"))


def _size(text: str) -> int:
    """Bytes of a record as it is loaded: with a line ending."""
    return len(text.encode()) + (not text.endswith(("\n", "\r")))


@lru_cache
def _well_quoted(delimiter: str) -> re.Pattern[str]:
    # A field by RFC 4180: quoted as a whole with inner quotes doubled, or free of quotes.
    separator = re.escape(delimiter)
    field = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"\r\n{separator}]*+)'
    return re.compile(rf"{field}(?:{separator}{field})*+[\r\n]*+")


def compare_header(header: Sequence[str], dataset: Dataset) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The position of each contract column in the file, and warnings about columns that are not in the contract.

    Raises: RefusedError when a column is missing or duplicated.
    """
    expected = {column.file_name: None for column in dataset.columns}
    found = Counter(header)  # in file order
    # Unnamed columns are ignored, however many: spreadsheets add them after the last column.
    duplicates = [name for name, count in found.items() if count > 1 and name]
    if duplicates:
        raise RefusedError(f"duplicate {_columns(sorted(duplicates))} in the header")
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    if missing:
        hint = f" and has unknown {_columns(unknown)}" if unknown else ""
        wanted = dataset.delimiter.join(expected)
        raise RefusedError(f"the header is missing {_columns(missing)}{hint}; expected: {wanted}")
    verb = "is" if len(unknown) == 1 else "are"
    warnings = (f"{_columns(unknown)} {verb} not in the contract; ignored",) if unknown else ()
    positions = {name: position for position, name in enumerate(header)}
    return tuple(positions[name] for name in expected), warnings


def _columns(names: Sequence[str]) -> str:
    noun = "column" if len(names) == 1 else "columns"
    shown = [name if len(name) <= _MAX_NAME_LENGTH else name[:_MAX_NAME_LENGTH] + "…" for name in names[:_MAX_NAMES]]
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return f"{noun} {', '.join(map(repr, shown))}{more}"


def _check_header(path: Path, header: Sequence[str], dataset: Dataset) -> tuple[tuple[int, ...], tuple[str, ...]]:
    try:
        return compare_header(header, dataset)
    except RefusedError as error:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [file.readline(_MAX_LINE_LENGTH) for _ in range(_HEAD_LINES)]
        diagnosis = diagnose_header(lines, dataset)
        if diagnosis is None:
            raise
        raise RefusedError(diagnosis) from error


def format_header(header: Sequence[str], dataset: Dataset) -> str:
    """A header as one CSV record without a line ending. It can be parsed again whatever the column names are."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=dataset.delimiter).writerow(header)
    return text.getvalue().removesuffix("\r\n")


@dataclass
class _Scan:
    """Facts about a file's bytes, from one pass over them; every check runs at memory speed."""

    delimiter: bytes
    start: int = 0  # bytes of the file before the first block
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
        self._check_encoding(block)
        joint = self._last + block[:1]
        # Searching for two bytes costs four times as much as for one, and most files have no CR at all.
        ends = _LINE_ENDINGS if b"\r" in block else _LINE_ENDINGS[:1]
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
            or joint in [self.delimiter + end for end in _LINE_ENDINGS]
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
                f"the file ends inside the UTF-8 character that starts with byte 0x{error.object[0]:02x} at offset "
                f"{offset}. If it was truncated, upload it again; if it is Latin-1 or Windows-1252, {_SAVE_AS_UTF8}"
            ) from error
        self.has_empty_last_field = self.has_empty_last_field or self._last == self.delimiter[-1:]
        self.has_long_line = self.has_long_line or self._open >= MAX_RECORD_BYTES

    @property
    def is_plain(self) -> bool:
        """Whether every line is one record and all line endings have one style, so that lines can be counted."""
        one_style = self.cr == 0 or self.cr == self.crlf == self.lf
        return one_style and not self.has_quote and not self.has_blank_line and not self.has_long_line

    @property
    def line_count(self) -> int:
        return self.lf + (self._last != b"\n")

    def _measure_lines(self, block: bytes) -> None:
        # Jump from LF to the last LF within the longest allowed line: two short searches per block.
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
        ends = [position for position in map(block.find, _LINE_ENDINGS) if position >= 0]
        self._in_header = not ends
        return block[min(ends) :] if ends else b""

    def _check_encoding(self, block: bytes) -> None:
        nul = block.find(b"\0")
        if nul >= 0:
            raise RefusedError(f"NUL byte at offset {self.start + self.size + nul}; the file is damaged or is not text")
        pending = bool(self._utf8.getstate()[0])
        if block.isascii() and not pending:
            return
        try:
            self._utf8.decode(block)
        except UnicodeDecodeError as error:
            offset = self.start + self.size + error.start - len(error.object) + len(block)
            byte = error.object[error.start]
            raise RefusedError(
                f"byte 0x{byte:02x} at offset {offset} is not valid UTF-8; the file is probably Latin-1 or "
                f"Windows-1252: {_SAVE_AS_UTF8}"
            ) from error


def _read_header(path: Path, dataset: Dataset) -> tuple[str, ...]:
    for _, _, fields in read_records(path, dataset):
        return tuple(fields)
    raise RefusedError("the file contains only blank lines")


def _has_too_wide_record(path: Path, dataset: Dataset, width: int) -> bool:
    """Whether a record of a plain file has an extra empty field at its end, which DuckDB's reader accepts."""
    separator = dataset.delimiter.encode()
    with path.open("rb") as file:
        return any(line.count(separator) >= width for line in file if line.rstrip(b"\r\n").endswith(separator))


def _normalise(path: Path, target: Path, dataset: Dataset, width: int) -> int:
    """Rewrite the well-formed records with LF line endings and quotes only where needed.

    Returns the number of records in the object, malformed ones included, without the header.
    """
    count = -1
    with target.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(_LineEndsAsLf(file), delimiter=dataset.delimiter, lineterminator="\r\n").writerow
        for _, text, fields in read_records(path, dataset):
            count += 1
            if count == 0 or malformed_reason(text, fields, dataset, width) is None:
                write(fields)
    return count


@dataclass
class _LineEndsAsLf:
    """The target of csv.writer, which quotes a CR inside a field only when its own line ending is CRLF."""

    file: TextIO

    def write(self, line: str) -> int:
        return self.file.write(line.removesuffix("\r\n") + "\n")
