"""What an object that cannot be loaded most likely is, in words for the person who sent it. Pure functions.

Asked only when an object is refused, so nothing here decides whether it is: a wrong guess costs nothing but a
misleading sentence. Does not belong here: what is refused (``gate.py``, ``unpack.py``).
"""

import codecs
import csv
import json
import re
from collections.abc import Sequence

from netflix_assets.contracts.model import Dataset

_SAVE = "open it and save it as 'CSV UTF-8'"
_PACKED = "only gzip or plain files are read: unpack it, or pack it with gzip"

_BY_START: tuple[tuple[bytes, str], ...] = (
    (b"\xd0\xcf\x11\xe0", f"an old Excel workbook (.xls), not CSV: {_SAVE}"),
    (b"%PDF-", "a PDF document, not CSV: ask the sender for the data as CSV"),
    (b"\x1f\x8b", "packed with gzip twice: unpack it once"),
    (b"\xfd7zXZ\x00", f"packed with xz; {_PACKED}"),
    (b"\x28\xb5\x2f\xfd", f"packed with zstd; {_PACKED}"),
    (b"\x04\x22\x4d\x18", f"packed with lz4; {_PACKED}"),
    (b"7z\xbc\xaf\x27\x1c", f"packed with 7-Zip; {_PACKED}"),
    (b"Rar!\x1a\x07", f"packed with RAR; {_PACKED}"),
    (codecs.BOM_UTF32_LE, "encoded in UTF-32; save it as 'CSV UTF-8'"),
)
_PARQUET = re.compile(rb"PAR1[^ -~]")
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_TAR = (257, b"ustar")
_HTML = re.compile(r"\s*(<!--.*?-->\s*)?<(!doctype html|html)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(r"\s*<(\?xml|Error>)")
_XML_ERROR = re.compile(r"<Error>.*?(?:<Code>(\w+)</Code>|$)", re.DOTALL)
_JSON = re.compile(r'\s*(\{\s*["}]|\[\s*([\[{"\]0-9-]|true|false|null))')

_SEPARATORS = ",;\t|"
_SEP_NOTE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_VALUE = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+|[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}.*")
_ENOUGH = 8  # bytes, to say that there is no NUL among them
_HARDLY, _MOSTLY = 0.1, 0.7  # shares of NUL among every other byte


def other_format(head: bytes, dataset: Dataset) -> str | None:
    """What a file with these first bytes is instead of the CSV of the contract, and what to do; None for all we know.

    ``head`` is what the object holds once it is decompressed.
    """
    found = _binary(head) or _markup(head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace"))
    if found:
        return f"the file is {found}"
    return _utf16_or_not(head, dataset.encoding)


def _binary(head: bytes) -> str | None:
    for start, what in _BY_START:
        if head.startswith(start):
            return what
    if head.startswith(b"PK\x03\x04"):
        return _zip(head)
    if _PARQUET.match(head):
        return "Parquet, not CSV: export it as CSV"
    if _BZIP2.match(head):
        return f"packed with bzip2; {_PACKED}"
    if head[_TAR[0] :].startswith(_TAR[1]):
        return f"a tar archive: upload the CSV files in it one by one; {_PACKED}"
    return None


def _zip(head: bytes) -> str:
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return f"an Excel workbook (.xlsx), not CSV: {_SAVE}"
    if b"opendocument.spreadsheet" in head:
        return f"an OpenDocument spreadsheet (.ods), not CSV: {_SAVE}"
    return "a ZIP archive: upload the CSV files in it, plain or packed with gzip"


def _markup(text: str) -> str | None:
    if _HTML.match(text):
        return "a web page (HTML), most likely an error page in place of a download: download it again"
    if _XML.match(text):
        error = _XML_ERROR.search(text)
        code = f" ({error[1]})" if error and error[1] else ""
        if error:
            return f"an error message in XML{code} in place of a download: download it again"
        return "XML, not CSV: export it as CSV"
    if _JSON.match(text):
        return "JSON, not CSV: export it as CSV"
    return None


def _utf16_or_not(head: bytes, encoding: str) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return None  # the mark itself has been judged
    if encoding.startswith("utf-16") and b"\0" not in head and len(head) >= _ENOUGH:
        return f"the contract says {encoding}, but the file is not; save it so, or take `encoding` out of the contract"
    shares = sorted(half.count(0) / len(half) for half in (head[0:200:2], head[1:200:2]) if half)
    if (
        not encoding.startswith("utf-16") and len(shares) == 2 and shares[0] < _HARDLY and shares[1] > _MOSTLY
    ):  # as text in a Western script is
        return (
            f"the file is encoded in UTF-16 without a byte order mark (NUL byte at offset {head.index(0)}); save it as "
            "'CSV UTF-8', or declare `encoding: utf-16` in the contract"
        )
    return None


def header_problem(lines: Sequence[str], dataset: Dataset) -> str | None:
    """Why a header does not have the contract's columns, where its file is otherwise than the contract says.

    ``lines`` are the first lines of the file. None when it is only other columns.
    """
    lines = [line.rstrip("\r\n") for line in lines]
    filled = [(number, line) for number, line in enumerate(lines, start=1) if line]
    if not filled:
        return None
    number, header = filled[0]
    note = _SEP_NOTE.fullmatch(header)
    if note:
        fix = "" if note[1] == dataset.delimiter else f", and {_fix(note[1], dataset)}"
        return f"line {number}, {header!r}, is a note to Excel and not the header: delete it{fix}"
    names = {column.file_name for column in dataset.columns}
    for number, line in filled[1:]:
        if names <= set(_fields(line, dataset.delimiter)):
            return f"the header stands in line {number}: delete what stands above it"
    separator = _other_separator(header, names, dataset.delimiter)
    if separator:
        return (
            f"the header looks separated by {_name(separator)}, the contract says {_name(dataset.delimiter)}: "
            f"{_fix(separator, dataset)}"
        )
    fields = _fields(header, dataset.delimiter)
    if not names & set(fields) and any(_VALUE.fullmatch(field) for field in fields):
        expected = dataset.delimiter.join(column.file_name for column in dataset.columns)
        return f"the first line looks like data: the file has no header; put one above, with the columns {expected}"
    return None


def _other_separator(header: str, names: set[str], declared: str) -> str | None:
    """The separator that takes more of the contract's names out of the header than the declared one, or as many."""
    found = _fields(header, declared)
    for separator in _SEPARATORS:
        fields = _fields(header, separator)
        has_more_names = len(names & set(fields)) > len(names & set(found))
        has_the_width = len(found) == 1 < len(fields) == len(names)
        if separator != declared and (has_more_names or has_the_width):
            return separator
    return None


def _fix(separator: str, dataset: Dataset) -> str:
    return (
        f"export the file with {_name(dataset.delimiter)} between the columns, or declare "
        f"`delimiter: {json.dumps(separator)}` in the contract"
    )


def _fields(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _name(separator: str) -> str:
    return "TAB" if separator == "\t" else f"'{separator}'"
