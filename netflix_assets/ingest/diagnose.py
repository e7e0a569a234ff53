"""Guess what a refused object is, and tell the person who sent it what to do. Pure functions.

Runs only after an object has been refused, so nothing here decides whether to refuse it. A wrong guess costs only a
misleading message.
"""

import codecs
import json
import re
from collections.abc import Sequence

from netflix_assets.contracts.describe import character_name
from netflix_assets.contracts.dialect import TableDialect
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.csv_records import parse_csv_text
from netflix_assets.ingest.decode import PARQUET_MAGIC
from netflix_assets.ingest.fields import split_record
from netflix_assets.ingest.records import Layout, find_faults

_NAMES = {"csv": "CSV", "jsonl": "JSON Lines", "json": "JSON", "parquet": "Parquet"}
# {name}: of the contract's format. {save}: how a spreadsheet program writes it.
_SAVE = "open it and {save}"
_UPLOAD = "upload it uncompressed, or compressed with gzip, zstd, bzip2 or as a ZIP archive"
_TWICE = "compressed twice; decompress it once"
_EXPORT = "export it as {name}"
_DECRYPT = "decrypt it before the upload"

_BY_PREFIX: tuple[tuple[bytes, str], ...] = (
    (b"PK\x07\x08", "a part of a ZIP archive; upload the files in it one by one"),
    (b"\xd0\xcf\x11\xe0", f"an old Excel workbook (.xls), not {{name}}; {_SAVE}"),
    (b"%PDF-", "a PDF document, not {name}; ask the sender for the data as {name}"),
    (b"\x1f\x8b", _TWICE),
    (b"\xfd7zXZ\x00", f"compressed with xz; {_UPLOAD}"),
    (b"\x28\xb5\x2f\xfd", _TWICE),
    (b"\x04\x22\x4d\x18", f"compressed with lz4; {_UPLOAD}"),
    (b"7z\xbc\xaf\x27\x1c", f"compressed with 7-Zip; {_UPLOAD}"),
    (b"Rar!\x1a\x07", f"compressed with RAR; {_UPLOAD}"),
    (b"\x1f\x9d", f"compressed with compress (.Z); {_UPLOAD}"),
    (b"\x1f\xa0", f"compressed with compress (.Z); {_UPLOAD}"),
    (b"LZIP\x01", f"compressed with lzip; {_UPLOAD}"),
    (b"\x78\x9c", f"compressed with zlib; {_UPLOAD}"),
    (b"\x78\xda", f"compressed with zlib; {_UPLOAD}"),
    (b"\xff\x06\x00\x00sNaPpY", f"compressed with Snappy; {_UPLOAD}"),
    (b"-----BEGIN PGP ", f"encrypted or signed with PGP; {_DECRYPT}"),
    (b"Salted__", f"encrypted with OpenSSL; {_DECRYPT}"),
    (b"age-encryption.org/", f"encrypted with age; {_DECRYPT}"),
    (b"Obj\x01", f"Avro, not {{name}}; {_EXPORT}"),
    (b"ORC\x0a", f"ORC, not {{name}}; {_EXPORT}"),
    (b"ARROW1\0", f"Arrow, not {{name}}; {_EXPORT}"),
    (b"SQLite format 3\0", f"an SQLite database, not {{name}}; {_EXPORT}"),
    (codecs.BOM_UTF32_LE, "encoded in UTF-32; save it as 'CSV UTF-8'"),
)
_PARQUET = re.compile(PARQUET_MAGIC + rb"[^ -~]")
# PGP's first packet: a session key (version 3), for a public key or a passphrase, or compressed data.
_PGP = re.compile(rb"[\x84\x85\xc1](..?|....)\x03|[\x8c\xc3].\x04|\xa3[\x01-\x03]", re.DOTALL)
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_TAR = (257, b"ustar")
_HTML = re.compile(r"\s*(<!--.*?-->\s*)?<(!doctype html|html)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(r"\s*<(\?xml|Error>)")
_XML_ERROR = re.compile(r"<Error>.*?(?:<Code>(\w+)</Code>|$)", re.DOTALL)
_JSON = re.compile(r'\s*(\{\s*["}]|\[\s*([\[{"\]0-9-]|true|false|null))')

_SEPARATORS = ",;\t|"
_SEP_DIRECTIVE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_VALUE = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+|[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}.*")
_MIN_HEAD = 8  # bytes; shorter heads say nothing about NUL bytes
# Control characters that no text has. Of random bytes they are 8%.
_CONTROLS = bytes([*range(0x01, 0x09), *range(0x0E, 0x1A), 0x7F])
_MIN_CONTROLS, _MANY_CONTROLS = 3, 0.03
_FEW_NULS, _MANY_NULS = 0.1, 0.7  # shares of NUL among the odd or the even bytes


def diagnose_format(head: bytes, dataset: Dataset) -> str | None:
    """What the file is instead of what the contract says, and what to do about it; None when nothing is recognised.

    ``head``: the object's first bytes, decompressed.
    """
    if dataset.format == "parquet" and head.startswith(PARQUET_MAGIC):
        return None  # another fault of a Parquet file
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    found = _recognise_binary(head) or _recognise_markup(text)
    if found is None and dataset.format not in ("jsonl", "json") and _JSON.match(text):
        found = f"JSON, not {{name}}; {_EXPORT}"
    if found is None and is_csv(head, dataset):
        found = f"CSV, not {{name}}; {_EXPORT}, or correct `format` in the contract"
    if found:
        name = _NAMES[dataset.format]
        save = "save it as 'CSV UTF-8'" if dataset.format == "csv" else f"export the data as {name}"
        return f"the file is {found.format(name=name, save=save)}"
    return _diagnose_utf16(head, dataset.encoding) or _diagnose_binary(head, dataset.encoding)


def is_csv(head: bytes, dataset: Dataset) -> bool:
    """Whether the first line of a file that should not be CSV has most of the contract's columns as a header."""
    if dataset.format == "csv":
        return False
    line = next((line for line in head.decode("utf-8-sig", "replace").splitlines() if line.strip()), "")
    names = {name for column in dataset.columns for name in column.file_names if not column.rest}
    fields = [{field.strip(' "') for field in line.split(separator)} for separator in _SEPARATORS]
    return any(len(each & names) > len(dataset.columns) / 2 for each in fields)


def _recognise_binary(head: bytes) -> str | None:
    for prefix, description in _BY_PREFIX:
        if head.startswith(prefix):
            return description
    if head.startswith(b"PK\x03\x04"):
        return _recognise_zip(head)
    if _PARQUET.match(head):
        return f"Parquet, not {{name}}; {_EXPORT}"
    if _BZIP2.match(head):
        return _TWICE
    if _PGP.match(head):
        return f"encrypted with PGP; {_DECRYPT}"
    if head[_TAR[0] :].startswith(_TAR[1]):
        return "a tar archive; upload the files in it one by one"
    return None


def _recognise_zip(head: bytes) -> str:
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return f"an Excel workbook (.xlsx), not {{name}}; {_SAVE}"
    if b"opendocument.spreadsheet" in head:
        return f"an OpenDocument spreadsheet (.ods), not {{name}}; {_SAVE}"
    return f"a ZIP archive, {_TWICE}"


def _recognise_markup(text: str) -> str | None:
    if _HTML.match(text):
        return "a web page (HTML), probably an error page saved instead of the download; download it again"
    if _XML.match(text):
        error = _XML_ERROR.search(text)
        code = f" ({error[1]})" if error and error[1] else ""
        if error:
            return f"an XML error message{code} saved instead of the download; download it again"
        return f"XML, not {{name}}; {_EXPORT}"
    return None


def _diagnose_binary(head: bytes, encoding: str) -> str | None:
    if encoding.startswith("utf-16") or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None  # half of each character, which may be any byte
    count = len(head) - len(head.translate(None, _CONTROLS))
    if count < _MIN_CONTROLS or count < _MANY_CONTROLS * len(head):
        return None
    return (
        f"the file is not text: {count:,} of its first {len(head):,} bytes are control characters. It may be "
        "compressed, encrypted or damaged; upload the CSV file itself"
    )


def _diagnose_utf16(head: bytes, encoding: str) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None  # the byte order mark has already been checked
    if encoding.startswith("utf-16") and b"\0" not in head and len(head) >= _MIN_HEAD:
        return f"the contract says {encoding}, but the file is not; save it as {encoding}, or correct the contract"
    if has_utf16_nuls(head) and not encoding.startswith("utf-16"):
        return (
            f"the file is encoded in UTF-16 without a byte order mark (NUL byte at offset {head.index(0)}); save it as "
            "'CSV UTF-8', or declare `encoding: utf-16` in the contract"
        )
    return None


def has_utf16_nuls(head: bytes) -> bool:
    """Whether bytes are UTF-16 text in a Western script: NUL is every other of them."""
    shares = sorted(half.count(0) / len(half) for half in (head[0:200:2], head[1:200:2]) if half)
    return len(shares) == 2 and shares[0] < _FEW_NULS and shares[1] > _MANY_NULS


def diagnose_header(lines: Sequence[str], dataset: Dataset) -> str | None:
    """Why a header lacks the contract's columns: the wrong line, the wrong separator, or no header at all.

    ``lines``: the first lines of the file. None when only the column names are wrong.
    """
    lines = [line.rstrip("\r\n") for line in lines]
    first, declared = dataset.dialect.header_rows[0], character_name(dataset.dialect.delimiter)
    filled = [(number, line) for number, line in enumerate(lines, start=1) if line and number >= first]
    if not filled:
        return None
    number, header = filled[0]
    directive = _SEP_DIRECTIVE.fullmatch(header)
    if directive:
        problem = f"line {number}, {header!r}, is an Excel directive, not the header"
        if directive[1] == dataset.dialect.delimiter:
            return f"{problem}; delete it{_or_declare(number + 1)}"
        return (
            f"{problem}; declare `dialect: {{delimiter: {json.dumps(directive[1])}, header_rows: [{number + 1}]}}` in "
            f"the contract, or delete it and export the file with {declared} as the separator"
        )
    names = {name for column in dataset.columns for name in column.file_names}
    at = next((each for each, line in enumerate(lines, start=1) if _is_header(line, dataset)), None)
    if at == number:  # it has another fault, such as a duplicate column
        return None
    if at is not None and at < number:
        return f"the header is on line {at}, but the contract says header_rows: {list(dataset.dialect.header_rows)}"
    if at is not None:
        above = [line for each, line in filled if each < at]
        if any(_is_record(line, lines[at - 1], dataset) for line in above):
            return f"the header is on line {at}, below records; move it to the first line"
        return f"the header is on line {at}; delete the lines above it{_or_declare(at)}"
    separator = _find_separator(header, names, dataset.dialect)
    if separator:
        return (
            f"the header is separated by {character_name(separator)}, but the contract says {declared}; "
            f"{_separator_fix(separator, dataset)}"
        )
    fields = split_record(header, dataset.dialect)
    if not names & set(fields) and any(_VALUE.fullmatch(field) for field in fields):
        expected = dataset.dialect.delimiter.join(column.file_name for column in dataset.columns)
        return (
            f"the first line looks like data, not a header; add the header: {expected}; or, if files never have one, "
            "declare `dialect: {header: false}` in the contract"
        )
    return None


def _is_header(line: str, dataset: Dataset) -> bool:
    fields = set(split_record(line, dataset.dialect))
    return all(fields & {*column.file_names} for column in dataset.columns if column.default is None)


def _or_declare(line: int) -> str:
    return f", or, if files always have such lines, declare `dialect: {{header_rows: [{line}]}}` in the contract"


def _is_record(line: str, header: str, dataset: Dataset) -> bool:
    """Whether a line satisfies the contract under this header and has a number or a date, which titles rarely have."""
    names, fields = split_record(header, dataset.dialect), split_record(line, dataset.dialect)
    found = ([names.index(name) for name in column.file_names if name in names] for column in dataset.columns)
    layout = Layout(dataset, len(names), [each[0] if each else None for each in found])
    records = parse_csv_text(line, layout)
    return any(map(_VALUE.fullmatch, fields)) and len(records) == 1 and not find_faults(layout, records[0])[1]


def _find_separator(header: str, names: set[str], dialect: TableDialect) -> str | None:
    """A separator that fits the header better than the declared one: more known names, or the right width."""
    found = split_record(header, dialect)
    for separator in _SEPARATORS:
        fields = split_record(header, dialect.model_copy(update={"delimiter": separator}))
        has_more_names = len(names & set(fields)) > len(names & set(found))
        has_right_width = len(found) == 1 < len(fields) == len(names)
        if separator != dialect.delimiter and (has_more_names or has_right_width):
            return separator
    return None


def _separator_fix(separator: str, dataset: Dataset) -> str:
    return (
        f"export the file with {character_name(dataset.dialect.delimiter)} as the separator, or declare "
        f"`dialect: {{delimiter: {json.dumps(separator)}}}` in the contract"
    )
