"""The expected outcome of a CSV file, from Python's csv module and the standard library alone.

Written against docs/files.md, without any code of the product, so that the two agree only if both are right.
``csv.reader`` parses the file, ``gzip`` decompresses it and ``bytes.decode`` decodes it. ``int``, ``Decimal`` and
``date`` check values instead of the product's regular expressions.
"""

import codecs
import csv
import gzip
import io
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import chain, islice

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset

LONGEST_RECORD = 2_000_000  # bytes in UTF-8, including a line ending of at least one byte
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_AFTER_THE_END = "\x01end"
_TEXT_LENGTH = 65_536  # characters of a text whose column sets no max_length


@dataclass(frozen=True)
class Verdict:
    """The expected outcome of a file. ``refused``: a part of the reason, empty if the file loads.

    ``rows``: how often each tuple of values must be loaded. ``rejects``: (record number, line, faulty columns, text).
    """

    refused: str = ""
    ignored: bool = False
    record_count: int = 0
    rows: Counter = None
    rejects: tuple = ()


@dataclass(frozen=True)
class _Record:
    line: int
    text: str
    fields: list[str]
    is_open: bool = False  # a quote is open at the end of the file

    @property
    def ends(self) -> int:
        """Bytes of the line ending."""
        return len(self.text) - len(self.text.rstrip("\r\n"))


def judge(content: bytes, dataset: Dataset) -> Verdict:
    """The expected outcome of an object with this content."""
    text, problem = _text(content, dataset.encoding)
    if problem:
        return Verdict(refused=problem)
    lines = _LINE.findall(text)
    first = next(_records(lines, 0, dataset.dialect.delimiter), None)
    if first is None:
        return Verdict(refused="only blank lines")
    if first.is_open:
        return Verdict(refused="never closed")
    header = first.fields
    wanted = [column.file_name for column in dataset.columns]
    if any(name and header.count(name) > 1 for name in header):
        return Verdict(refused="duplicate column")
    if not set(wanted) <= set(header):
        return Verdict(refused="header")
    records = _recovered(lines, first.line - 1 + len(_LINE.findall(first.text)), header, dataset)
    if not records:
        return Verdict(ignored=True)
    rows, rejects, weight = Counter(), [], 0
    for number, record in enumerate(records, start=1):
        row, faulty = _check(record, header, dataset)
        if faulty is None:
            rows[row] += 1
        else:
            rejects.append((number, record.line, ", ".join(faulty), record.text.rstrip("\r\n")))
            is_one = faulty and not any(_is_too_long(column, record, header) for column in dataset.columns)
            weight += 1 if is_one else len(_LINE.findall(record.text))
    tolerance = dataset.tolerance
    if weight > max(tolerance.rejected_rows, math.floor(tolerance.rejected_share * len(records))):
        return Verdict(refused="records violate the contract")
    return Verdict(record_count=len(records), rows=rows, rejects=tuple(rejects))


def _text(content: bytes, encoding: str) -> tuple[str, str]:
    """The file's text, or the problem with its bytes."""
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except EOFError:
            return "", "ends early"
        except (gzip.BadGzipFile, zlib.error):
            return "", "gzip"
    if encoding != "utf-8" and content.startswith(codecs.BOM_UTF8):
        return "", "encoded in UTF-8"
    if not encoding.startswith("utf-16") and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "", "UTF-16"
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        return "", "middle of a character" if "truncated" in error.reason else "byte 0x"
    text = re.sub(r"\x1a[\x1a\r\n]*\Z", "", text)  # the end-of-file mark of DOS
    if text == "":
        return "", "empty"
    if "\0" in text:
        return "", "NUL"
    return text, ""


def _records(lines: list[str], start: int, delimiter: str) -> Iterator[_Record]:
    """The records from a line on (counted from 0), as csv.reader finds them."""
    reader = csv.reader(chain(islice(lines, start, None), [_AFTER_THE_END]), delimiter=delimiter)
    before = start
    for fields in reader:
        if fields == [_AFTER_THE_END]:
            return
        end = start + reader.line_num
        is_open = bool(fields) and fields[-1].endswith(_AFTER_THE_END)
        if fields:
            yield _Record(before + 1, "".join(lines[before:end]), fields, is_open)
        before = end


def _recovered(lines: list[str], start: int, header: list[str], dataset: Dataset) -> list[_Record]:
    """The records after the header. A faulty one whose lines are records counts as its first line only."""
    found: list[_Record] = []
    again: int | None = start
    while again is not None:
        records, again = _records(lines, again, dataset.dialect.delimiter), None
        for record in records:
            if not _has_swallowed_records(record, header, dataset):
                found.append(record)
                continue
            first = _LINE.findall(record.text)[0]
            fields = next(csv.reader([first], delimiter=dataset.dialect.delimiter))
            found.append(_Record(record.line, first, fields, is_open=True))
            again = record.line  # the line after the first, counted from 0
            break
    return found


def _has_swallowed_records(record: _Record, header: list[str], dataset: Dataset) -> bool:
    lines = [line for line in _LINE.findall(record.text)[1:1001] if line.strip("\r\n")]
    if not lines or len(header) == 1:
        return False
    if not record.is_open and _check(record, header, dataset)[1] is None:
        return False
    parsed = [_Record(0, line, next(csv.reader([line], delimiter=dataset.dialect.delimiter))) for line in lines]
    good = [_check(each, header, dataset)[1] is None for each in parsed]
    is_typed = any(column.type != "text" for column in dataset.columns)
    return sum(good) >= (1 if is_typed else 5) and 3 * sum(good[:-1]) >= 2 * len(good[:-1])


def _check(record: _Record, header: list[str], dataset: Dataset) -> tuple[tuple, list[str] | None]:
    """The values of a record and None, or the faulty columns: an empty list when the whole record is malformed."""
    if (
        record.is_open
        or not _is_well_quoted(record.text.rstrip("\r\n"), record.fields, dataset.dialect.delimiter)
        or len(record.fields) != len(header)
        or len(record.text.rstrip("\r\n").encode()) + max(1, record.ends) > LONGEST_RECORD
    ):
        return (), []
    values, faulty = [], []
    for column in dataset.columns:
        text = record.fields[header.index(column.file_name)]
        try:
            values.append(_value(column, text))
        except ValueError:
            faulty.append(column.name)
    return tuple(values), faulty or None


def _is_well_quoted(text: str, fields: list[str], delimiter: str) -> bool:
    """Whether a record is its fields joined, each either free of quotes or fully quoted."""
    for at, field in enumerate(fields):
        if at:
            if not text.startswith(delimiter):
                return False
            text = text[len(delimiter) :]
        quoted = '"' + field.replace('"', '""') + '"'
        if text.startswith('"'):
            if not text.startswith(quoted):
                return False
            text = text[len(quoted) :]
        elif '"' in field:
            return False
        else:
            text = text[len(field) :]
    return text == ""


def _is_too_long(column: Column, record: _Record, header: list[str]) -> bool:
    text = record.fields[header.index(column.file_name)]
    return column.type == "text" and len(text) > (column.max_length or _TEXT_LENGTH)


def _value(column: Column, text: str) -> object:
    """The value of a text. Raises: ValueError when it is not valid for the column's type."""
    if text == "":
        if column.nullable:
            return None
        raise ValueError
    if column.type == "text":
        if len(text) > (column.max_length or _TEXT_LENGTH):
            raise ValueError
        return text
    if not text.isascii():
        raise ValueError
    if column.type in ("integer", "bigint"):
        if not text.lstrip("+-").isdigit() or text[1:].strip("0123456789"):
            raise ValueError
        number, bound = int(text), 2 ** (31 if column.type == "integer" else 63)
        if not -bound <= number < bound:
            raise ValueError
        return number
    if column.type == "boolean":
        if text not in _BOOLEANS:
            raise ValueError
        return _BOOLEANS[text]
    if column.type == "date":
        return _date(text)
    return _decimal(column.type, text)


def _date(text: str) -> date:
    year, month, day = text.split("-")
    if (len(year), len(month), len(day)) != (4, 2, 2) or not (year + month + day).isdigit():
        raise ValueError
    return date(int(year), int(month), int(day))


def _decimal(kind: str, text: str) -> Decimal:
    if set(text) - set("+-.0123456789"):
        raise ValueError
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise ValueError from error
    precision, scale = map(int, re.findall(r"\d+", kind))
    exact = Fraction(number)
    if (exact * 10**scale).denominator != 1 or abs(exact) >= 10 ** (precision - scale):
        raise ValueError
    return number


def packed(content: bytes) -> bytes:
    """The content as gzip without a timestamp, so that the same case has the same bytes."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as file:
        file.write(content)
    return target.getvalue()
