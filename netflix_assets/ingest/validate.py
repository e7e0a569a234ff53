"""Validate an object before any of it reaches a warehouse. One validator serves all warehouses.

An object streams through once. Validation checks its bytes (compression, encoding, line endings), compares its header
with the contract by name, and counts its records without the loader's parser. A file that all loaders parse alike is
loaded unchanged. A file that they may parse differently is rewritten in one plain dialect. A file that cannot be loaded
is refused, with a reason that a non-programmer can act on.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from netflix_assets.contracts.dialect import TableDialect
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.csv_records import holds_records, read_csv_records, read_header
from netflix_assets.ingest.decode import PARQUET_MAGIC, Decoder
from netflix_assets.ingest.diagnose import diagnose_format, diagnose_header, is_csv
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.headers import compare_header, unknown_warnings
from netflix_assets.ingest.read import open_members
from netflix_assets.ingest.records import CANONICAL, MAX_RECORD_BYTES, Layout, Record, layout_of_contract
from netflix_assets.warehouse.loads import LoadableTable, ValidatedFile

_PLAIN_DELIMITERS = frozenset("\t !#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_NUMERIC_BYTES = b"0123456789.,\r\n"
_SAVE_AS_UTF8 = "save it as 'CSV UTF-8', or declare `encoding: windows-1252` in the contract"
_MIXED = (
    ", but the file has valid UTF-8 before it: a text was cut inside a character, or texts in two encodings were "
    "joined. Correct that text, or export the file again as 'CSV UTF-8'"
)
_HEAD_LINES, _MAX_LINE_LENGTH = 20, 1_000_000  # lines, and characters of each, read to diagnose a wrong header
_LINE_ENDINGS = (b"\n", b"\r")
_CTRL_Z, _END_BYTES = b"\x1a", b"\x1a\r\n"
_CTRL_Z_WARNING = "the file ends with Ctrl-Z (0x1A), the end-of-file mark of DOS; ignored"
_MIN_DOUBTFUL_LINES = 2  # a record of two lines has none between the one that opens a quote and the one that closes it


def validate(blocks: Iterable[bytes], dataset: Dataset, path: Path) -> ValidatedFile:
    """Write the object's text to ``path``, decompressed and in UTF-8, and validate it.

    Raises: RefusedError when the object cannot be loaded.
    """
    decoder = Decoder(blocks, dataset.encoding, path.parent)
    try:
        return (_validate_csv if dataset.format == "csv" else _validate_members)(decoder, dataset, path)
    except RefusedError as error:
        diagnosis = None if error.ignored else diagnose_format(decoder.head, dataset)
        if diagnosis is None:
            raise
        raise RefusedError(diagnosis) from error


def _validate_csv(decoder: Decoder, dataset: Dataset, path: Path) -> ValidatedFile:
    text = _EndMarkFilter(decoder.utf8())
    scan = _Scan(dataset.dialect.delimiter.encode(), start=decoder.mark_size)
    with path.open("wb") as file:
        for block in text:
            scan.feed(block)
            file.write(block)
    if scan.size == 0:
        raise RefusedError("the file is empty (0 bytes)")
    scan.finish()
    header = read_header(path, dataset)
    positions, warnings = _check_header(path, header, dataset)
    layout = Layout(dataset, len(header), positions)
    numeric = scan.numeric and layout.is_verbatim and dataset.dialect.delimiter == ","
    # Without its end mark the file no longer equals the object.
    if not text.found and _loads_as_it_is(path, scan, layout):
        columns = tuple(position for position in layout.positions if position is not None)
        table = LoadableTable(path, columns, layout.width, dataset.dialect.delimiter, numeric)
        count = scan.line_count - 1
    else:
        records = read_csv_records(path, layout)
        table, count, doubts = _write_loadable(records, layout, path.with_suffix(".loadable"), numeric=numeric)
        warnings += doubts
    if count == 0 and not dataset.is_extracted:
        raise RefusedError("the file has a header but no records; keeping the rows loaded earlier", ignored=True)
    warnings = (*warnings, *text.warnings, *decoder.warnings)
    return ValidatedFile(path, header, positions, table, count, warnings, decoder.compression)


def _validate_members(decoder: Decoder, dataset: Dataset, path: Path) -> ValidatedFile:
    """Validate JSON or Parquet: every record is read here, and written as CSV."""
    blocks = decoder.utf8()
    scan = _Scan(b",", start=decoder.mark_size)
    size = 0
    with path.open("wb") as file:
        for block in blocks:
            if dataset.format != "parquet" or not decoder.head.startswith(PARQUET_MAGIC):
                scan.feed(block)
            size += len(block)
            file.write(block)
    if size == 0:
        raise RefusedError("the file is empty (0 bytes)")
    scan.finish()
    if is_csv(decoder.head, dataset):
        raise RefusedError("the file is CSV")
    if dataset.format == "parquet" and not decoder.head.lstrip().startswith((PARQUET_MAGIC, b"{", b'"')):
        raise RefusedError("the file is not Parquet; export it as Parquet, or correct `format` in the contract")
    records = open_members(path, dataset)
    layout = layout_of_contract(dataset)
    table, count, _ = _write_loadable(records, layout, path.with_suffix(".loadable"), numeric=False)
    if count == 0 and decoder.head.startswith(PARQUET_MAGIC):
        raise RefusedError("the file has columns but no rows; keeping the rows loaded earlier", ignored=True)
    if count == 0 and not dataset.is_extracted:
        if dataset.format == "json":
            raise RefusedError("the file has no records; keeping the rows loaded earlier", ignored=True)
        raise RefusedError("the file contains only blank lines")
    header = tuple(column.file_name for column in dataset.columns)
    warnings = (*unknown_warnings(records.unknown), *records.warnings, *decoder.warnings)
    return ValidatedFile(path, header, tuple(layout.positions), table, count, warnings, decoder.compression)


def _loads_as_it_is(path: Path, scan: "_Scan", layout: Layout) -> bool:
    """Whether all warehouses parse the unchanged file alike, and each value is in its loadable form."""
    delimiter = layout.dataset.dialect.delimiter
    is_plain = scan.is_plain and layout.is_verbatim and _is_plain(layout.dataset.dialect)
    return is_plain and not (scan.has_empty_last_field and _has_too_wide_record(path, delimiter, layout.width))


def _is_plain(dialect: TableDialect) -> bool:
    """Whether the warehouses read this dialect where a file has neither quotes nor blank lines."""
    differs = (
        dialect.delimiter not in _PLAIN_DELIMITERS,
        dialect.quote_char not in ('"', None),
        dialect.escape_char is not None,
        dialect.comment_char is not None,
        dialect.skip_initial_space,
        not dialect.header,
        dialect.header_rows != (1,),
        dialect.footer_rows > 0,
    )
    return not any(differs)


class _EndMarkFilter:
    """Blocks of UTF-8 text without DOS's end-of-file mark: Ctrl-Z (0x1A) after the last record, once or repeated."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.found = False
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        mark = b""  # what may be the mark
        for block in self._blocks:
            text = mark + block
            at = text.find(_CTRL_Z, len(text.rstrip(_END_BYTES)))
            end = at if at >= 0 else len(text)
            mark = text[end:]
            if end:
                yield text[:end]
        self.found = bool(mark)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the person who sent the file should know."""
        return (_CTRL_Z_WARNING,) if self.found else ()


def _check_header(
    path: Path, header: Sequence[str], dataset: Dataset
) -> tuple[tuple[int | None, ...], tuple[str, ...]]:
    try:
        return compare_header(header, dataset)
    except RefusedError as error:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [file.readline(_MAX_LINE_LENGTH) for _ in range(_HEAD_LINES)]
        diagnosis = diagnose_header(lines, dataset)
        if diagnosis is None:
            raise
        raise RefusedError(diagnosis) from error


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
    _has_utf8: bool = False  # a byte order mark or a character of several bytes: the file is not Latin-1
    _in_header: bool = True

    def __post_init__(self) -> None:
        self._has_utf8 = self.start > 0

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
            text = self._utf8.decode(block)
        except UnicodeDecodeError as error:
            offset = self.start + self.size + error.start - len(error.object) + len(block)
            has_utf8 = self._has_utf8 or not error.object[: error.start].isascii()
            likely = _MIXED if has_utf8 else f"; the file is probably Latin-1 or Windows-1252: {_SAVE_AS_UTF8}"
            reason = f"byte 0x{error.object[error.start]:02x} at offset {offset} is not valid UTF-8{likely}"
            raise RefusedError(reason) from error
        self._has_utf8 = self._has_utf8 or not text.isascii()


def _has_too_wide_record(path: Path, delimiter: str, width: int) -> bool:
    """Whether a record of a plain file has an extra empty field at its end, which DuckDB's reader accepts."""
    separator = delimiter.encode()
    with path.open("rb") as file:
        return any(line.count(separator) >= width for line in file if line.rstrip(b"\r\n").endswith(separator))


def _write_loadable(
    records: Iterable[Record], layout: Layout, path: Path, *, numeric: bool
) -> tuple[LoadableTable, int, tuple[str, ...]]:
    """Write the records that can be split and converted: the contract's columns, LF line endings, few quotes.

    Returns the table, the number of all records, and a warning if well-formed texts look as if they contain records.
    """
    count = 0
    doubtful: list[Record] = []
    names = [column.name for column in layout.dataset.columns]
    with path.open("w", encoding="utf-8", newline="") as file:
        # csv.writer quotes a CR inside a field only when its own line ending is CRLF.
        write = csv.writer(_LineEndsAsLf(file), lineterminator="\r\n").writerow
        write(names)
        for record in records:
            count += 1
            values = layout.loadable(record)
            if values is not None:
                write(values)
            if record.line_count > _MIN_DOUBTFUL_LINES and holds_records(record, layout, share=1):
                doubtful.append(record)
    table = LoadableTable(path, tuple(range(len(names))), len(names), CANONICAL.delimiter, numeric)
    return table, count, _warn_of_doubtful(doubtful)


def _warn_of_doubtful(records: Sequence[Record]) -> tuple[str, ...]:
    if not records:
        return ()
    first, more = records[0], f" (and {len(records) - 1:,} more such records)" if len(records) > 1 else ""
    return (
        f"the record in lines {first.line} to {first.line + first.line_count - 1} holds lines that look like records"
        f"{more}; if a quote in it is closed too late, close it in its own line",
    )


@dataclass
class _LineEndsAsLf:
    file: TextIO

    def write(self, line: str) -> int:
        """Write a record that ends with CRLF."""
        return self.file.write(line.removesuffix("\r\n") + "\n")
