"""Nasty files and their expected outcomes, as a table for ``test_corpus.py``.

``row`` is the start of the row in docs/files.md that a file proves. All datasets are made up. Whether a file is wrong
depends on its dataset's contract.
"""

import bz2
import codecs
import gzip
import io
import lzma
import tempfile
import zipfile
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb

from netflix_assets.contracts.model import Dataset
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_decompress import zstd

HEADER = b"id,label\n"
QUOTE = 'unescaped quote (") inside a field; quote the field and double the inner quotes'
SAVE_LATIN = "save it as 'CSV UTF-8', or declare `encoding: windows-1252` in the contract"
LATIN = f"is not valid UTF-8; the file is probably Latin-1 or Windows-1252: {SAVE_LATIN}"
UTF_16 = "save it as 'CSV UTF-8', or declare `encoding: utf-16` in the contract"
SAVE = "open it and save it as 'CSV UTF-8'"
UPLOAD = "upload it uncompressed, or compressed with gzip, zstd, bzip2 or as a ZIP archive"


def things(**changes: object) -> Dataset:
    """The dataset of most files, or a variant of it."""
    name = "_".join(["things", *("".join(filter(str.isalnum, str(value))) or "odd" for value in changes.values())])
    columns = make_column("id", "integer"), make_column("label", nullable=True, max_length=2_000_000)
    return make_dataset(*columns, name=name.lower(), **changes)


def typed(kind: str, name: str, **rules: object) -> Dataset:
    """A dataset with a second column of this type."""
    return make_dataset(make_column("id", "integer"), make_column("value", kind, nullable=True, **rules), name=name)


THINGS = things()
SHORT = make_dataset(make_column("id", "integer"), make_column("label"), name="short")
JSON_THINGS, PARQUET_THINGS = things(format="jsonl"), things(format="parquet")
SEMICOLONS = things(dialect={"delimiter": ";"})
UTF16, LATIN1, WINDOWS = things(encoding="utf-16"), things(encoding="latin-1"), things(encoding="windows-1252")
INTEGERS, AMOUNTS = typed("integer", "integers"), typed("decimal(4,2)", "amounts")
RATIOS, DAYS, MOMENTS = typed("double", "ratios"), typed("date", "days"), typed("timestamp", "timestamps")
FLAGS, BIG = typed("boolean", "flags"), typed("bigint", "big")
STARS = typed("decimal(2,1)", "stars", min=0.5, max=5, multiple_of=0.5)
ROLES = typed("text", "roles", values=("ACTOR", "DIRECTOR"))
CODES = typed("text", "codes", pattern="[0-9]{7}")
COMMAS = typed("decimal(4,2)", "commas", decimal_char=",")
LOCAL = typed("timestamp", "local", time_zone="Europe/Berlin")
FOOTED = things(dialect={"footer_rows": 1})
DEFAULTED = make_dataset(
    make_column("id", "integer"), make_column("label", default="none", aliases=["name"]), name="defaulted"
)
NAMED = make_dataset(make_column("id", "integer"), make_column("label"), name="named")


@dataclass(frozen=True)
class Loads:
    """The outcome of a file that loads: its rows in order, ``rejects`` as (record number, reason), its warning."""

    rows: list[tuple]
    rejects: tuple[tuple[int, str], ...] = ()
    warning: str = ""


@dataclass(frozen=True)
class Refused:
    """The reason for a file that is not loaded; ``ignored``: it has no records."""

    reason: str
    ignored: bool = False


@dataclass(frozen=True)
class Nasty:
    """One file: a description, the documentation row that it proves, its bytes and its outcome."""

    what: str
    row: str
    content: bytes
    outcome: Loads | Refused
    dataset: Dataset = THINGS


ONE = Loads([(1, "x")])
TWO = Loads([(1, "x"), (2, "y")])


def values(*texts: str) -> bytes:
    """A file with one record for each text, with the text in the second column."""
    return "".join(["id,value\n", *(f"{number},{text}\n" for number, text in enumerate(texts, start=1))]).encode()


def all_rejected(column: str, reason: str, *texts: str) -> Loads:
    """All of these texts are rejected, for the same reason."""
    return Loads([], tuple((number, f"{column} {text!r} {reason}") for number, text in enumerate(texts, start=1)))


def zipped(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, "id,label\n1,x\n" * 50)
    return target.getvalue()


def zipped_as(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("things.csv", content)
    return target.getvalue()


def parquet(number: str = "1") -> bytes:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute(f"copy (select {number} as id, 'x' as label) to '{folder}/x' (format parquet)")
        return Path(folder, "x").read_bytes()


INVALID_INTEGERS = (
    "2.7", "2.0", "0x10", "0b1", "1_000", "1e3", "nan", "inf", "-inf", "1 000", " 5", "5 ", "\uff11\uff12", "٣", "²",
    "--1", "+", "x", "true", "5\xa0", "'5", "€5",
)  # fmt: skip
INVALID_AMOUNTS = ("4.255", "1e1", "nan", "inf", "0x1", "1.2.3", " 1", "1.5 ", "\uff11.\uff15", "1'000")
INVALID_DAYS = ("07/11/2026", "2026-1-1", "20260101", "2026-01-01T00:00:00", "26-01-01", "0000-01-01", "infinity",
                "today", "2026-W01-1", "2026-01-01 (BC)")  # fmt: skip
LONG = "é" * 500_000
MANY = [f"more_{number}" for number in range(3_000)]
A_LINE = b"1,x\n"
NO_RECORDS = "the file has a header but no records; keeping the rows loaded earlier"
NEVER_CLOSED = 'opens a quote (") that is never closed; the file may be truncated'
OPENED = 'opens a quote (") that is not closed; the lines after it are records and are read as such'
FOOTER = "1 field, but the header has 2; this looks like a footer or a comment, not a record: delete the line"
OTHER = "another format"
TEXT = "any other text"
QUOTED = "quoted commas"
TYPE = "a value that does not match its type"
HEAD = "no header;"
SEPARATED = "`;`, TAB or"
FIELDS = "too few or too many fields"
GZIP = "gzip, whatever the file extension"
PACKED = "zstd, bzip2 or a ZIP archive of one file"
BAD_GZIP = "gzip, zstd, bzip2 or ZIP that is truncated"
ZIP = "a ZIP archive of several files"
LINES, NO_LINES, PARQUET, NO_PARQUET = (
    "JSON Lines: one object per line",
    "JSON Lines: a line that is not one valid object",
    "Parquet: columns",
    "Parquet: a column of a type that does not fit",
)

CORPUS = (
    # ------------------------------------------------------------ header
    Nasty("columns in another order", "columns in another order", b"label,id\nx,1\ny,2\n", TWO),
    Nasty("a 13th column", "a column that is not in the contract", b"id,label,device\n1,x,tv\n",
          Loads([(1, "x")], warning="column 'device' is not in the contract; ignored")),
    Nasty("a delimiter at the end of each line", "a column that is not in the contract", b"id,label,\n1,x,\n2,y,\n",
          Loads([(1, "x"), (2, "y")], warning="column '' is not in the contract; ignored")),
    Nasty("three delimiters at the end of each line", "a column that is not in the contract",
          b"id,label,,,\n1,x,,,\n", Loads([(1, "x")], warning="column '' is not in the contract; ignored")),
    Nasty("a column name of two lines", "a column that is not in the contract", b'id,label,"of\ndevice"\n1,x,tv\n',
          Loads([(1, "x")], warning="column 'of\\ndevice' is not in the contract; ignored")),
    Nasty("3,000 more columns", "a column that is not in the contract",
          ",".join(["id", *MANY, "label"]).encode() + b"\n1" + b"," * 3_001 + b"x\n",
          Loads([(1, "x")], warning="columns 'more_0', 'more_1', 'more_2', 'more_3', 'more_4', 'more_5', 'more_6', "
                "'more_7', 'more_8', 'more_9' and 2,990 more are not in the contract; ignored")),
    Nasty("a header of 1 MB", "a column that is not in the contract", b"id,label," + b"n" * 10**6 + b"\n1,x,y\n",
          Loads([(1, "x")], warning=f"column '{'n' * 60}…' is not in the contract; ignored")),
    Nasty("a delimiter at the end of each record, not of the header", FIELDS, b"id,label\n1,x,\n2,y,\n",
          Loads([], ((1, "3 fields, but the header has 2"), (2, "3 fields, but the header has 2")))),
    Nasty("a duplicate column", "a column missing, renamed", b"id,label,id\n1,x,1\n",
          Refused("duplicate column 'id' in the header")),
    Nasty("a column renamed", "a column missing, renamed", b"id,name\n1,x\n", Refused(
        "the header is missing column 'label' and has unknown column 'name'; expected: id,label")),
    Nasty("a header in another case", "a column missing, renamed", b"ID,Label\n1,x\n", Refused(
        "the header is missing columns 'id', 'label' and has unknown columns 'ID', 'Label'; expected: id,label")),
    Nasty("a header with blanks", "a column missing, renamed", b"id, label\n1,x\n", Refused(
        "the header is missing column 'label' and has unknown column ' label'; expected: id,label")),
    Nasty("a header in quotes", QUOTED, b'"id","label"\n1,x\n', ONE),
    Nasty("one word", "a column missing, renamed", b"hello", Refused(
        "the header is missing columns 'id', 'label' and has unknown column 'hello'; expected: id,label")),
    Nasty("no header", HEAD, b"1,x\n2,y\n", Refused(
        "the first line looks like data, not a header; add the header: id,label; or, if files never have one, declare "
        "`dialect: {header: false}` in the contract")),
    Nasty("a title above the header", HEAD, b"Things of May\n\nid,label\n1,x\n",
          Refused("the header is on line 3; delete the lines above it, or, if files always have such lines, declare "
                  "`dialect: {header_rows: [3]}` in the contract")),
    Nasty("Excel's sep= above semicolons", HEAD, b"sep=;\r\nid;label\r\n1;x\r\n", Refused(
        "line 1, 'sep=;', is an Excel directive, not the header; declare `dialect: {delimiter: \";\", "
        "header_rows: [2]}` in the contract, or delete it and export the file with ',' as the separator")),
    Nasty("Excel's sep= as the contract says", HEAD, b"sep=;\r\nid;label\r\n1;x\r\n", Refused(
        "line 1, 'sep=;', is an Excel directive, not the header; delete it, or, if files always have such lines, "
        "declare `dialect: {header_rows: [2]}` in the contract"), SEMICOLONS),
    Nasty("semicolons", SEPARATED, b"id;label\n1;x\n", Refused(
        "the header is separated by ';', but the contract says ','; export the file with ',' as the separator, or "
        'declare `dialect: {delimiter: ";"}` in the contract')),
    Nasty("tabs", SEPARATED, b"id\tlabel\n1\tx\n", Refused(
        "the header is separated by TAB, but the contract says ','; export the file with ',' as the separator, or "
        'declare `dialect: {delimiter: "\\t"}` in the contract')),
    Nasty("commas where the contract says semicolons", SEPARATED, b"id,label\n1,x\n", Refused(
        "the header is separated by ',', but the contract says ';'; export the file with ';' as the separator, or "
        'declare `dialect: {delimiter: ","}` in the contract'), SEMICOLONS),
    # ------------------------------------------------------------ lines
    Nasty("only CR", "LF, CRLF, CR or mixed", b"id,label\r1,x\r2,y\r", TWO),
    Nasty("mixed line ends, none after the last record", "LF, CRLF, CR or mixed", b"id,label\r\n1,x\r2,y\n3,z",
          Loads([(1, "x"), (2, "y"), (3, "z")])),
    Nasty("blank lines", "blank lines", b"\n\r\nid,label\n\n1,x\n\n\n2,y\n\n", TWO),
    Nasty("only blank lines", "zero bytes", b"\n\r\n\r\r\n", Refused("the file contains only blank lines")),
    Nasty("a line of blanks", FIELDS, HEADER + b"1,x\n   \n2,y\n",
          Loads([(1, "x"), (2, "y")], ((2, "1 field, but the header has 2"),))),
    Nasty("a UTF-8 mark", "a UTF-8 byte order mark", codecs.BOM_UTF8 + b'"id",label\n1,x\n', ONE),
    Nasty("a UTF-8 mark in gzip", "a UTF-8 byte order mark", gzip.compress(codecs.BOM_UTF8 + HEADER + A_LINE), ONE),
    Nasty("only a UTF-8 mark", "zero bytes", codecs.BOM_UTF8, Refused("the file is empty (0 bytes)")),
    Nasty("zero bytes", "zero bytes", b"", Refused("the file is empty (0 bytes)")),
    Nasty("header only", "a header but no records", b"id,label\r\n", Refused(NO_RECORDS, ignored=True)),
    Nasty("a header without a line end", "a header but no records", b"id,label", Refused(NO_RECORDS, ignored=True)),
    # ------------------------------------------------------------ bytes
    Nasty("UTF-16, little end first", "UTF-16, with or without", "id,label\n1,x\n".encode("utf-16"),
          Refused(f"the file is encoded in UTF-16; {UTF_16}")),
    Nasty("UTF-16, big end first", "UTF-16, with or without",
          codecs.BOM_UTF16_BE + "id,label\n1,x\n".encode("utf-16-be"),
          Refused(f"the file is encoded in UTF-16; {UTF_16}")),
    Nasty("UTF-16 without a mark", "UTF-16, with or without", "id,label\n1,x\n".encode("utf-16-le"), Refused(
        f"the file is encoded in UTF-16 without a byte order mark (NUL byte at offset 1); {UTF_16}")),
    Nasty("UTF-16 that is declared", "the encoding that the contract declares",
          'id,label\r\n1,"é 🎬"\r\n'.encode("utf-16"), Loads([(1, "é 🎬")]), UTF16),
    Nasty("UTF-16, big end first, that is declared", "the encoding that the contract declares",
          gzip.compress(codecs.BOM_UTF16_BE + "id,label\n1,日\n".encode("utf-16-be")), Loads([(1, "日")]), UTF16),
    Nasty("Windows-1252 that is declared", "the encoding that the contract declares",
          HEADER + b"1,\x93caf\xe9\x94 \x80\n", Loads([(1, "“café” €")]), WINDOWS),
    Nasty("Latin-1 that is declared, a reject in it", "the encoding that the contract declares",
          HEADER + b"1,caf\xe9\n\xe9,x\n", Loads([(1, "café")], ((2, "id 'é' is not an integer like 42"),)), LATIN1),
    Nasty("a byte that is invalid in Windows-1252", "bytes that are invalid", HEADER + b"1,\x81\n", Refused(
        "byte 0x81 at offset 11 is not valid windows-1252, the encoding in the contract; save the file in that "
        "encoding, or correct `encoding` in the contract"), WINDOWS),
    Nasty("half a surrogate pair", "bytes that are invalid",
          "id,label\n1,".encode("utf-16") + b"\x00\xd8x\x00\n\x00", Refused(
              "byte 0x00 at offset 24 is not valid utf-16, the encoding in the contract; save the file in that "
              "encoding, or correct `encoding` in the contract"), UTF16),
    Nasty("a UTF-8 mark where Latin-1 is declared", "bytes that are invalid",
          codecs.BOM_UTF8 + HEADER + A_LINE, Refused(
              "the file is encoded in UTF-8, but the contract says latin-1; save it as latin-1, or declare "
              "`encoding: utf-8` there"), LATIN1),
    Nasty("UTF-8 where UTF-16 is declared", "bytes that are invalid", HEADER + A_LINE, Refused(
        "the contract says utf-16, but the file is not; save it as utf-16, or correct the contract"), UTF16),
    Nasty("UTF-8 where Latin-1 is declared", "UTF-8 where the contract declares", "id,label\n1,é\n".encode(), Loads(
        [(1, "\xc3\xa9")], warning="the contract says `encoding: latin-1`, but the file is also valid UTF-8; if "
        "accented letters look wrong, remove `encoding` from the contract"), LATIN1),
    Nasty("Latin-1", "Latin-1, Windows-1252", HEADER + b"1,caf\xe9 au lait\n",
          Refused(f"byte 0xe9 at offset 14 {LATIN}")),
    Nasty("Latin-1 in the last byte", "Latin-1, Windows-1252", HEADER + b"1,caf\xe9", Refused(
        "the file ends inside the UTF-8 character that starts with byte 0xe9 at offset 14. If it was truncated, upload "
        f"it again; if it is Latin-1 or Windows-1252, {SAVE_LATIN}")),
    Nasty("a surrogate in UTF-8", "Latin-1, Windows-1252", HEADER + b"1,\xed\xa0\x80\n",
          Refused(f"byte 0xed at offset 11 {LATIN}")),
    Nasty("an overlong slash", "Latin-1, Windows-1252", HEADER + b"1,\xc0\xaf\n",
          Refused(f"byte 0xc0 at offset 11 {LATIN}")),
    Nasty("a character beyond Unicode", "Latin-1, Windows-1252", HEADER + b"1,\xf4\x90\x80\x80\n",
          Refused(f"byte 0xf4 at offset 11 {LATIN}")),
    Nasty("NUL", "a NUL byte", HEADER + b"1,\0\n",
          Refused("NUL byte at offset 11; the file is damaged or is not text")),
    Nasty("zeros at the end", "a NUL byte", HEADER + A_LINE + bytes(512),
          Refused("NUL byte at offset 13; the file is damaged or is not text")),
    # ------------------------------------------------------------ compressed, or another format
    Nasty("gzip under the name .csv", GZIP, gzip.compress(HEADER + A_LINE), ONE),
    Nasty("two members of gzip", GZIP, gzip.compress(HEADER + b"1,") + gzip.compress(b"x\n2,y\n"), TWO),
    Nasty("zeros after gzip", GZIP, gzip.compress(HEADER + A_LINE) + bytes(512), ONE),
    Nasty("truncated gzip", BAD_GZIP, gzip.compress(HEADER + A_LINE)[:-9],
          Refused("the gzip data ends early; upload the file again")),
    Nasty("gzip with a wrong checksum", BAD_GZIP, gzip.compress(HEADER + A_LINE)[:-8] + bytes(8),
          Refused("the gzip data is damaged (Error -3 while decompressing data: incorrect data check); upload the file "
                  "again")),
    Nasty("gzip and garbage", BAD_GZIP, gzip.compress(HEADER + A_LINE) + b"garbage",
          Refused("unexpected data after the end of the gzip data; upload the file again")),
    Nasty("gzip twice", OTHER, gzip.compress(gzip.compress(HEADER + A_LINE)),
          Refused("the file is compressed twice; decompress it once")),
    Nasty("bzip2", PACKED, bz2.compress(HEADER + A_LINE), ONE),
    Nasty("two streams of bzip2", PACKED, bz2.compress(HEADER + b"1,") + bz2.compress(b"x\n2,y\n"), TWO),
    Nasty("zstd", PACKED, zstd(HEADER + A_LINE), ONE),
    Nasty("a ZIP archive", PACKED, zipped_as(HEADER + A_LINE), ONE),
    Nasty("truncated bzip2", BAD_GZIP, bz2.compress(HEADER + A_LINE)[:-9],
          Refused("the bzip2 data ends early; upload the file again")),
    Nasty("zstd and garbage", BAD_GZIP, zstd(HEADER + A_LINE) + b"garbage",
          Refused("unexpected data after the end of the zstd data; upload the file again")),
    Nasty("a truncated ZIP archive", BAD_GZIP, zipped_as(HEADER + A_LINE)[:-9], Refused(
        "the ZIP archive is damaged or ends early (File is not a zip file); upload the file again")),
    Nasty("a ZIP archive of two files", ZIP, zipped("a.csv", "b.csv"), Refused(
        "the file is a ZIP archive of 2 files ('a.csv', 'b.csv'); upload them one by one")),
    Nasty("an Excel workbook", OTHER, zipped("[Content_Types].xml", "xl/workbook.xml"),
          Refused("the file is an Excel workbook (.xlsx); open it and save it in the contract's format, such as 'CSV "
                  "UTF-8'")),
    Nasty("an old Excel workbook", OTHER, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
          Refused(f"the file is an old Excel workbook (.xls), not CSV; {SAVE}")),
    Nasty("Parquet", OTHER, parquet(), Refused("the file is Parquet, not CSV; export it as CSV")),
    Nasty("a PDF document", OTHER, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
          Refused("the file is a PDF document, not CSV; ask the sender for the data as CSV")),
    Nasty("xz", OTHER, lzma.compress(HEADER + A_LINE), Refused(f"the file is compressed with xz; {UPLOAD}")),
    Nasty("compress", OTHER, b"\x1f\x9d\x90I\xc8\xb0\xb1\x83",
          Refused(f"the file is compressed with compress (.Z); {UPLOAD}")),
    Nasty("PGP", OTHER, bytes([0x85, 1, 12, 3, 0x90, 0x64, *range(1, 256)]),
          Refused("the file is encrypted with PGP; decrypt it before the upload")),
    Nasty("bytes of an unknown format", OTHER, bytes(range(1, 256)) * 2, Refused(
        "the file is not text: 42 of its first 510 bytes are control characters. It may be compressed, encrypted or "
        "damaged; upload the CSV file itself")),
    Nasty("a web page", OTHER, b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n", Refused(
        "the file is a web page (HTML), probably an error page saved instead of the download; download it again")),
    Nasty("an error of S3", OTHER, b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>',
          Refused("the file is an XML error message (NoSuchKey) saved instead of the download; download it again")),
    Nasty("JSON", OTHER, b'[\n  {"id": 1, "label": "x"}\n]\n', Refused("the file is JSON, not CSV; export it as CSV")),
    Nasty("JSON lines", OTHER, b'{"id": 1, "label": "x"}\n', Refused("the file is JSON, not CSV; export it as CSV")),
    # ------------------------------------------------------------ JSON Lines, Parquet
    Nasty("JSON Lines", LINES, b'\n{"label": "x", "id": 1}\r\n', ONE, JSON_THINGS),
    Nasty("JSON Lines with null and an empty text", LINES, b'{"id": 1, "label": null}\n{"id": 2, "label": ""}',
          Loads([(1, None), (2, None)]), JSON_THINGS),
    Nasty("JSON lines of other forms", NO_LINES, b'{"id": 1, "label": "x"}\n5\n{\'id\': 2}\n{"id": 2, "id": 3}\n'
          b'{"id": NaN}\n{"id": 2}{"id": 3}\n{"id": 2', Loads(
        [(1, "x")],
        ((2, "a number, not a JSON object; write one object per line"),
         (3, "not valid JSON: expecting property name enclosed in double quotes (column 2)"),
         (4, "duplicate member 'id' in an object"),
         (5, "NaN is not valid JSON; write null, or leave out the member"),
         (6, "more text after the JSON object, at column 10; write one object per line"),
         (7, "the object is not complete; the file may be truncated"))), JSON_THINGS),
    Nasty("a nested value in a column of text", "JSON Lines: an object or an array",
          b'{"id": 1, "label": [1]}\n', Loads(
        [], ((1, "label is a JSON array, not text; declare `type: json` or a `path`"),)), JSON_THINGS),
    Nasty("a JSON array", "JSON Lines: one array", b'[{"id": 1, "label": "x"}]', Refused(
        "the file is a JSON array; write one object per line, without brackets and commas around it"), JSON_THINGS),
    Nasty("pretty-printed JSON", "JSON Lines: one array", b'{\n  "id": 1\n}\n', Refused(
        "the file is JSON over several lines; write one object per line"), JSON_THINGS),
    Nasty("CSV instead of JSON Lines", "JSON Lines or Parquet in the contract", HEADER + A_LINE, Refused(
        "the file is CSV, not JSON Lines; export it as JSON Lines, or correct `format` in the contract"), JSON_THINGS),
    Nasty("a Parquet file", PARQUET, parquet(), ONE, PARQUET_THINGS),
    Nasty("a Parquet file with a wrong type", NO_PARQUET, parquet("1.5::double"), Refused(
        "column 'id' is double, but the contract says integer; declare `type: double`, or export it as integer"),
        PARQUET_THINGS),
    Nasty("half a Parquet file", "Parquet: truncated", parquet()[:-9],
          Refused("the Parquet file ends early; upload it again"), PARQUET_THINGS),
    # ------------------------------------------------------------ quotes, fields
    Nasty("commas, line breaks and quotes in quotes", QUOTED, HEADER + b'1,"a,b"\n2,"a\r\n""b""\n\n"\n3,""""\n',
          Loads([(1, "a,b"), (2, 'a\r\n"b"\n\n'), (3, '"')])),
    Nasty("a quoted field of 1 MB with line breaks", QUOTED, f'id,label\n1,"{LONG[:-1]}\n"\n2,y\n'.encode(),
          Loads([(1, LONG[:-1] + "\n"), (2, "y")])),
    Nasty("a quote in the middle", "a quote inside", HEADER + b'1,5" disc\n2,"y" z\n3,z\n',
          Loads([(3, "z")], ((1, QUOTE), (2, QUOTE)))),
    Nasty("quotes escaped by backslashes", "a quote inside", HEADER + b'1,"a \\"b\\" c"\n2,y\n',
          Loads([(2, "y")], ((1, QUOTE),))),
    Nasty("a quote after a backslash", "a quote that is opened and", HEADER + b'1,"ends \\""\n2,"x"\n3,y\n',
          Loads([(2, "x"), (3, "y")], ((1, OPENED),))),
    Nasty("an unclosed quote among records", "a quote that is opened and", HEADER + b'1,x\n2,"y\n3,z\n4,5" w\n5,v\n',
          Loads([(1, "x"), (3, "z"), (5, "v")], ((2, OPENED), (4, QUOTE)))),
    Nasty("an unclosed quote before records", "a quote that is opened and", HEADER + b'1,"x\n2,y\n3,z\n',
          Loads([(2, "y"), (3, "z")], ((1, OPENED),))),
    Nasty("an unclosed quote in the header", "a quote that is opened in the header", b'id,"label\n1,x\n',
          Refused('the header (line 1) opens a quote (") that is never closed')),
    Nasty("an unclosed quote at the end", "a quote that is never closed", HEADER + b'1,x\n2,"y\n',
          Loads([(1, "x")], ((2, NEVER_CLOSED),))),
    Nasty("an unclosed quote as the last byte", "a quote that is never closed", HEADER + b'1,x\n2,"',
          Loads([(1, "x")], ((2, NEVER_CLOSED),))),
    Nasty("text of two lines with a quote in it", "text of several lines with", HEADER + b'1,x\n2,"so\nfar" so\n3,y\n',
          Loads([(1, "x"), (3, "y")], ((2, f"{QUOTE} (lines 3 to 4)"),))),
    Nasty("text that holds records", "quoted text whose lines", HEADER + b'1,"a\n2,b\n3,c"\n4,d\n',
          Loads([(1, "a\n2,b\n3,c"), (4, "d")], warning="the record in lines 2 to 4 holds lines that look like "
                "records; if a quote in it is closed too late, close it in its own line")),
    Nasty("Ctrl-Z at the end", "Ctrl-Z (0x1A) after", HEADER + A_LINE + b"\x1a", Loads(
        [(1, "x")], warning="the file ends with Ctrl-Z (0x1A), the end-of-file mark of DOS; ignored")),
    Nasty("Ctrl-Z up to a full block", "Ctrl-Z (0x1A) after", HEADER + A_LINE + b"\x1a" * 115, Loads(
        [(1, "x")], warning="the file ends with Ctrl-Z (0x1A), the end-of-file mark of DOS; ignored")),
    Nasty("a text of 65,537 characters", "a text longer than", HEADER + b"1," + b"x" * 65_537 + b"\n2,y\n", Loads(
        [(2, "y")], ((1, "label has 65,537 characters, more than its max_length of 65,536"),)), SHORT),
    Nasty("a line of 40 MB", "a line longer than", HEADER + b"1,x\n2," + b"x" * 40_000_000, Refused(
        "line 3 is longer than 16,000,000 characters; its line endings are probably missing. Export the file with one "
        "record per line")),
    Nasty("a quote over 20 MB of text", "text of several lines longer than",
          HEADER + b'1,x\n2,"' + b"a line of words\n" * 1_300_000, Refused(
              'the record that starts at line 3 is longer than 16,000,000 characters: a quote (") in it is probably '
              "not closed")),
    Nasty("# at the start of lines", "`#` at the start", b"#note,label,id\n#1,x,1\n# 2,y,2\n",
          Loads([(1, "x"), (2, "y")], warning="column '#note' is not in the contract; ignored")),
    Nasty("a comment", "a footer or a comment", HEADER + b"# written in May\n1,x\n",
          Loads([(1, "x")], ((1, FOOTER),))),
    Nasty("ragged records", FIELDS, HEADER + b"1,x\n2\n3,y,z\n4,,\n5,w\n",
          Loads([(1, "x"), (5, "w")], ((2, "1 field, but the header has 2"), (3, "3 fields, but the header has 2"),
                                       (4, "3 fields, but the header has 2")))),
    Nasty("a footer", "a footer or a comment", HEADER + b"1,x\nTotal: 1 rows\n",
          Loads([(1, "x")], ((2, FOOTER),))),
    Nasty("a footer without a line ending", "a footer or a comment", HEADER + b"1,x\nend of data",
          Loads([(1, "x")], ((2, FOOTER),))),
    Nasty("a footer with as many fields", TYPE, HEADER + b"1,x\nTotal:,1 rows\n",
          Loads([(1, "x")], ((2, "id 'Total:' is not an integer like 42"),))),
    Nasty("truncated within the last record", "too few fields in a last record", HEADER + b"1,x\n23",
          Loads([(1, "x")], ((2, "1 field, but the header has 2; this last record has no line ending, so the file "
                              "may be truncated"),))),
    Nasty("a record of 2,000,001 bytes", "a record longer than", HEADER + b"1," + b"x" * 1_999_998 + b"\n2,y\n",
          Loads([(2, "y")], ((1, "the record is longer than 2,000,000 bytes"),))),
    Nasty("a record of 2,000,001 bytes after another, and a wrong one", "a record longer than",
          HEADER + b"1,x\n2," + b"x" * 1_999_998 + b"\nx,y\n",
          Loads([(1, "x")], ((2, "the record is longer than 2,000,000 bytes"),
                             (3, "id 'x' is not an integer like 42")))),
    Nasty("a last record of 2,000,000 bytes without a line end", "a record longer than",
          HEADER + b"1," + b"x" * 1_999_998, Loads([], ((1, "the record is longer than 2,000,000 bytes"),))),
    Nasty("a record of 2,000,000 bytes", TEXT, HEADER + b"1," + b"x" * 1_999_997 + b"\n",
          Loads([(1, "x" * 1_999_997)])),
    Nasty("a field of 1 MB", TEXT, f"id,label\n1,{LONG}\n2,y\n".encode(), Loads([(1, LONG), (2, "y")])),
    Nasty("formulas", TEXT, HEADER + b'1,=cmd|\' /C calc\'!A0\n2,"=HYPERLINK(""http://x"",""y"")"\n3,@SUM(1)\n4,-1+1\n',
          Loads([(1, "=cmd|' /C calc'!A0"), (2, '=HYPERLINK("http://x","y")'), (3, "@SUM(1)"), (4, "-1+1")])),
    Nasty("SQL", TEXT, HEADER + b"1,'; drop table raw.shop_things; --\n2,' or 1=1\n3,$1 ? %s {x}\n",
          Loads([(1, "'; drop table raw.shop_things; --"), (2, "' or 1=1"), (3, "$1 ? %s {x}")])),
    Nasty("backslashes", TEXT, HEADER + b"1,C:\\new\\x\n2,\\N\n3,\\\n",
          Loads([(1, "C:\\new\\x"), (2, "\\N"), (3, "\\")])),
    Nasty("apostrophes around values", TEXT, HEADER + b"1,'x'\n2,''\n", Loads([(1, "'x'"), (2, "''")])),
    Nasty("words for null", TEXT, HEADER + b"1,NULL\n2,null\n3,NA\n4,\n",
          Loads([(1, "NULL"), (2, "null"), (3, "NA"), (4, None)])),
    Nasty("other line separators", TEXT, "id,label\n1,a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n".encode(),
          Loads([(1, "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg")])),
    Nasty("blanks of all kinds", TEXT, "id,label\n1, x \n2,\xa0\u3000\n3,\t\n".encode(),
          Loads([(1, " x "), (2, "\xa0\u3000"), (3, "\t")])),
    Nasty("the same letter in two ways", TEXT, "id,label\n1,\xe9\n2,e\u0301\n3,🏳️‍🌈\n4,\ufeffx\n5,\u202ex\n".encode(),
          Loads([(1, "\xe9"), (2, "e\u0301"), (3, "🏳️‍🌈"), (4, "\ufeffx"), (5, "\u202ex")])),
    Nasty("a path", TEXT, HEADER + b"1,../../etc/passwd\n2,file:///x\n", Loads([(1, "../../etc/passwd"), (2, "file:///x")])),
    # ------------------------------------------------------------ values
    Nasty("invalid integers", TYPE, values(*INVALID_INTEGERS),
          all_rejected("value", "is not an integer like 42", *INVALID_INTEGERS), INTEGERS),
    Nasty("integers", "an integer with a sign", values("+1", "-1", "007", "-0", "2147483647", "-2147483648", ""),
          Loads([(1, 1), (2, -1), (3, 7), (4, 0), (5, 2147483647), (6, -2147483648), (7, None)]), INTEGERS),
    Nasty("integers that are too large", TYPE, values("2147483648", "-2147483649", "9" * 50),
          all_rejected("value", "does not fit an integer", "2147483648", "-2147483649", "9" * 50), INTEGERS),
    Nasty("bigger integers that are too large", TYPE, values("9223372036854775807", "9223372036854775808"),
          Loads([(1, 2**63 - 1)], ((2, "value '9223372036854775808' does not fit a bigint"),)), BIG),
    Nasty("invalid decimals", TYPE, values(*INVALID_AMOUNTS),
          all_rejected("value", "is not a decimal(4,2) like 4.50", *INVALID_AMOUNTS), AMOUNTS),
    Nasty("a decimal comma", FIELDS, values("1,5"), Loads([], ((1, "3 fields, but the header has 2"),)), AMOUNTS),
    Nasty("a decimal comma in quotes", TYPE, values('"1,5"'),
          Loads([], ((1, "value '1,5' is not a decimal(4,2) like 4.50"),)), AMOUNTS),
    Nasty("decimals", "an integer with a sign", values("1.5", "+.5", "7.", "-99.99", "1.500"), Loads([
        (1, Decimal("1.5")), (2, Decimal("0.5")), (3, Decimal(7)), (4, Decimal("-99.99")), (5, Decimal("1.5"))]),
        AMOUNTS),
    Nasty("a decimal that is too large", TYPE, values("100"),
          Loads([], ((1, "value '100' does not fit decimal(4,2)"),)), AMOUNTS),
    Nasty("invalid doubles", TYPE, values("nan", "inf", "-Infinity", "1e", "0x1p3", "1e400"), Loads([], (
        *((number, f"value {text!r} is not a double like 4.5")
          for number, text in enumerate(("nan", "inf", "-Infinity", "1e", "0x1p3"), start=1)),
        (6, "value '1e400' does not fit a double"))), RATIOS),
    Nasty("invalid dates", TYPE, values(*INVALID_DAYS),
          all_rejected("value", "is not a date like 2026-11-07", *INVALID_DAYS), DAYS),
    Nasty("dates that do not exist", TYPE, values("2026-02-30", "2025-02-29", "2026-13-01", "2024-02-29"),
          Loads([(4, date(2024, 2, 29))],
                tuple((number, f"value '{text}' is not a valid date") for number, text in
                      enumerate(("2026-02-30", "2025-02-29", "2026-13-01"), start=1))), DAYS),
    Nasty("timestamps", TYPE, values("2026-11-07 13:45:00", "07/11/2026", "2026-11-07", "2026-11-07 24:00:00"), Loads(
        [(1, datetime(2026, 11, 7, 13, 45))],
        tuple((number, f"value '{text}' is not a timestamp like 2026-11-07 13:45:00") for number, text in
              ((2, "07/11/2026"), (3, "2026-11-07"), (4, "2026-11-07 24:00:00")))), MOMENTS),
    Nasty("booleans", TYPE, values("true", "FALSE", "yes", "1"), Loads(
        [(1, True), (2, False)], ((3, "value 'yes' is not a boolean like true"),
                                  (4, "value '1' is not a boolean like true"))), FLAGS),
    Nasty("empty required values", "an empty value", b'id,label\n1,x\n2,\n,y\n3,""\n', Loads(
        [(1, "x")], ((2, "label is empty"), (3, "id is empty"), (4, "label is empty"))), NAMED),
    Nasty("stars out of range", "a value outside `min`", values("0.5", "5.5", "0.0", "4.2"), Loads(
        [(1, Decimal("0.5"))], ((2, "value '5.5' is above the maximum 5"), (3, "value '0.0' is below the minimum 0.5"),
                                (4, "value '4.2' is not a multiple of 0.5"))), STARS),
    Nasty("an unknown role", "a value outside `min`", values("ACTOR", "actor"),
          Loads([(1, "ACTOR")], ((2, "value 'actor' is not one of ACTOR, DIRECTOR"),)), ROLES),
    Nasty("an invalid code", "a value outside `min`", values("0123456", "tt0123456", "١٢٣٤٥٦٧"), Loads(
        [(1, "0123456")], ((2, "value 'tt0123456' does not match [0-9]{7}"),
                           (3, "value '١٢٣٤٥٦٧' does not match [0-9]{7}"))), CODES),
    Nasty("decimal points where the contract says commas", "a number, date or time that is not written",
          b'id,value\n1,"1,5"\n2,1.5\n', Loads(
              [(1, Decimal("1.5"))], ((2, "value '1.5' is not a number like 1234,50"),)), COMMAS),
    Nasty("an hour that summer time skips, one that winter time repeats", "a local time that a change of the clocks",
          values("2026-07-01 12:00:00", "2026-03-29 02:30:00", "2026-10-25 02:30:00"), Loads(
              [(1, datetime(2026, 7, 1, 10))],
              ((2, "value '2026-03-29 02:30:00' does not exist in Europe/Berlin: clocks were set forward"),
               (3, "value '2026-10-25 02:30:00' is ambiguous in Europe/Berlin: clocks were set back"))), LOCAL),
    Nasty("a record where the footer should be", "a record among the last lines", b"id,label\n1,x\n2,y\n", Refused(
        "the contract says footer_rows: 1, but one of these lines is a valid record: '2,y'. If the file lacks its "
        "footer, upload it again; if files have none, correct the contract"), FOOTED),
    Nasty("half a record where the footer should be", "the start of a record, without a line ending",
          b"id,label\n1,x\n2", Refused(
              "the contract says footer_rows: 1, but the last line looks like the start of a record: '2'. The file may "
              "be truncated; upload it again"), FOOTED),
    Nasty("no column with a default", "a column missing for which the contract has a `default`", b"id\n1\n",
          Loads([(1, "none")]), DEFAULTED),
    Nasty("two names of a column", "two of the names that the contract accepts", b"id,label,name\n1,x,y\n", Refused(
        "columns 'label', 'name' in the header are the same column of the contract, label"), DEFAULTED),
    Nasty("1,001 invalid records of 2,000", "more than 1,000 rejected records",
          HEADER + A_LINE * 999 + b"x,x\n" * 1001, Refused(
              "more than 1,000 of 2,000 records violate the contract, which allows 1,000 or 1.0%, whichever is more. "
              "First: line 1001: id 'x' is not an integer like 42")),
)  # fmt: skip
