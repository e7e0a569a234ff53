"""Decode an object's bytes, as they stream, into UTF-8 text: decompressed and without a byte order mark."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from netflix_assets.ingest.decompress import decompress, read_prefix
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.storage.objects import BLOCK_BYTES

HEAD_BYTES = 4096  # enough to recognise the file's format
PARQUET_MAGIC = b"PAR1"
# Byte order mark -> the encodings it can stand for. No mark is a prefix of another.
_MARKS = {
    codecs.BOM_UTF8: ("utf-8",),
    codecs.BOM_UTF16_LE: ("utf-16", "utf-16-le"),
    codecs.BOM_UTF16_BE: ("utf-16", "utf-16-be"),
}


def blocks_of(path: Path) -> Iterator[bytes]:
    """The bytes of a local file, block by block."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


class Decoder:
    """Decodes one object's bytes. ``folder``: for temporary files.

    ``head``: the first bytes read so far, decompressed. ``mark_size``: length of the byte order mark that was removed.
    ``compression``: its extension, empty if there is none. ``warnings``: doubts about the encoding, complete once
    everything is read.
    """

    def __init__(self, blocks: Iterable[bytes], encoding: str, folder: Path | None = None) -> None:
        self.head = b""
        self.mark_size = 0
        self.compression = ""
        self.warnings: tuple[str, ...] = ()
        self._blocks = blocks
        self._encoding = encoding
        self._folder = folder

    def raw(self) -> Iterator[bytes]:
        """The decompressed bytes. Raises: RefusedError when they cannot be decompressed."""
        self.compression, blocks = decompress(self._blocks, self._folder)
        return self._keep_head(blocks)

    def utf8(self) -> Iterator[bytes]:
        """The text in UTF-8. Where the contract says UTF-8, bytes are passed on unchecked, valid or not.

        Raises: RefusedError when the bytes cannot be decompressed or decoded.
        """
        start, blocks = read_prefix(self.raw(), len(codecs.BOM_UTF8))
        mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
        if mark and self._encoding not in _MARKS[mark]:
            raise RefusedError(_wrong_mark_reason(_MARKS[mark][0], self._encoding))
        self.mark_size = len(mark)
        rest = _skip_bytes(blocks, len(mark))
        return rest if self._encoding == "utf-8" else self._decode(rest, _codec(self._encoding, mark, start))

    def _keep_head(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if len(self.head) < HEAD_BYTES:
                self.head += block[: HEAD_BYTES - len(self.head)]
            yield block

    def _decode(self, blocks: Iterable[bytes], codec: str) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(codec)()
        detector = _Utf8Detector()
        done = self.mark_size
        for block in blocks:
            before = done - len(decoder.getstate()[0])
            text = self._decode_block(decoder, block, before)
            nul = text.find("\0")
            if nul >= 0:
                offset = before + len(text[:nul].encode(codec))
                raise RefusedError(f"NUL byte at offset {offset}; the file is damaged or is not {self._encoding} text")
            detector.feed(block)
            done += len(block)
            if text:
                yield text.encode()
        self._decode_block(decoder, b"", done - len(decoder.getstate()[0]), final=True)
        if detector.is_utf8:
            self.warnings = (
                f"the contract says `encoding: {self._encoding}`, but the file is also valid UTF-8; if accented "
                "letters look wrong, remove `encoding` from the contract",
            )

    def _decode_block(
        self, decoder: codecs.IncrementalDecoder, block: bytes, offset: int, *, final: bool = False
    ) -> str:
        try:
            return decoder.decode(block, final)
        except UnicodeDecodeError as error:
            at, byte = offset + error.start, error.object[error.start]
            if final:
                raise RefusedError(
                    f"the file ends in the middle of a character ({self._encoding}, offset {at}): it was truncated. "
                    "Upload it again"
                ) from error
            raise RefusedError(
                f"byte 0x{byte:02x} at offset {at} is not valid {self._encoding}, the encoding in the contract; save "
                "the file in that encoding, or correct `encoding` in the contract"
            ) from error


class _Utf8Detector:
    """Whether bytes declared as another encoding contain non-ASCII characters, all of them valid UTF-8."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._has_non_ascii = False
        self._is_valid = True

    def feed(self, block: bytes) -> None:
        if not self._is_valid or (block.isascii() and not self._decoder.getstate()[0]):
            return
        try:
            self._has_non_ascii = True
            self._decoder.decode(block)
        except UnicodeDecodeError:
            self._is_valid = False

    @property
    def is_utf8(self) -> bool:
        return self._has_non_ascii and self._is_valid and not self._decoder.getstate()[0]


def _wrong_mark_reason(found: str, declared: str) -> str:
    """The reason for a file whose byte order mark contradicts the contract's encoding."""
    problem = f"the file is encoded in {found.upper()}"
    if declared == "utf-8":
        return f"{problem}; save it as 'CSV UTF-8', or declare `encoding: {found}` in the contract"
    return f"{problem}, but the contract says {declared}; save it as {declared}, or declare `encoding: {found}` there"


def _codec(encoding: str, mark: bytes, start: bytes) -> str:
    """Python's codec for the text after the mark; for UTF-16, the one with the right byte order."""
    if encoding != "utf-16":
        return encoding
    # Without a mark: the header starts with an ASCII character, so either its first or its second byte is 0.
    is_big_endian = mark == codecs.BOM_UTF16_BE or (not mark and start.startswith(b"\0"))
    return "utf-16-be" if is_big_endian else "utf-16-le"


def _skip_bytes(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The blocks without their first ``count`` bytes, all of which are in the first block."""
    if count == 0:
        return blocks
    first = next(blocks)[count:]
    return chain([first] if first else [], blocks)
