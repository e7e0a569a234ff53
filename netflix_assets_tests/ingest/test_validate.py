"""Validation: what passes, what is rewritten, what is refused and why, and that records are counted correctly."""

import bz2
import codecs
import csv
import gzip
import io
import itertools
import lzma
import random
import re
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from netflix_assets.contracts.model import ENCODINGS, Dataset
from netflix_assets.ingest import csv_records
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.load import commit_loads
from netflix_assets.ingest.records import MAX_RECORD_BYTES
from netflix_assets.ingest.rejects import find_rejects
from netflix_assets.ingest.validate import validate
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.loads import Load, RejectedRecord, StagedObject, ValidatedFile
from netflix_assets_tests.conftest import make_column, make_dataset

PAIR = make_dataset(
    make_column("id", "integer", source_name="Id"), make_column("label", nullable=True, max_length=MAX_RECORD_BYTES)
)
_etags = itertools.count()
BLOCK_SIZES = pytest.mark.parametrize("size", [1, 3, 7, 4096])


def cut(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def validated(folder: Path, content: bytes, dataset: Dataset = PAIR, size: int = 4096) -> ValidatedFile:
    return validate(cut(content, size), dataset, folder / "object.csv")


def refusal(folder: Path, content: bytes, dataset: Dataset = PAIR, size: int = 4096) -> RefusedError:
    with pytest.raises(RefusedError) as raised:
        validated(folder, content, dataset, size)
    return raised.value


def committed(warehouse: DuckDBWarehouse, dataset: Dataset, file: ValidatedFile) -> Load:
    warehouse.prepare(dataset)
    number = str(next(_etags))  # a separate object, so that none supersedes another
    listed = ObjectVersion("bucket", f"shop/things-{number}.csv", number, 1, datetime(2024, 5, 1, tzinfo=UTC))
    done = commit_loads(dataset, warehouse, [StagedObject(listed, file)], "run-1")
    loads, refused = done.loads, done.refused
    assert refused == []
    return loads[0]


def rows(warehouse: DuckDBWarehouse, dataset: Dataset, load: Load) -> list[tuple]:
    names = ", ".join(column.name for column in dataset.columns)
    return warehouse.execute(
        f"select {names} from raw.{dataset.table} where _load_id = ? order by rowid", (load.load_id,)
    )


def through(folder: Path, warehouse: DuckDBWarehouse, content: bytes, dataset: Dataset = PAIR) -> list[tuple]:
    """The rows loaded from a file without rejects."""
    load = committed(warehouse, dataset, validated(folder, content, dataset))
    assert (load.rows_in, load.rows_rejected) == (load.rows_loaded, 0)
    return rows(warehouse, dataset, load)


# ---------------------------------------------------------------- line ends, blank lines, quotes

TWO = [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    "content",
    [
        b"Id,label\n1,x\n2,y\n",
        b"Id,label\n1,x\n2,y",
        b"Id,label\r\n1,x\r\n2,y\r\n",
        b"Id,label\r\n1,x\r\n2,y",
        b"Id,label\r1,x\r2,y\r",
        b"Id,label\r1,x\r2,y",
        b"Id,label\n1,x\r\n2,y\r",
        b"Id,label\r\n1,x\r2,y\n",
        b"\nId,label\n\n1,x\n\n\n2,y\n\n",
        b"\r\n\r\nId,label\r\n1,x\r\n\r\n2,y",
        b"Id,label\r\r1,x\r\r2,y\r\r",
        b'"Id","label"\n"1","x"\n2,"y"\n',
        codecs.BOM_UTF8 + b"Id,label\n1,x\n2,y\n",
        codecs.BOM_UTF8 + b'"Id",label\r1,x\r2,"y"',
        gzip.compress(b"Id,label\n1,x\n2,y\n", mtime=0),
        gzip.compress(codecs.BOM_UTF8 + b"Id,label\r\n1,x\r\n2,y", mtime=0),
        gzip.compress(b"Id,label\n1,", mtime=0) + gzip.compress(b"x\n2,y\n", mtime=0),
        gzip.compress(b"Id,label\n1,x\n2,y\n", mtime=0) + gzip.compress(b"", mtime=0),
    ],
)
@BLOCK_SIZES
def test_the_same_content_in_many_forms(tmp_path, request, content, size):
    file = validated(tmp_path, content, size=size)
    assert (file.header, file.positions, file.record_count, file.warnings) == (("Id", "label"), (0, 1), 2, ())
    if size == 3:
        warehouse = request.getfixturevalue("warehouse")
        assert rows(warehouse, PAIR, committed(warehouse, PAIR, file)) == TWO


@pytest.mark.parametrize(
    ("content", "is_unchanged"),
    [
        (b"Id,label\n1,x\n", True),
        (b"Id,label\r\n1,x\r\n", True),
        (codecs.BOM_UTF8 + b"Id,label\n1,x", True),
        (gzip.compress(b"Id,label\n1,x\n", mtime=0), True),
        (b"Id,label\n1,\n2,x\n", True),
        (b"Id,label\r\n1,\r\n2,", True),
        (b"Id,label\n1,x,\n", False),
        (b"Id,label\r\n1,x,", False),
        (b"Id,label\r1,x\r", False),
        (b'Id,label\n1,"x"\n', False),
        (b"Id,label\n1,x\n\n", False),
        (b"Id,label\n1,x\r\n", False),
    ],
)
@BLOCK_SIZES
def test_only_files_that_loaders_may_parse_differently_are_rewritten(tmp_path, content, is_unchanged, size):
    file = validated(tmp_path, content, size=size)
    assert (file.path == file.original) is is_unchanged


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a,b"', "a,b"),
        ('"a\nb"', "a\nb"),
        ('"a\r\nb"', "a\r\nb"),
        ('"a\rb"', "a\rb"),
        ('"a\n\n\nb"', "a\n\n\nb"),
        ('"a ""b"" c"', 'a "b" c'),
        ('""""', '"'),
        ('""', None),
        ("", None),
        (" x ", " x "),
        ("'x'", "'x'"),
        ("#x", "#x"),
        ("\\", "\\"),
        ("NULL", "NULL"),
        ("a\tb", "a\tb"),
        ("a;b", "a;b"),
        ("a\u2028b\x0bc\x0cd\x85e", "a\u2028b\x0bc\x0cd\x85e"),
        ("日本語 🎬", "日本語 🎬"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_is_loaded_unchanged(tmp_path, warehouse, text, value, end):
    content = f"Id,label{end}1,{text}{end}2,y".encode()
    assert through(tmp_path, warehouse, content) == [(1, value), (2, "y")]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter(tmp_path, warehouse, delimiter):
    dataset = make_dataset(*PAIR.columns, dialect={"delimiter": delimiter})
    content = 'Id;label\n1;a,b\n2;"c;""d"\n'.replace(";", delimiter).encode()
    assert through(tmp_path, warehouse, content, dataset) == [(1, "a,b"), (2, f'c{delimiter}"d')]


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize(
    ("content", "warnings"),
    [
        (b"label,Id\nx,1\ny,2\n", ()),
        (b"label,Id,colour\nx,1,red\ny,2,\n", ("column 'colour' is not in the contract; ignored",)),
        (b"a,Id,b,label\n,1,,x\n,2,,y\n", ("columns 'a', 'b' are not in the contract; ignored",)),
    ],
)
def test_columns_are_matched_by_name(tmp_path, warehouse, content, warnings):
    assert validated(tmp_path, content).warnings == warnings
    assert through(tmp_path, warehouse, content) == TWO


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"Id", "the header is missing column 'label'; expected: Id,label"),
        (b"Id,Label", "the header is missing column 'label' and has unknown column 'Label'; expected: Id,label"),
        (b"id, label", "the header is missing columns 'Id', 'label' and has unknown columns 'id', ' label'; "
                       "expected: Id,label"),
        (b"Id,label,Id", "duplicate column 'Id' in the header"),
    ],
)  # fmt: skip
def test_wrong_headers_are_refused(tmp_path, header, reason):
    error = refusal(tmp_path, header + b"\n1,x\n")
    assert (error.reason, error.ignored) == (reason, False)


# ---------------------------------------------------------------- files that are not loaded


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF8, gzip.compress(b"", mtime=0)])
def test_zero_bytes_are_refused(tmp_path, content):
    error = refusal(tmp_path, content)
    assert (error.reason, error.ignored) == ("the file is empty (0 bytes)", False)


@pytest.mark.parametrize("content", [b"\n", b"\r\n\r\n", b"\r"])
def test_a_file_of_blank_lines_is_refused(tmp_path, content):
    assert refusal(tmp_path, content).reason == "the file contains only blank lines"


@pytest.mark.parametrize("content", [b"Id,label", b"Id,label\n", b"Id,label\r\n", b'"Id","label"\n\n', b"Id,label\r"])
def test_a_file_with_only_a_header_is_ignored(tmp_path, content):
    error = refusal(tmp_path, content)
    assert error.reason == "the file has a header but no records; keeping the rows loaded earlier"
    assert error.ignored


UTF_16 = "; save it as 'CSV UTF-8', or declare `encoding: utf-16` in the contract"
SAVE_LATIN = "save it as 'CSV UTF-8', or declare `encoding: windows-1252` in the contract"


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
@BLOCK_SIZES
def test_utf_16_is_recognised_and_refused(tmp_path, mark, size):
    encoding = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}[mark]
    content = mark + "Id,label\n1,x\n".encode(encoding)
    assert refusal(tmp_path, content, size=size).reason == f"the file is encoded in UTF-16{UTF_16}"


@pytest.mark.parametrize(("encoding", "offset"), [("utf-16-le", 1), ("utf-16-be", 0)])
@pytest.mark.parametrize("size", [2, 3, 7, 4096])
def test_utf_16_without_a_mark_is_recognised_by_its_nul_bytes(tmp_path, encoding, offset, size):
    reason = refusal(tmp_path, "Id,label\n1,é\n".encode(encoding), size=size).reason
    assert reason == (f"the file is encoded in UTF-16 without a byte order mark (NUL byte at offset {offset}){UTF_16}")


@pytest.mark.parametrize("start", [b"", codecs.BOM_UTF8])
@BLOCK_SIZES
def test_nul_bytes_are_refused_with_their_offset(tmp_path, start, size):
    content = start + "Id,label\n1,é\0".encode()
    reason = refusal(tmp_path, content, size=size).reason
    assert reason == f"NUL byte at offset {content.index(0)}; the file is damaged or is not text"


@pytest.mark.parametrize("before", ["", "ascii only"])
@BLOCK_SIZES
def test_latin_1_is_refused_with_the_offset_of_the_byte(tmp_path, before, size):
    content = f"Id,label\n1,{before}\n2,caf".encode()
    reason = refusal(tmp_path, content + b"\xe9 au lait\n", size=size).reason
    assert reason == (
        f"byte 0xe9 at offset {len(content)} is not valid UTF-8; the file is probably Latin-1 or Windows-1252: "
        f"{SAVE_LATIN}"
    )


@pytest.mark.parametrize("start", ["\ufeffId,label\n1,", "Id,label\n1,é\n2,", "Id,label\n1,日本語🎬"])
@pytest.mark.parametrize("bad", [b"\xe9 au lait\n", b"caf\xc3,x\n", b"\xed\xa0\xbd\xed\xb8\x80\n"])
@BLOCK_SIZES
def test_utf_8_with_a_damaged_text_is_not_called_latin_1(tmp_path, start, bad, size):
    # Declared as Windows-1252, as the advice for Latin-1 says, the valid texts would load as other letters.
    content = start.encode() + bad
    offset = next(at for at, byte in enumerate(content) if at >= len(start.encode()) and byte > 0x7F)
    assert refusal(tmp_path, content, size=size).reason == (
        f"byte 0x{content[offset]:02x} at offset {offset} is not valid UTF-8, but the file has valid UTF-8 before it: "
        "a text was cut inside a character, or texts in two encodings were joined. Correct that text, or export "
        "the file again as 'CSV UTF-8'"
    )


@BLOCK_SIZES
def test_a_character_may_span_blocks(tmp_path, warehouse, size):
    file = validated(tmp_path, "Id,label\n1,é日🎬\n".encode(), size=size)
    assert rows(warehouse, PAIR, committed(warehouse, PAIR, file)) == [(1, "é日🎬")]


@pytest.mark.parametrize(
    ("content", "byte"),
    [("Id,label\n1,🎬".encode()[:-1], "0xf0 at offset 11"), ("Id,label\n1,é".encode("latin-1"), "0xe9 at offset 11")],
)
@BLOCK_SIZES
def test_an_incomplete_last_character_is_truncated_or_latin_1(tmp_path, content, byte, size):
    assert refusal(tmp_path, content, size=size).reason == (
        f"the file ends inside the UTF-8 character that starts with byte {byte}. If it was truncated, upload it again; "
        f"if it is Latin-1 or Windows-1252, {SAVE_LATIN}"
    )


@BLOCK_SIZES
def test_a_header_with_an_unclosed_quote_is_refused(tmp_path, size):
    reason = refusal(tmp_path, b'\nId,"label\n1,x\n', size=size).reason
    assert reason == 'the header (line 2) opens a quote (") that is never closed'


@BLOCK_SIZES
@pytest.mark.parametrize("end", [b"\x1a", b"\x1a\x1a\x1a", b"\x1a\r\n", b"\r\n\x1a"])
def test_ctrl_z_at_the_end_is_ignored_with_a_warning(tmp_path, warehouse, end, size):
    for number, content in enumerate((b"Id,label\r\n1,x\r\n2,y", b"Id,label\n1,x\n2,y\n", b'Id,label\n1,"x"\n2,"y"')):
        path = tmp_path / f"{number}.csv"
        file = validate(cut(content + end, size), PAIR, path)
        assert file.warnings == ("the file ends with Ctrl-Z (0x1A), the end-of-file mark of DOS; ignored",)
        assert file.record_count == 2
        if size == 7:
            assert rows(warehouse, PAIR, committed(warehouse, PAIR, file)) == TWO


def test_ctrl_z_elsewhere_is_text(tmp_path, warehouse):
    assert through(tmp_path, warehouse, b"Id,label\n1,a\x1ab\n2,\x1ay\n") == [(1, "a\x1ab"), (2, "\x1ay")]


@pytest.mark.parametrize("content", [b"\x1a", b"\r\n\x1a", b"Id,label\r\n\x1a"])
def test_a_file_with_nothing_before_ctrl_z_has_no_records(tmp_path, content):
    assert refusal(tmp_path, content).reason.startswith("the file ")


def test_a_very_long_line_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_records, "MAX_REJECT_LENGTH", 3_000_000)
    reason = refusal(tmp_path, b"Id,label\n1,x\n2," + b"y" * 3_000_000).reason
    assert reason == (
        "line 3 is longer than 3,000,000 characters; its line endings are probably missing. Export the file with one "
        "record per line"
    )


# ---------------------------------------------------------------- gzip

PACKED = gzip.compress(b"Id,label\n" + b"".join(b"%d,label %d\n" % (n, n * n) for n in range(5000)))


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_gzip_is_recognised_by_its_first_bytes(tmp_path, size):
    assert validated(tmp_path, PACKED, size=size).record_count == 5000


@pytest.mark.parametrize("kept", [10, 1000, len(PACKED) - 8, len(PACKED) - 1])
@BLOCK_SIZES
def test_truncated_gzip_is_refused(tmp_path, kept, size):
    assert refusal(tmp_path, PACKED[:kept], size=size).reason == "the gzip data ends early; upload the file again"


@pytest.mark.parametrize(
    "content",
    [
        PACKED[:2000] + bytes([PACKED[2000] ^ 0xFF]) + PACKED[2001:],
        PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:],
        b"\x1f\x8bnot gzip at all",
    ],
)
def test_damaged_gzip_is_refused(tmp_path, content):
    assert refusal(tmp_path, content).reason.startswith("the gzip data is damaged (")


@BLOCK_SIZES
def test_zeros_after_gzip_are_padding(tmp_path, size):
    assert validated(tmp_path, PACKED + bytes(5000), size=size).record_count == 5000
    padded = gzip.compress(b"Id,label\n1,") + bytes(9) + gzip.compress(b"x\n2,y\n") + bytes(1)
    assert validated(tmp_path, padded, size=size).record_count == 2


@pytest.mark.parametrize("padding", [0, 9])
@pytest.mark.parametrize("data", [b"what is this", b"\n", b"\x1f\n"])
@BLOCK_SIZES
def test_other_data_after_gzip_is_refused(tmp_path, padding, data, size):
    reason = refusal(tmp_path, PACKED + bytes(padding) + data, size=size).reason
    assert reason == "unexpected data after the end of the gzip data; upload the file again"


def test_a_truncated_second_member_is_refused(tmp_path):
    content = gzip.compress(b"Id,label\n1,x\n", mtime=0) + gzip.compress(b"2,y\n", mtime=0)[:-3]
    assert refusal(tmp_path, content).reason == "the gzip data ends early; upload the file again"


# ---------------------------------------------------------------- encodings that the contract declares

WESTERN = "Id,label\n1,Größe: 5 µm £\n2,déjà vu\n"


def in_encoding(encoding: str) -> Dataset:
    return PAIR.model_copy(update={"encoding": encoding})


def sample_text(encoding: str) -> str:
    """A file with non-ASCII characters of this encoding."""
    asian = dict.fromkeys(("shift_jis", "gb18030", "big5", "euc-kr"), "Id,label\n1,日本\n2,中\n")
    eastern = dict.fromkeys(("windows-1250", "iso-8859-2"), "Id,label\n1,žluťoučký\n2,łódź\n")
    return {**asian, **eastern, "windows-1251": "Id,label\n1,Привет\n2,мир\n"}.get(encoding, WESTERN)


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name != "cp437"])
@BLOCK_SIZES
def test_a_declared_encoding_is_decoded_while_it_streams(tmp_path, encoding, size):
    text = sample_text(encoding)
    file = validated(tmp_path, gzip.compress(text.encode(encoding)), in_encoding(encoding), size)
    assert (file.record_count, file.original.read_text(encoding="utf-8")) == (2, text)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "windows-1252", "cp437"])
def test_a_declared_encoding_is_loaded(tmp_path, warehouse, encoding):
    content = 'Id,label\r\n1,"café, ""naïf"""\r\n2,\r\n'.encode(encoding)
    assert through(tmp_path, warehouse, content, in_encoding(encoding)) == [(1, 'café, "naïf"'), (2, None)]


@pytest.mark.parametrize(
    ("declared", "mark", "written_in"),
    [
        ("utf-16", codecs.BOM_UTF16_LE, "utf-16-le"),
        ("utf-16", codecs.BOM_UTF16_BE, "utf-16-be"),
        ("utf-16", b"", "utf-16-le"),
        ("utf-16", b"", "utf-16-be"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16-le"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
@BLOCK_SIZES
def test_the_byte_order_of_utf_16(tmp_path, declared, mark, written_in, size):
    text = "Id,label\n1,🎬 é\n2,y\n"
    file = validated(tmp_path, mark + text.encode(written_in), in_encoding(declared), size)
    assert file.original.read_text(encoding="utf-8") == text


TWO_AND_A_MARK = codecs.BOM_UTF16_LE + "Id,label\n1,".encode("utf-16-le")


@pytest.mark.parametrize(
    ("encoding", "content", "reason"),
    [
        ("windows-1252", b"Id,label\n1,caf\xe9\n2,\x81\n", "byte 0x81 at offset 18 is not valid windows-1252, "
         "the encoding in the contract; save the file in that encoding, or correct `encoding` in the contract"),
        ("utf-16", TWO_AND_A_MARK + b"\x00\xdcx\0\n\0", "byte 0x00 at offset 24 is not valid utf-16, the encoding "
         "in the contract; save the file in that encoding, or correct `encoding` in the contract"),
        ("utf-16", TWO_AND_A_MARK + b"\x3c\xd8", "the file ends in the middle of a character (utf-16, offset 24): it "
         "was truncated. Upload it again"),
        ("utf-16", TWO_AND_A_MARK + b"x", "the file ends in the middle of a character (utf-16, offset 24): it was "
         "truncated. Upload it again"),
        ("utf-16", TWO_AND_A_MARK + "ü\0".encode("utf-16-le"), "NUL byte at offset 26; the file is damaged or is not "
         "utf-16 text"),
        ("shift_jis", "Id,label\n1,日".encode("shift_jis") + b"\0", "NUL byte at offset 13; the file is damaged or is "
         "not shift_jis text"),
        ("latin-1", codecs.BOM_UTF8 + b"Id,label\n1,x\n", "the file is encoded in UTF-8, but the contract says "
         "latin-1; save it as latin-1, or declare `encoding: utf-8` there"),
        ("latin-1", TWO_AND_A_MARK, "the file is encoded in UTF-16, but the contract says latin-1; save it as latin-1, "
         "or declare `encoding: utf-16` there"),
        ("utf-16-be", TWO_AND_A_MARK, "the file is encoded in UTF-16, but the contract says utf-16-be; save it as "
         "utf-16-be, or declare `encoding: utf-16` there"),
        ("utf-16", b"Id,label\n1,x\n", "the contract says utf-16, but the file is not; save it as utf-16, or correct "
         "the contract"),
        ("windows-1252", "Id,label\n1,x\n".encode("utf-16-le"), "the file is encoded in UTF-16 without a byte order "
         f"mark (NUL byte at offset 1){UTF_16}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [5, 4096])
def test_bytes_outside_the_declared_encoding_are_refused_with_their_offset(tmp_path, encoding, content, reason, size):
    assert refusal(tmp_path, content, in_encoding(encoding), size).reason == reason


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        ("Id,label\n1,café\n".encode(), True),
        ("Id,label\n1,café\n".encode("latin-1"), False),
        (b"Id,label\n1,x\n", False),
    ],
)
@BLOCK_SIZES
def test_utf_8_declared_as_latin_1_loads_with_a_warning(tmp_path, content, warned, size):
    assert validated(tmp_path, content, in_encoding("latin-1"), size).warnings == (
        (
            "the contract says `encoding: latin-1`, but the file is also valid UTF-8; if accented letters look wrong, "
            "remove `encoding` from the contract",
        )
        if warned
        else ()
    )


# ---------------------------------------------------------------- other formats


def parquet() -> bytes:
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute(f"copy (select 1 as Id, 'x' as label) to '{folder}/x' (format parquet)")
        return Path(folder, "x").read_bytes()


def zipped(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, "application/vnd.oasis.opendocument.spreadsheet" if name == "mimetype" else "x" * 99)
    return target.getvalue()


def zipped_as(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, content)
    return target.getvalue()


def ods() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    return target.getvalue()


def tarred() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("things.csv"))
    return target.getvalue()


CSV = b"Id,label\n1,x\n"
SAVE = "open it and save it as 'CSV UTF-8'"
UPLOAD = "upload it uncompressed, or compressed with gzip, zstd, bzip2 or as a ZIP archive"
TWICE = "compressed twice; decompress it once"
SAVE_ZIPPED = "open it and save it in the contract's format, such as 'CSV UTF-8'"
OTHER_FORMATS = {
    "xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), f"an Excel workbook (.xlsx); {SAVE_ZIPPED}"),
    "ods": (ods(), f"an OpenDocument spreadsheet (.ods); {SAVE_ZIPPED}"),
    "xlsx in gzip": (
        gzip.compress(zipped("[Content_Types].xml", "xl/workbook.xml")),
        f"an Excel workbook (.xlsx), not CSV; {SAVE}",
    ),
    "zip in gzip": (gzip.compress(zipped("things.csv")), f"a ZIP archive, {TWICE}"),
    "zip of two": (
        zipped("a.csv", "b.csv"),
        "a ZIP archive of 2 files ('a.csv', 'b.csv'); upload them one by one",
    ),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), f"an old Excel workbook (.xls), not CSV; {SAVE}"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document, not CSV; ask the sender for the data as CSV"),
    "parquet": (parquet(), "Parquet, not CSV; export it as CSV"),
    "bzip2 in zip": (zipped_as("a.csv", bz2.compress(CSV)), TWICE),
    "xz": (lzma.compress(CSV), f"compressed with xz; {UPLOAD}"),
    "zstd in gzip": (gzip.compress(b"\x28\xb5\x2f\xfd\x24\x0d\x69\0\0"), TWICE),
    "lz4": (b"\x04\x22\x4d\x18\x64\x40\xa7\x0d\0\0\0", f"compressed with lz4; {UPLOAD}"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\x04", f"compressed with 7-Zip; {UPLOAD}"),
    "rar": (b"Rar!\x1a\x07\x01\0", f"compressed with RAR; {UPLOAD}"),
    "tar.gz": (
        gzip.compress(tarred()),
        "a tar archive; upload the files in it one by one",
    ),
    "gzip twice": (gzip.compress(gzip.compress(CSV)), TWICE),
    "compress": (b"\x1f\x9d\x90I\xc8\xb0\xb1\x83", f"compressed with compress (.Z); {UPLOAD}"),
    "zlib": (zlib.compress(CSV), f"compressed with zlib; {UPLOAD}"),
    "PGP, public key": (b"\x85\x01\x0c\x03\x90d\x01\x02", "encrypted with PGP; decrypt it before the upload"),
    "PGP, passphrase": (b"\x8c\x0d\x04\x09\x03\x02", "encrypted with PGP; decrypt it before the upload"),
    "PGP, as text": (
        b"-----BEGIN PGP MESSAGE-----\n\nhQEMA5Bk",
        "encrypted or signed with PGP; decrypt it before the upload",
    ),
    "OpenSSL": (b"Salted__\x8f\x01\x02\x90", "encrypted with OpenSSL; decrypt it before the upload"),
    "Avro": (b"Obj\x01\x04\x14avro.codec", "Avro, not CSV; export it as CSV"),
    "ORC": (b"ORC\x0a\x0b\x08", "ORC, not CSV; export it as CSV"),
    "SQLite": (b"SQLite format 3\0\x10\0", "an SQLite database, not CSV; export it as CSV"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "a ZIP archive without a file in it; upload the file itself"),
    "utf-32": (codecs.BOM_UTF32_LE + "Id,label\n".encode("utf-32-le"), "encoded in UTF-32; save it as 'CSV UTF-8'"),
    "html": (
        b"<!DOCTYPE html>\n<html><body>404</body></html>",
        "a web page (HTML), probably an error page saved instead of the download; download it again",
    ),
    "html without doctype": (
        b"\xef\xbb\xbf \n<HTML lang='de'>",
        "a web page (HTML), probably an error page saved instead of the download; download it again",
    ),
    "error of S3": (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>No.</Message></Error>',
        "an XML error message (AccessDenied) saved instead of the download; download it again",
    ),
    "xml": (b'<?xml version="1.0"?><things/>', "XML, not CSV; export it as CSV"),
    "json": (b'{"Id": 1, "label": "x"}\n', "JSON, not CSV; export it as CSV"),
    "json list": (b'[\n  {"Id": 1, "label": "x"}]\n', "JSON, not CSV; export it as CSV"),
}


@pytest.mark.parametrize("name", OTHER_FORMATS)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_other_formats_are_named(tmp_path, name, encoding):
    content, what = OTHER_FORMATS[name]
    if not (name == "utf-32" and encoding == "latin-1"):
        assert refusal(tmp_path, content, in_encoding(encoding)).reason == f"the file is {what}"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "windows-1252"])
def test_random_bytes_are_not_text(tmp_path, seed, encoding):
    content = random.Random(seed).randbytes(5_000).replace(b"\0", b"")  # noqa: S311
    reason = refusal(tmp_path, content, in_encoding(encoding)).reason
    assert re.fullmatch(
        r"the file is not text: [0-9]+ of its first 4,096 bytes are control characters. It may be compressed, "
        r"encrypted or damaged; upload the CSV file itself",
        reason,
    )


@pytest.mark.parametrize("header", ["PAR1,PAR2", "[Id],[label]", "{Id},label", "Rar!,label", "BZh9,label", "7z,label"])
def test_a_header_that_resembles_another_format_is_still_a_header(tmp_path, header):
    assert refusal(tmp_path, f"{header}\n1,x\n".encode()).reason.startswith("the header is missing column")
    names = header.split(",")
    dataset = make_dataset(make_column("a", "integer", source_name=names[0]), make_column("b", source_name=names[1]))
    assert validated(tmp_path, f"{header}\n1,x\n".encode(), dataset).record_count == 1


OR_2, OR_3 = (
    f", or, if files always have such lines, declare `dialect: {{header_rows: [{line}]}}` in the contract"
    for line in (2, 3)
)
NO_HEADER = "; or, if files never have one, declare `dialect: {header: false}` in the contract"
EXCEL = "line 1, 'sep=,', is an Excel directive, not the header; delete it"


@pytest.mark.parametrize(
    ("content", "declared", "reason"),
    [
        ("Id;label\n1;x\n", ",", "the header is separated by ';', but the contract says ','; export the file with ',' "
         'as the separator, or declare `dialect: {delimiter: ";"}` in the contract'),
        ("Id\tlabel\n1\tx\n", ",", "the header is separated by TAB, but the contract says ','; export the file with "
         "',' " 'as the separator, or declare `dialect: {delimiter: "\\t"}` in the contract'),
        ('"Id"|"label"\n1|x\n', ",", "the header is separated by '|', but the contract says ','; export the file with "
         "',' " 'as the separator, or declare `dialect: {delimiter: "|"}` in the contract'),
        ("Id,label\n1,x\n", "\t", "the header is separated by ',', but the contract says TAB; export the file with TAB "
         'as the separator, or declare `dialect: {delimiter: ","}` in the contract'),
        ("id;name\n1;x\n", ",", "the header is separated by ';', but the contract says ','; export the file with ',' "
         'as the separator, or declare `dialect: {delimiter: ";"}` in the contract'),
        ("id;name;more\n1;x;y\n", ",", "the header is missing columns 'Id', 'label' and has unknown column "
         "'id;name;more'; expected: Id,label"),
        ("sep=;\nId;label\n1;x\n", ",", "line 1, 'sep=;', is an Excel directive, not the header; declare "
         '`dialect: {delimiter: ";", header_rows: [2]}` in the contract, or delete it and export the file with \',\' '
         "as the separator"),
        ("sep=,\r\nId,label\r\n1,x\r\n", ",", EXCEL + OR_2),
        ("Things of 2026\n\nId,label\n1,x\n", ",", "the header is on line 3; delete the lines above it" + OR_3),
        ("Report,2026\nId,label\n1,x\n", ",", "the header is on line 2; delete the lines above it" + OR_2),
        ("1,x\nId,label\n2,y\n", ",", "the header is on line 2, below records; move it to the first line"),
        ("a,\nx,1\n\nlabel,Id\n", ",", "the header is on line 4, below records; move it to the first line"),
        ("Id,Id,label\nId,Id,label\n", ",", "duplicate column 'Id' in the header"),
        ("1,x\n2,y\n", ",", "the first line looks like data, not a header; add the header: Id,label" + NO_HEADER),
        ("2026-11-07,x\n", ",", "the first line looks like data, not a header; add the header: Id,label" + NO_HEADER),
        ("Id,2026\n1,x\n", ",", "the header is missing column 'label' and has unknown column '2026'; expected: "
         "Id,label"),
    ],
)  # fmt: skip
def test_known_header_problems_are_diagnosed(tmp_path, content, declared, reason):
    dataset = make_dataset(*PAIR.columns, dialect={"delimiter": declared})
    assert refusal(tmp_path, content.encode(), dataset).reason == reason


def test_utf16_is_not_taken_for_a_binary_file(tmp_path):
    content = f"Name,label\n{chr(0x0301) * 40},x\n".encode("utf-16")  # bytes 01 03, which no UTF-8 text has
    reason = refusal(tmp_path, content, PAIR.model_copy(update={"encoding": "utf-16"})).reason
    assert reason.startswith("the header is missing column 'Id'")


def test_a_reason_lists_a_few_columns_only(tmp_path):
    header = ",".join([f"c{number}" for number in range(1000)] + ["n" * 100_000])
    reason = refusal(tmp_path, f"{header}\n".encode()).reason
    assert reason.endswith("'c9' and 991 more; expected: Id,label")
    [warning] = validated(tmp_path, f"Id,{'n' * 100_000},label\n1,x,y\n".encode()).warnings
    assert warning == f"column '{'n' * 60}…' is not in the contract; ignored"


def test_unnamed_columns_are_ignored(tmp_path, warehouse):
    content = b"Id,label,,,\n1,x,,,\n2,y,,,\n"
    assert validated(tmp_path, content).warnings == ("column '' is not in the contract; ignored",)
    assert through(tmp_path, warehouse, content) == TWO


# ---------------------------------------------------------------- records that are rejected


def rejects(folder: Path, warehouse: DuckDBWarehouse, content: bytes, dataset: Dataset = PAIR) -> list[RejectedRecord]:
    file = validated(folder, content, dataset)
    load = committed(warehouse, dataset, file)
    found = list(find_rejects(file, dataset))
    assert (load.rows_in, load.rows_rejected) == (file.record_count, len(found))
    return found


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ragged_records_are_counted_and_rejected(tmp_path, warehouse, end):
    lines = ["Id,label", "1,x", "2", "3,y,z", "4,w", "5,v,", " ", "6,u,,", "7,", ","]
    found = rejects(tmp_path, warehouse, end.join(lines).encode())
    assert [(each.record_number, each.line_number, each.columns, each.reason, each.text) for each in found] == [
        (2, 3, (), "1 field, but the header has 2", "2"),
        (3, 4, (), "3 fields, but the header has 2", "3,y,z"),
        (5, 6, (), "3 fields, but the header has 2", "5,v,"),
        (6, 7, (), "1 field, but the header has 2", " "),
        (7, 8, (), "4 fields, but the header has 2", "6,u,,"),
        (9, 10, ("id",), "id is empty", ","),
    ]
    assert warehouse.execute("select id, label from raw.shop_things order by id") == [(1, "x"), (4, "w"), (7, None)]


CUT = "; this last record has no line ending, so the file may be truncated"


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ("3", f"1 field, but the header has 2{CUT}"),
        ("3\n", "1 field, but the header has 2"),
        ("3\r\n", "1 field, but the header has 2"),
        ("3\r", "1 field, but the header has 2"),
        ("3,z,", "3 fields, but the header has 2"),
    ],
)
def test_a_truncated_last_record_is_rejected_as_truncated(tmp_path, warehouse, last, reason):
    found = rejects(tmp_path, warehouse, f"Id,label\n1,x\n2,y\n{last}".encode())
    assert [(each.record_number, each.reason) for each in found] == [(3, reason)]


FOOTER = "; this looks like a footer or a comment, not a record: delete the line"


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize(
    "last", ["Total: 3 rows", "# end", ";;;", "-----", "(3 rows)", "3 rows", "TOTAL ROWS: 2", "***"]
)
@pytest.mark.parametrize("columns", [PAIR.columns, PAIR.columns[::-1]])
def test_a_footer_is_named_and_is_no_sign_of_truncation(tmp_path, warehouse, columns, last, end):
    films = PAIR.model_copy(update={"mode": "overwrite", "columns": columns})
    content = "Id,label\n1,x\n2,y\n" if columns == PAIR.columns else "label,Id\nx,1\ny,2\n"
    found = rejects(tmp_path, warehouse, f"{content}{last}{end}".encode(), films)
    assert [(each.record_number, each.reason) for each in found] == [(3, f"1 field, but the header has 2{FOOTER}")]


@pytest.mark.parametrize("last", ["x", "end", "2.5", "Total"])
def test_a_last_line_that_cannot_start_a_record_is_a_footer(tmp_path, warehouse, last):
    [found] = rejects(tmp_path, warehouse, f"Id,label\n1,x\n{last}".encode())
    assert (found.reason, found.is_cut_off) == (f"1 field, but the header has 2{FOOTER}", False)


def test_a_truncated_file_does_not_replace_the_whole_table(sync, bucket, warehouse):
    films = make_dataset(make_column("id", "integer"), make_column("label"), name="films", mode="overwrite")
    bucket.put("shop/films.csv", "id,label\n1,x\n2,y\n3,z\n")
    sync(films)
    bucket.put("shop/films.csv", "id,label\n1,x\n2")
    [refused] = sync(films).refused
    assert refused.reason == (
        f"line 3: 1 field, but the header has 2{CUT}. A truncated file cannot replace the whole table; upload "
        "it again, complete"
    )
    assert warehouse.counts(films).current_rows == 3


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("integer", "value '07/11/2026' is not an integer like 42"),
        ("date", "value '07/11/2026' is not a date like 2026-11-07"),
        ("timestamp", "value '07/11/2026' is not a timestamp like 2026-11-07 13:45:00"),
        ("boolean", "value '07/11/2026' is not a boolean like true"),
        ("double", "value '07/11/2026' is not a double like 4.5"),
        ("decimal(10,2)", "value '07/11/2026' is not a decimal(10,2) like 4.50"),
        ("decimal(5,0)", "value '07/11/2026' is not a decimal(5,0) like 4"),
        ("decimal(2,2)", "value '07/11/2026' is not a decimal(2,2) like 0.50"),
    ],
)
def test_a_reason_shows_a_valid_value(tmp_path, warehouse, kind, reason):
    dataset = make_dataset(make_column("value", kind), name=re.sub(r"\W", "_", kind))
    example = reason.partition(" like ")[2]
    [found] = rejects(tmp_path, warehouse, f"value\n{example}\n07/11/2026\n".encode(), dataset)
    assert (found.record_number, found.reason) == (2, reason)


@pytest.mark.parametrize("field", ['a"b', '"a"b', 'a "b"', ' "a"', '"a" ', '"a"b"c"', '"a""b"c', '5"'])
def test_quotes_that_violate_rfc_4180_are_rejected_unchanged(tmp_path, warehouse, field):
    found = rejects(tmp_path, warehouse, f'Id,label\n1,x\n2,{field}\n3,"y"\n'.encode())
    assert [(each.record_number, each.line_number, each.columns, each.reason, each.text) for each in found] == [
        (2, 3, (), 'unescaped quote (") inside a field; quote the field and double the inner quotes',
         f"2,{field}")
    ]  # fmt: skip
    assert warehouse.execute("select id, label from raw.shop_things order by id") == [(1, "x"), (3, "y")]


def test_line_numbers_of_rejects_are_those_of_the_file(tmp_path, warehouse):
    content = b'\n\nId,label\n\n1,"a\nb\n\nc"\nbad,x\n\n2,"d\ne"\n"worse\n",y\n'
    found = rejects(tmp_path, warehouse, content)
    assert [(each.record_number, each.line_number, each.reason, each.text) for each in found] == [
        (2, 9, "id 'bad' is not an integer like 42", "bad,x"),
        (4, 13, "id 'worse\\n' is not an integer like 42", '"worse\n",y'),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_record_has_a_maximum_length(tmp_path, warehouse, end, quote):
    def record(number: int, size: int) -> str:
        return f"{number},{quote}{'x' * (size - 2 - 2 * len(quote) - len(end))}{quote}{end}"

    records = [record(1, MAX_RECORD_BYTES), record(2, MAX_RECORD_BYTES + 1), f"3,z{end}", f"bad,z{end}"]
    found = rejects(tmp_path, warehouse, f"Id,label{end}{''.join(records)}".encode())
    assert [(each.record_number, each.reason) for each in found] == [
        (2, "the record is longer than 2,000,000 bytes"),
        (4, "id 'bad' is not an integer like 42"),
    ]
    lengths = warehouse.execute("select id, length(label) from raw.shop_things order by id")
    assert lengths == [(1, MAX_RECORD_BYTES - 2 - 2 * len(quote) - len(end)), (3, 1)]


@pytest.mark.parametrize("longer", [-1, 0, 1])
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("before", ["", "1,x\n"])
@pytest.mark.parametrize("size", [999, 1_999_990, 5_000_000])
def test_the_maximum_length_does_not_depend_on_the_position(tmp_path, warehouse, longer, end, before, size):
    # DuckDB accepts a record that is one byte longer right after the header, and skips it elsewhere.
    text = f"2,{'x' * (MAX_RECORD_BYTES + longer - 2 - max(1, len(end)))}"
    file = validated(tmp_path, f"Id,label\n{before}{text}{end}".encode(), size=size)
    load = committed(warehouse, PAIR, file)
    found = list(find_rejects(file, PAIR))
    assert (load.rows_in, load.rows_rejected) == (1 + bool(before), int(longer > 0))
    assert [(each.record_number, each.reason) for each in found] == (
        [(1 + bool(before), "the record is longer than 2,000,000 bytes")] if longer > 0 else []
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_numbers_are_checked_with_any_line_ending(tmp_path, warehouse, end):
    numbers = make_dataset(make_column("a", "integer"), make_column("b", "double"))
    content = end.join(["a,b", "1,1.5", "2.7,1", "0x10,1", "1_000,1", "2,nan", "3,1e400", f"4,{'9' * 400}", "5,2."])
    found = rejects(tmp_path, warehouse, content.encode(), numbers)
    assert [each.record_number for each in found] == [2, 3, 4, 5, 6, 7]
    only_digits = end.join(["a,b", "6,1.5", "2.7,1", f"4,{'9' * 400}", "1.2.3,1", ",1", "7,"]).encode()
    assert validated(tmp_path, only_digits, numbers).table.numeric
    found = rejects(tmp_path, warehouse, only_digits, numbers)
    assert [each.record_number for each in found] == [2, 3, 4, 5, 6]
    assert warehouse.execute("select a, b from raw.shop_things order by a") == [(1, 1.5), (5, 2.0), (6, 1.5)]


# ---------------------------------------------------------------- files that Python's csv module writes

FIELDS = st.text(st.sampled_from([*"ab1,;\" '\n\r\t#\\é🎬\u2028\x85\ufeff.-"]), max_size=8) | st.sampled_from(
    ["", "1", "NULL", '""', "\r\n", "a\r\nb", "\n\n", "0x10", "2.7"]
)


def written(records: Iterable[list[str]], end: str, quoting: int) -> str:
    text = io.StringIO(newline="")
    for record in records:
        # Python does not quote a CR when lines end with LF, so quote such records fully.
        how = csv.QUOTE_ALL if any("\r" in field or "\n" in field for field in record) else quoting
        csv.writer(text, lineterminator=end, quoting=how).writerow(record)
    return text.getvalue()


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    records=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(FIELDS, min_size=width, max_size=width), min_size=1, max_size=12)
    ),
    ends=st.sampled_from([["\n"], ["\r\n"], ["\r"], ["\n", "\r\n"], ["\r\n", "\n", "\r"]]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ends_with_line_end=st.booleans(),
    bom=st.booleans(),
    packed=st.booleans(),
    size=st.sampled_from([1, 2, 3, 7, 64, 10_000]),
)
@example([["a\rb", "\n"], ["", ""]], ["\n"], csv.QUOTE_MINIMAL, True, False, False, 1)
@example([["", ""], ["1", ""]], ["\r\n"], csv.QUOTE_MINIMAL, False, True, True, 1)
def test_files_written_by_python_load_as_python_reads_them(
    tmp_path, warehouse, records, ends, quoting, ends_with_line_end, bom, packed, size
):
    names = [f"c_{number}" for number in range(len(records[0]))]
    dataset = make_dataset(*(make_column(name, nullable=True) for name in names), name=f"wide_{len(names)}")
    text = "".join(written([record], ends[at % len(ends)], quoting) for at, record in enumerate([names, *records]))
    if not ends_with_line_end:
        text = text.removesuffix("\n").removesuffix("\r")
    read = [fields for fields in csv.reader(io.StringIO(text, newline="")) if fields][1:]
    assume(read == records)
    content = (codecs.BOM_UTF8 if bom else b"") + text.encode()
    file = validated(tmp_path, gzip.compress(content, mtime=0) if packed else content, dataset, size)
    assert file.record_count == len(records)
    load = committed(warehouse, dataset, file)
    assert (load.rows_in, load.rows_loaded, load.rows_rejected) == (len(records), len(records), 0)
    expected = [tuple(field or None for field in record) for record in records]
    assert rows(warehouse, dataset, load) == expected


MESSY = st.text(st.sampled_from([*'12,," \n\r.x']), max_size=60)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=MESSY, size=st.sampled_from([1, 2, 5, 1000]))
@example('1,2,\n"1",2\n1,"2",""\n', 1)
@example('"1",2,""\r\n1,2\r\n', 1000)
def test_every_record_of_any_text_is_loaded_or_rejected(tmp_path, warehouse, body, size):
    dataset = make_dataset(make_column("a", "integer"), make_column("b", "double", nullable=True), name="messy")
    try:
        file = validated(tmp_path, f"a,b\n{body}".encode(), dataset, size)
    except RefusedError as error:
        assert error.ignored or "never closed" in error.reason  # noqa: PT017
        return
    load = committed(warehouse, dataset, file)
    assert load.rows_in == load.rows_loaded + load.rows_rejected == file.record_count
    assert len(rows(warehouse, dataset, load)) == load.rows_loaded
