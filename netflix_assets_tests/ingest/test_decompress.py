"""Compressed objects: what each compression gives, and the one reason of each damage."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import suppress

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netflix_assets.ingest.decompress import decompress
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.storage.objects import BLOCK_BYTES

TEXT = b"Id,label\n" + b"".join(b"%d,label %d\n" % (n, n * n) for n in range(5_000))
SIZES = pytest.mark.parametrize("size", [1, 7, 4096])
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"


def zstd(content: bytes) -> bytes:
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, "zstd") as stream:
        stream.write(content)
    return target.getvalue().to_pybytes()


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
        archive.comment = comment
    return target.getvalue()


def one(content: bytes) -> bytes:
    return zipped(("things.csv", content))


def blocks(content: bytes, size: int = 4096) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def read(content: bytes, size: int = 4096) -> bytes:
    return b"".join(decompress(blocks(content, size))[1])


def reason(content: bytes, size: int = 4096) -> str:
    with pytest.raises(RefusedError) as raised:
        read(content, size)
    return raised.value.reason


@SIZES
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, zstd, one])
def test_the_first_bytes_say_how_to_decompress(pack, size):
    assert read(pack(TEXT), size) == TEXT
    assert read(pack(b"")) == b""


@SIZES
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstd])
def test_several_streams_are_read_one_after_the_other(pack, size):
    assert read(pack(TEXT) + pack(b"") + pack(b"end"), size) == TEXT + b"end"


def test_skippable_frames_of_zstd_are_skipped():
    assert read(SKIPPABLE + zstd(TEXT) + SKIPPABLE) == TEXT


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("bzip2", bz2.compress), ("zstd", zstd)])
@pytest.mark.parametrize("kept", [0.2, 0.9])
def test_truncated_data_is_refused(name, pack, kept):
    packed = pack(TEXT)
    early = f"the {name} data ends early; upload the file again"
    assert reason(packed[: int(kept * len(packed))]) == early
    assert reason(packed + packed[: int(kept * len(packed))]) == early


@SIZES
@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("bzip2", bz2.compress), ("zstd", zstd)])
def test_other_data_after_the_end_is_refused(name, pack, size):
    assert reason(pack(TEXT) + b"more data", size) == (
        f"unexpected data after the end of the {name} data; upload the file again"
    )


def test_damaged_data_is_refused():
    packed = bytearray(bz2.compress(TEXT))
    packed[len(packed) // 2] ^= 0xFF
    assert reason(bytes(packed)) == "the bzip2 data is damaged (Invalid data stream); upload the file again"
    assert reason(b"\x28\xb5\x2f\xfd" + bytes([255] * 90)).startswith("the zstd data is damaged (")
    packed = bytearray(one(TEXT))
    packed[200] ^= 0xFF
    assert reason(bytes(packed)).startswith("the ZIP archive is damaged or ends early (")


@given(st.sampled_from([gzip.compress, bz2.compress, zstd, one]), st.integers(0), st.integers(1, 255))
@settings(deadline=None)
def test_a_changed_byte_never_escapes_as_another_error(pack, position, change):
    packed = bytearray(pack(TEXT))
    packed[position % len(packed)] ^= change
    with suppress(RefusedError):
        read(bytes(packed))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstd, one])
def test_a_bomb_is_read_in_blocks(pack):
    packed = pack(bytes(300 * 2**20))
    size = 0
    for block in decompress(iter([packed]))[1]:
        assert len(block) <= BLOCK_BYTES
        size += len(block)
    assert size == 300 * 2**20


def test_an_error_of_the_source_stays_what_it_is():
    def broken() -> Iterator[bytes]:
        yield zstd(TEXT)[:100]
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone"):
        list(decompress(broken())[1])


@pytest.mark.parametrize(
    "members",
    [
        [("things.csv", TEXT)],
        [("folder/", b""), ("folder/things.csv", TEXT)],
        [("things.csv", TEXT), ("__MACOSX/._things.csv", b"resource fork")],
    ],
)
def test_a_zip_of_one_file_is_read(members):
    assert read(zipped(*members, comment=b"from us")) == TEXT
    assert read(zipped(*members, method=zipfile.ZIP_STORED)) == TEXT


def encrypted() -> bytes:
    content = bytearray(one(TEXT))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


FOREIGN = "unexpected data before or after the ZIP archive; upload the file again"
ZIPS = {
    "several": (
        zipped(("a.csv", b"1"), ("b.csv", b"2")),
        "the file is a ZIP archive of 2 files ('a.csv', 'b.csv'); upload them one by one",
    ),
    "none": (zipped(), "the file is a ZIP archive without a file in it; upload the file itself"),
    "encrypted": (encrypted(), "the file in the ZIP archive is encrypted; upload it without a password"),
    "rare method": (
        zipped(("a.csv", TEXT), method=zipfile.ZIP_LZMA),
        "the file in the ZIP archive is compressed with a rare method; use Deflate, the usual one",
    ),
    "truncated": (
        one(TEXT)[:-30],
        "the ZIP archive is damaged or ends early (File is not a zip file); upload the file again",
    ),
    "two archives": (one(TEXT) + one(TEXT), FOREIGN),
    "trailing": (one(TEXT) + b"more", FOREIGN),
    "xlsx": (
        zipped(("[Content_Types].xml", b""), ("xl/workbook.xml", b"")),
        "the file is an Excel workbook (.xlsx); open it and save it in the contract's format, such as 'CSV UTF-8'",
    ),
    "ods": (
        zipped(("mimetype", b""), ("content.xml", b"")),
        "the file is an OpenDocument spreadsheet (.ods); open it and save it in the contract's format, such as "
        "'CSV UTF-8'",
    ),
}


@pytest.mark.parametrize(("content", "expected"), ZIPS.values(), ids=ZIPS)
def test_other_zips_are_refused(content, expected):
    assert reason(content) == expected
