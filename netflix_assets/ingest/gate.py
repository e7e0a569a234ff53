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
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TextIO

from netflix_assets.contract import Dataset
from netflix_assets.ingest.objects import BLOCK_BYTES

# One record, with its line end, may be at most this long: DuckDB's reader leaves longer ones out.
MAX_RECORD_BYTES = 2_000_000
# Python's csv module stops at 131,072 characters a field unless told otherwise.
csv.field_size_limit(16 * MAX_RECORD_BYTES)

_GZIP_MAGIC = b"\x1f\x8b"
_NUMERIC_BYTES = b"0123456789.,\r\n"
_ENDS = (b"\n", b"\r")
_END_MARK = "\x00end"  # cannot stand in a file: NUL bytes are refused


class RefusedError(Exception):
    """An object that is not loaded, with the reason; ``ignored`` when there was simply nothing to load."""

    def __init__(self, reason: str, *, ignored: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ignored = ignored


@dataclass(frozen=True)
class GatedFile:
    """A local copy of an object that passed the gate.

    ``path`` is what the loader reads: UTF-8, a header, one kind of line end, no blank lines, quotes as in RFC 4180.
    ``original`` has the object's own records and lines (decompressed), for telling where a rejected record stands.
    ``positions`` gives, for each column of the contract, its index in the file. ``record_count`` leaves the header out.
    ``numeric`` says that the records hold nothing but digits, points, commas and line ends.
    """

    path: Path
    original: Path
    header: tuple[str, ...]
    positions: tuple[int, ...]
    record_count: int
    numeric: bool
    warnings: tuple[str, ...]


def pass_gate(blocks: Iterable[bytes], dataset: Dataset, path: Path) -> GatedFile:
    """Write the object's bytes to ``path``, decompressed, and judge them.

    Raises: RefusedError when the object cannot be loaded.
    """
    bom, text = _without_bom(_plain(blocks))
    scan = _Scan(dataset.delimiter.encode(), start=len(bom))
    with path.open("wb") as file:
        for block in text:
            scan.feed(block)
            file.write(block)
    if scan.size == 0:
        raise RefusedError("the file is empty (0 bytes)")
    scan.finish()
    header = _first_record(path, dataset)
    positions, warnings = compare_header(header, dataset)
    if scan.is_plain and not (scan.has_empty_last_field and _some_are_too_wide(path, dataset, len(header))):
        loadable, count = path, scan.line_count - 1
    else:
        loadable = path.with_suffix(".normalised")
        count = _normalise(path, loadable, dataset, len(header))
    if count == 0:
        raise RefusedError("the file has a header and no records; the rows loaded before stay", ignored=True)
    numeric = scan.numeric and dataset.delimiter == ","
    return GatedFile(loadable, path, header, positions, count, numeric, warnings)


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
        return f"{len(fields)} fields, the header has {width}"
    if len(text) > MAX_RECORD_BYTES // 4 and len(text.encode()) > MAX_RECORD_BYTES:
        return f"the record is longer than {MAX_RECORD_BYTES:,} bytes"
    return None


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
    expected = [column.file_name for column in dataset.columns]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise RefusedError(f"the header names column {', '.join(map(repr, twice))} twice")
    missing = [name for name in expected if name not in header]
    added = [name for name in header if name not in expected]
    if missing:
        hint = f" and has {', '.join(map(repr, added))}, which the contract does not know" if added else ""
        raise RefusedError(
            f"the header lacks {', '.join(map(repr, missing))}{hint}; expected {dataset.delimiter.join(expected)}"
        )
    warnings = (f"column {', '.join(map(repr, added))} is not in the contract and was left out",) if added else ()
    return tuple(list(header).index(name) for name in expected), warnings


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
    numeric: bool = True
    _last: bytes = b""
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
        self.size += len(block)
        self._last = block[-1:]

    def finish(self) -> None:
        try:
            self._utf8.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise RefusedError("the file ends in the middle of a UTF-8 character: it was cut off") from error
        self.has_empty_last_field = self.has_empty_last_field or self._last == self.delimiter[-1:]

    @property
    def is_plain(self) -> bool:
        """Whether every line end is a record's end, in one style, so that lines count records."""
        one_style = self.cr == 0 or self.cr == self.crlf == self.lf
        return one_style and not self.has_quote and not self.has_blank_line

    @property
    def line_count(self) -> int:
        return self.lf + (self._last != b"\n")

    def _body(self, block: bytes) -> bytes:
        if not self._in_header:
            return block
        ends = [position for position in map(block.find, _ENDS) if position >= 0]
        self._in_header = not ends
        return block[min(ends) :] if ends else b""

    def _judge_encoding(self, block: bytes) -> None:
        if self.size == 0 and block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise RefusedError("the file is encoded in UTF-16; save it as 'CSV UTF-8'")
        nul = block.find(b"\0")
        if nul >= 0:
            raise RefusedError(
                f"NUL byte at offset {self.start + self.size + nul}: the file is no text in UTF-8 (UTF-16 without a "
                "mark, or binary)"
            )
        pending = bool(self._utf8.getstate()[0])
        if block.isascii() and not pending:
            return
        try:
            self._utf8.decode(block)
        except UnicodeDecodeError as error:
            offset = self.start + self.size + error.start - len(error.object) + len(block)
            byte = error.object[error.start]
            raise RefusedError(
                f"byte 0x{byte:02x} at offset {offset} is not UTF-8; likely Latin-1 or Windows-1252: save the file as "
                "'CSV UTF-8'"
            ) from error


def _plain(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes themselves; decompressed when they are gzip by their first bytes, whatever the key says."""
    head, rest = _peek(blocks, len(_GZIP_MAGIC))
    return _gunzip(rest) if head == _GZIP_MAGIC else rest


def _without_bom(blocks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    head, rest = _peek(blocks, len(codecs.BOM_UTF8))
    if head != codecs.BOM_UTF8:
        return b"", rest
    first = next(rest)[len(codecs.BOM_UTF8) :]
    return head, chain([first] if first else [], rest)


def _peek(blocks: Iterable[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and all blocks again with at least that many bytes in the first (no empty block among them)."""
    source = iter(blocks)
    first = b""
    for block in source:
        first += block
        if len(first) >= count:
            break
    return first[:count], chain([first] if first else [], filter(None, source))


def _gunzip(blocks: Iterable[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=31)
    try:
        for pending in blocks:
            while pending:
                if stream.eof:  # a file may be several gzip members one after another
                    stream = zlib.decompressobj(wbits=31)
                yield stream.decompress(pending, BLOCK_BYTES)
                pending = stream.unconsumed_tail or stream.unused_data
    except zlib.error as error:
        raise RefusedError(f"the gzip data is damaged ({error})") from error
    if not stream.eof:
        raise RefusedError("the gzip data ends early: the upload was cut off")


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
