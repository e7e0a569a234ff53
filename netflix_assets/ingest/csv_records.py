"""Split a CSV file into records.

An opened quote that nobody closes swallows the records after it, up to the next quote or to the end of the file. Such a
record is recovered: its first line is rejected, and the lines after it are read as the records that they are. A record
of several lines that satisfies the contract is never touched.
"""

import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.dialect import TableDialect
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.values import could_start, find_fault
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.fields import MAX_REJECT_LENGTH, is_well_formed, split_record, split_records
from netflix_assets.ingest.records import MAX_RECORD_BYTES, Layout, Record, find_faults, size_of

# Recovery reads lines again, up to this many characters in one file: 13 s for a million records of which every 40th
# opens a quote that runs to the end. Without a limit this would take hours.
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


def read_header(path: Path, dataset: Dataset) -> tuple[str, ...]:
    """The names of the file's columns: from its header, or from the contract if files have none.

    Raises: RefusedError when there is no header, or when a quote in it stays open.
    """
    if not dataset.dialect.header:
        names = [""] * dataset.width
        for column, position in zip(dataset.columns, dataset.positions, strict=True):
            names[position] = column.name
        return tuple(names)
    with path.open(encoding="utf-8", newline="") as file:
        rows = _Reader(file, dataset.dialect).header()
    if rows is None:
        raise RefusedError("the file contains only blank lines")
    for record in rows:
        if record.is_open:
            quote = dataset.dialect.quote_char
            raise RefusedError(f"the header (line {record.line}) opens a quote ({quote}) that is never closed")
    if len(rows) == 1:
        return tuple(rows[0].fields)
    width = max(len(row.fields) for row in rows)
    padded = [[*row.fields, *[""] * (width - len(row.fields))] for row in rows]
    return tuple(" ".join(filter(None, names)) for names in zip(*padded, strict=True))


def read_csv_records(path: Path, layout: Layout) -> Iterator[Record]:
    """Every record of a file after the header. Blank lines, comments and footer lines are skipped.

    Raises: RefusedError when a line, or a record that cannot be recovered, is longer than ``MAX_REJECT_LENGTH``, or
    when a line of the footer is a record.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = _Reader(file, layout.dataset.dialect)
        reader.header()
        reread = 0
        record = None
        for raw in reader.records():
            problem = _malformed_reason(layout, raw)
            record = raw._replace(problem=problem) if problem else raw
            if record.line_count == 1:
                yield record
            elif reread < _REREAD_LENGTH and _swallows_records(record, layout):
                reread += len(record.text)
                first = reader.keep_first_line(record)
                yield first._replace(problem=_malformed_reason(layout, first))
            elif record.is_open and not record.ends_file:
                raise RefusedError(
                    f"the record that starts at line {record.line} is longer than {MAX_REJECT_LENGTH:,} characters: a "
                    'quote (") in it is probably not closed'
                )
            else:
                yield record
        _refuse_records_in_footer(reader.footer, layout)
        if record is not None and record.ends_file:
            _refuse_rest_of_record(record, reader.footer, layout.dataset.dialect)


def _refuse_rest_of_record(last: Record, footer: Sequence[str], dialect: TableDialect) -> None:
    """Refuse a footer that is the rest of a quoted record: it closes the quote, or the file ends within it."""
    rest = "".join(footer)
    is_closed = dialect.quote_char is not None and dialect.quote_char in rest
    if footer and (is_closed or not rest.endswith(("\n", "\r"))):
        raise RefusedError(
            f"the contract says footer_rows: {dialect.footer_rows}, but the last line is a part of the record that "
            f"starts at line {last.line}: {rest.strip()[:100]!r}. The file may be truncated; upload it again"
        )


def _refuse_records_in_footer(footer: Sequence[str], layout: Layout) -> None:
    rows = layout.dataset.dialect.footer_rows
    # A contract of texts that may all be missing cannot tell a total from a record.
    can_tell = any(not column.nullable or _has_form(column) for column in layout.dataset.columns)
    for line in footer:
        if can_tell and _is_record(line, layout):
            raise RefusedError(
                f"the contract says footer_rows: {rows}, but one of these lines is a valid record: "
                f"{line.strip()[:100]!r}. If the file lacks its footer, upload it again; if files have none, correct "
                "the contract"
            )
    last = parse_csv_text(footer[-1], layout) if footer else []
    if last and not last[0].has_line_end and len(last[0].fields) < layout.width and not _is_footer(layout, last[0]):
        raise RefusedError(
            f"the contract says footer_rows: {rows}, but the last line looks like the start of a record: "
            f"{last[0].text[:100]!r}. The file may be truncated; upload it again"
        )


class _Reader:
    """Splits a file into records. Lines can be put back and read again.

    ``footer``: the lines of the footer, complete after the last record.
    """

    def __init__(self, file: TextIO, dialect: TableDialect) -> None:
        self._file = file
        self._dialect = dialect
        self._again: deque[str] = deque()
        self.footer: deque[str] = deque()
        self._at_end = False
        self._line = 1  # number of the first line of the current record
        self._lines: list[str] = []  # its lines so far

    def header(self) -> list[Record] | None:
        """The records of the header, read from the start of the file; None when there are too few."""
        if not self._dialect.header:
            return []
        for _ in range(self._dialect.header_rows[0] - 1):
            self._next_line()
            self._line += 1
        rows = [row for _, row in zip(self._dialect.header_rows, self.records(), strict=False)]
        return rows if len(rows) == len(self._dialect.header_rows) else None

    def records(self) -> Iterator[Record]:
        """The records. The one that a quote keeps open ends with the file, or where it becomes too long."""
        while self._again or not self._at_end:
            for fields in split_records(self._feed(), self._dialect):
                lines, self._lines = self._lines, []
                line = self._line
                self._line += len(lines)
                is_open = bool(fields) and fields[-1].endswith(_END_MARK)
                if is_open:
                    fields[-1] = fields[-1].removesuffix(_END_MARK)
                if lines and fields:
                    yield Record(line, "".join(lines), fields, len(lines), "", is_open, is_open and self._at_end)

    def keep_first_line(self, record: Record) -> Record:
        """Shorten the record read last to its first line, and put back the others."""
        first, *others = split_lines(record.text)
        self._again.extendleft(reversed(others))
        self._line -= len(others)
        return Record(record.line, first, split_record(first, self._dialect), is_open=True)

    def _feed(self) -> Iterator[str]:
        """The lines. A mark after the last one shows whether a quote is open there."""
        lines, size = self._lines, 0
        while True:
            if self._lines is not lines:  # the reader has begun another record
                lines, size = self._lines, 0
            line = self._next_line()
            size += len(line)
            if not line or (size > MAX_REJECT_LENGTH and lines):
                break
            if len(line) == MAX_REJECT_LENGTH:
                raise RefusedError(
                    f"line {self._line + len(lines)} is longer than {MAX_REJECT_LENGTH:,} characters; its line endings "
                    "are probably missing. Export the file with one record per line"
                )
            lines.append(line)
            yield "\n" if self._is_comment(lines) else line
        self._at_end = not line
        if line:
            self._again.appendleft(line)
        yield _END_MARK

    def _is_comment(self, lines: Sequence[str]) -> bool:
        mark = self._dialect.comment_char
        return mark is not None and len(lines) == 1 and lines[0].startswith(mark)

    def _next_line(self) -> str:
        """The next line; an empty text at the end, or where the footer begins."""
        if self._again:
            return self._again.popleft()
        count = self._dialect.footer_rows
        # A line is not of the footer if enough lines follow it. Blank lines do not count.
        while count and sum(map(_is_filled, islice(self.footer, 1, None))) < count:
            line = self._file.readline(MAX_REJECT_LENGTH)
            if not line:
                return ""
            self.footer.append(line)
        return self.footer.popleft() if count else self._file.readline(MAX_REJECT_LENGTH)


def _is_filled(line: str) -> bool:
    return line.strip("\r\n") != ""


def parse_csv_text(text: str, layout: Layout) -> list[Record]:
    """The records of a text that is in memory, such as a reject."""
    lines = split_lines(text)
    records = [Record(1, text, fields, len(lines)) for fields in split_records(lines, layout.dataset.dialect)]
    return [record._replace(problem=_malformed_reason(layout, record)) for record in records]


def split_lines(text: str) -> list[str]:
    """The lines of a text, each with its line ending. Other separators (U+2028) do not end a line."""
    ends = [match.end() for match in _LINE_END.finditer(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True) if start < end]


def _swallows_records(record: Record, layout: Layout) -> bool:
    """Whether the lines of a faulty record are records themselves, so that a quote in its first line is not closed."""
    if layout.width < 2 or not (record.is_open or find_faults(layout, record)[1]):
        return False
    return holds_records(record, layout, share=2 / 3)


def holds_records(record: Record, layout: Layout, share: float) -> bool:
    """Whether the lines of a record of several lines, after its first, satisfy the contract as records.

    ``share``: of the lines between the first and the last one. The last line has the quote that ended the record.
    """
    lines = [line for line in split_lines(record.text)[1 : 1 + _SAMPLE_LINES] if line.strip("\r\n")]
    found = [_is_record(line, layout) for line in lines]
    between = found[:-1]
    has_form = any(map(_has_form, layout.dataset.columns))
    return sum(found) >= (1 if has_form else _RECORDS_IN_TEXT) and sum(between) >= share * len(between)


def _has_form(column: Column) -> bool:
    return column.type != "text" or bool(column.values or column.pattern)


def _is_record(line: str, layout: Layout) -> bool:
    found = parse_csv_text(line, layout)
    return len(found) == 1 and not find_faults(layout, found[0])[1]


def _malformed_reason(layout: Layout, record: Record) -> str:
    """Why a record cannot be split into as many fields as the header has; empty when it can."""
    text, dialect = record.text, layout.dataset.dialect
    if not is_well_formed(text, dialect):
        return f"unescaped quote ({dialect.quote_char}) inside a field; quote the field and double the inner quotes"
    if len(record.fields) != layout.width:
        expected = "the header has" if dialect.header else "the contract says"
        found = counted(len(record.fields), "field")
        return f"{found}, but {expected} {layout.width}{_why_too_few(layout, record)}"
    if len(text) >= MAX_RECORD_BYTES // 4 and size_of(text) > MAX_RECORD_BYTES:
        return f"the record is longer than {MAX_RECORD_BYTES:,} bytes"
    return ""


def open_quote_reason(record: Record, dialect: TableDialect) -> str:
    """Why a record whose quote is not closed is rejected."""
    if dialect.quote_char is None or dialect.quote_char not in record.text:
        return f"ends with the escape character ({dialect.escape_char}); the file may be truncated"
    opened = f"opens a quote ({dialect.quote_char})"
    if record.ends_file:
        return f"{opened} that is never closed; the file may be truncated"
    return f"{opened} that is not closed; the lines after it are records and are read as such"


def is_cut_off(layout: Layout, record: Record) -> bool:
    """Whether a record looks like the end of a truncated file."""
    if record.ends_file:
        return True
    too_few = len(record.fields) < layout.width and not record.has_line_end
    return too_few and not _is_footer(layout, record)


def _why_too_few(layout: Layout, record: Record) -> str:
    if len(record.fields) > layout.width:
        return ""
    if _is_footer(layout, record):
        return "; this looks like a footer or a comment, not a record: delete the line"
    if not record.has_line_end:
        return "; this last record has no line ending, so the file may be truncated"
    return ""


def _is_footer(layout: Layout, record: Record) -> bool:
    """Whether a record with too few fields was never one: ``Total: 3 rows``, ``# end``, ``;;;``."""
    if _FOOTER.fullmatch(record.text):
        return True
    if record.has_line_end or not record.fields:
        return False
    # The start of a record has valid values, of which the last may be cut off.
    places = {place.position: place for place in layout.places}
    *whole, last = enumerate(record.fields)
    is_start = all(
        at not in places or find_fault(places[at].column, value, places[at].conversion) is None for at, value in whole
    )
    place = places.get(last[0])
    return not is_start or not (place is None or place.conversion or could_start(place.column, last[1]))


def read_text(text: str, dialect: TableDialect) -> list[list[str]]:
    """The fields of each record of a text that is in memory, such as a header."""
    return list(split_records(io.StringIO(text, newline=""), dialect))
