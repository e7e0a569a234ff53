"""Decompress an object's bytes as they stream: gzip, zstd, bzip2, and ZIP archives of one file.

The first bytes decide, whatever the key's extension. Memory stays bounded, however small the compressed data is:
blocks have at most ``BLOCK_BYTES``. Data that is truncated, damaged or followed by something else is refused.
"""

import bz2
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from netflix_assets.ingest.errors import RefusedError
from netflix_assets.storage.objects import BLOCK_BYTES

_GZIP_MAGIC = b"\x1f\x8b"
_BZIP2 = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", re.DOTALL)  # first block, or the end of an empty stream
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)  # pzstd starts with a skippable frame
_ZIP = re.compile(rb"PK(\x03\x04|\x05\x06)")
_MAGIC_BYTES = 10
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # zipfile decompresses other methods without a bound
_MAC_FOLDER = "__MACOSX/"  # resource forks that macOS adds
_END_OF_ZIP = 22  # bytes of the last record of an archive, without its comment
_TRAILING = "unexpected data after the end of the {} data; upload the file again"
_SHORT = "the {} data ends early; upload the file again"


def decompress(blocks: Iterable[bytes], folder: Path | None = None) -> tuple[str, Iterator[bytes]]:
    """The extension of the compression, empty if there is none, and the bytes without it.

    ``folder``: for a temporary copy of a ZIP archive. Reading raises RefusedError when they cannot be decompressed.
    """
    start, rest = read_prefix(blocks, _MAGIC_BYTES)
    if start.startswith(_GZIP_MAGIC):
        return "gz", _gunzip(rest)
    if _ZSTD.match(start):
        return "zst", _unzstd(rest)
    if _BZIP2.match(start):
        return "bz2", _bunzip2(rest)
    return ("zip", _unzip(rest, folder)) if _ZIP.match(start) else ("", rest)


def read_prefix(blocks: Iterable[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """The first ``count`` bytes, and all blocks again: the first has at least that many bytes, and none is empty."""
    source = iter(blocks)
    first = b""
    for block in source:
        first += block
        if len(first) >= count:
            break
    return first[:count], chain([first] if first else [], filter(None, source))


def _damaged(name: str, error: Exception) -> RefusedError:
    return RefusedError(f"the {name} data is damaged ({error}); upload the file again")


def _gunzip(blocks: Iterable[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=31)
    members = 1
    try:
        for pending in blocks:
            while pending:
                if stream.eof:  # zero padding, which some tools add, or another gzip member may follow
                    pending = pending.lstrip(b"\0")
                    if not pending:
                        break
                    if pending[0] != _GZIP_MAGIC[0]:  # zlib needs two bytes to notice
                        raise RefusedError(_TRAILING.format("gzip"))
                    stream = zlib.decompressobj(wbits=31)
                    members += 1
                yield stream.decompress(pending, BLOCK_BYTES)
                pending = stream.unconsumed_tail or stream.unused_data
    except zlib.error as error:
        if members > 1 and "incorrect header" in str(error):
            raise RefusedError(_TRAILING.format("gzip")) from error
        raise _damaged("gzip", error) from error
    if not stream.eof:
        raise RefusedError(_SHORT.format("gzip"))


def _bunzip2(blocks: Iterable[bytes]) -> Iterator[bytes]:
    stream = bz2.BZ2Decompressor()
    try:
        for block in blocks:
            pending = block
            while pending or not (stream.needs_input or stream.eof):
                if stream.eof:
                    if not pending.startswith(b"B"):  # bzip2 needs four bytes to notice
                        raise RefusedError(_TRAILING.format("bzip2"))
                    stream = bz2.BZ2Decompressor()
                yield stream.decompress(pending, BLOCK_BYTES)
                pending = stream.unused_data
    except OSError as error:
        raise _damaged("bzip2", error) from error
    if not stream.eof:
        raise RefusedError(_SHORT.format("bzip2"))


class _Readable:
    """Blocks as a file for Arrow. ``error``: what reading raised, which Arrow cannot tell from its own errors."""

    closed = False

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self.error: BaseException | None = None
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, and none only at the end."""
        try:
            self._rest = self._rest or memoryview(next(self._blocks, b""))
        except BaseException as error:
            self.error = error
            raise
        part, self._rest = self._rest[:size], self._rest[size:]
        return bytes(part)

    def close(self) -> None:
        """Nothing to close."""


def _unzstd(blocks: Iterable[bytes]) -> Iterator[bytes]:
    import pyarrow as pa  # takes 0.2 s, and definitions have to load fast

    source = _Readable(blocks)
    stream = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")
    while True:
        try:
            block = stream.read(BLOCK_BYTES)
        except OSError as error:
            if source.error is not None:
                raise source.error from None
            raise _zstd_fault(error) from error
        if not block:
            return
        yield block


def _zstd_fault(error: OSError) -> RefusedError:
    text = str(error)
    if "Truncated" in text:
        return RefusedError(_SHORT.format("zstd"))
    if "Unknown frame" in text:  # the first frame has been recognised
        return RefusedError(_TRAILING.format("zstd"))
    if "too much memory" in text:
        return RefusedError("the zstd data needs a window of more than 128 MB; compress the file without --long")
    if "ictionary" in text:
        return RefusedError("the zstd data needs a dictionary; compress the file without one")
    return _damaged("zstd", error)


def _unzip(blocks: Iterable[bytes], folder: Path | None) -> Iterator[bytes]:
    with tempfile.TemporaryFile(dir=folder) as file:  # a ZIP archive's list of files is at its end
        for block in blocks:
            file.write(block)
        try:
            with zipfile.ZipFile(file) as archive:
                member = _only_member(archive, file)
                with archive.open(member) as content:
                    while block := content.read(BLOCK_BYTES):
                        yield block
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, struct.error) as error:
            raise RefusedError(f"the ZIP archive is damaged or ends early ({error}); upload the file again") from error


def _only_member(archive: zipfile.ZipFile, file: IO[bytes]) -> zipfile.ZipInfo:
    entries = archive.infolist()
    found = _recognise_office({entry.filename for entry in entries})
    if found:
        raise RefusedError(f"the file is {found}; open it and save it in the contract's format, such as 'CSV UTF-8'")
    members = [each for each in entries if not each.is_dir() and not each.filename.startswith(_MAC_FOLDER)]
    if not members:
        raise RefusedError("the file is a ZIP archive without a file in it; upload the file itself")
    if len(members) > 1:
        shown = ", ".join(repr(each.filename[:60]) for each in members[:3])
        raise RefusedError(
            f"the file is a ZIP archive of {len(members):,} files ({shown}{', …' if len(members) > 3 else ''}); upload "
            "them one by one"
        )
    [member] = members
    if member.flag_bits & 1:
        raise RefusedError("the file in the ZIP archive is encrypted; upload it without a password")
    if member.compress_type not in _ZIP_METHODS:
        raise RefusedError("the file in the ZIP archive is compressed with a rare method; use Deflate, the usual one")
    _refuse_foreign_bytes(archive, min(entry.header_offset for entry in entries), file)
    return member


def _refuse_foreign_bytes(archive: zipfile.ZipFile, first_offset: int, file: IO[bytes]) -> None:
    """Refuse bytes before the first file or after the end, which zipfile skips: they may be another archive."""
    end = _END_OF_ZIP + len(archive.comment)
    file.seek(0, 2)
    file.seek(max(file.tell() - end, 0))
    if first_offset != 0 or file.read(4) != b"PK\x05\x06":
        raise RefusedError("unexpected data before or after the ZIP archive; upload the file again")


def _recognise_office(names: set[str]) -> str | None:
    if "[Content_Types].xml" in names:
        return "an Excel workbook (.xlsx)" if any(name.startswith("xl/") for name in names) else "an Office document"
    if "mimetype" in names:
        return "an OpenDocument spreadsheet (.ods)"
    return None
