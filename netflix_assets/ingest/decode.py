"""The first stage of the gate: an object's bytes as UTF-8 without a mark, decompressed and decoded while they stream.

Does not belong here: what the text says (``gate.py``).
"""

import codecs
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from netflix_assets.storage.objects import BLOCK_BYTES

HEAD_BYTES = 4096  # enough to tell what a file is
_GZIP_MAGIC = b"\x1f\x8b"
# Which encodings a byte order mark may stand for; no mark is the start of another.
_MARKS = {
    codecs.BOM_UTF8: ("utf-8",),
    codecs.BOM_UTF16_LE: ("utf-16", "utf-16-le"),
    codecs.BOM_UTF16_BE: ("utf-16", "utf-16-be"),
}


class RefusedError(Exception):
    """An object that is not loaded, with the reason; ``ignored`` when there was simply nothing to load."""

    def __init__(self, reason: str, *, ignored: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ignored = ignored


class Unpacked:
    """An object's text while it is read.

    ``head`` has the first bytes, decompressed, as far as they were read; ``mark_size`` the length of the byte order
    mark that was taken off; ``warnings`` what is odd about the encoding, once all is read.
    """

    def __init__(self, blocks: Iterable[bytes], encoding: str) -> None:
        self.head = b""
        self.mark_size = 0
        self.warnings: tuple[str, ...] = ()
        self._blocks = blocks
        self._encoding = encoding

    def utf8(self) -> Iterator[bytes]:
        """The text in UTF-8; what the contract says to be UTF-8 is passed on as it is, right or wrong.

        Raises: RefusedError when the bytes cannot be decompressed or decoded.
        """
        start, blocks = _peek(self._remembered(_decompressed(self._blocks)), len(codecs.BOM_UTF8))
        mark = next((mark for mark in _MARKS if start.startswith(mark)), b"")
        if mark and self._encoding not in _MARKS[mark]:
            raise RefusedError(_other_encoding(_MARKS[mark][0], self._encoding))
        self.mark_size = len(mark)
        rest = _without_start(blocks, len(mark))
        return rest if self._encoding == "utf-8" else self._decoded(rest, _codec(self._encoding, mark, start))

    def _remembered(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if len(self.head) < HEAD_BYTES:
                self.head += block[: HEAD_BYTES - len(self.head)]
            yield block

    def _decoded(self, blocks: Iterable[bytes], codec: str) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(codec)()
        looks = _LooksLikeUtf8()
        done = self.mark_size
        for block in blocks:
            before = done - len(decoder.getstate()[0])
            text = self._decode(decoder, block, before)
            nul = text.find("\0")
            if nul >= 0:
                offset = before + len(text[:nul].encode(codec))
                raise RefusedError(f"NUL byte at offset {offset}: the file is damaged or no text in {self._encoding}")
            looks.feed(block)
            done += len(block)
            if text:
                yield text.encode()
        self._decode(decoder, b"", done - len(decoder.getstate()[0]), final=True)
        if looks.like_it:
            self.warnings = (
                f"the contract says `encoding: {self._encoding}`, but the file reads as UTF-8 too: if letters beyond A "
                "to Z are wrong, take `encoding` out of the contract",
            )

    def _decode(self, decoder: codecs.IncrementalDecoder, block: bytes, offset: int, *, final: bool = False) -> str:
        try:
            return decoder.decode(block, final)
        except UnicodeDecodeError as error:
            at, byte = offset + error.start, error.object[error.start]
            if final:
                raise RefusedError(
                    f"the file ends in the middle of a character of {self._encoding}, which starts at offset {at}: it "
                    "was cut off; upload it again"
                ) from error
            raise RefusedError(
                f"byte 0x{byte:02x} at offset {at} is not {self._encoding}, which the contract says the file to be; "
                "save the file in it, or declare the right `encoding` in the contract"
            ) from error


class _LooksLikeUtf8:
    """Whether bytes that are decoded as something else hold characters beyond ASCII, all of them right UTF-8."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._beyond_ascii = False
        self._right = True

    def feed(self, block: bytes) -> None:
        if not self._right or (block.isascii() and not self._decoder.getstate()[0]):
            return
        try:
            self._beyond_ascii = True
            self._decoder.decode(block)
        except UnicodeDecodeError:
            self._right = False

    @property
    def like_it(self) -> bool:
        return self._beyond_ascii and self._right and not self._decoder.getstate()[0]


def _other_encoding(found: str, declared: str) -> str:
    """The refusal of a file whose byte order mark says another encoding than the contract."""
    what = f"the file is encoded in {found.upper()}"
    if declared == "utf-8":
        return f"{what}; save it as 'CSV UTF-8', or declare `encoding: {found}` in the contract"
    return f"{what}, the contract says {declared}; save it in that, or declare `encoding: {found}` in the contract"


def _codec(encoding: str, mark: bytes, start: bytes) -> str:
    """Python's codec for the text after the mark: of UTF-16 the one with the right order of bytes."""
    if encoding != "utf-16":
        return encoding
    # Without a mark: the header starts with an ASCII character, of which the first or the second byte is 0.
    is_big = mark == codecs.BOM_UTF16_BE or (not mark and start.startswith(b"\0"))
    return "utf-16-be" if is_big else "utf-16-le"


def _decompressed(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes themselves; decompressed when they are gzip by their first bytes, whatever the key says."""
    head, rest = _peek(blocks, len(_GZIP_MAGIC))
    return _gunzip(rest) if head == _GZIP_MAGIC else rest


def _gunzip(blocks: Iterable[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=31)
    members = 1
    try:
        for pending in blocks:
            while pending:
                if stream.eof:  # zeros that some tools fill up with, or another gzip member, may follow
                    pending = pending.lstrip(b"\0")
                    if not pending:
                        break
                    stream = zlib.decompressobj(wbits=31)
                    members += 1
                yield stream.decompress(pending, BLOCK_BYTES)
                pending = stream.unconsumed_tail or stream.unused_data
    except zlib.error as error:
        if members > 1 and "incorrect header" in str(error):
            raise RefusedError("after the end of the gzip data stands something that is no gzip") from error
        raise RefusedError(f"the gzip data is damaged ({error})") from error
    if not stream.eof:
        raise RefusedError("the gzip data ends early: the upload was cut off")


def _peek(blocks: Iterable[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, and all blocks again with at least that many bytes in the first (no empty block among them)."""
    source = iter(blocks)
    first = b""
    for block in source:
        first += block
        if len(first) >= count:
            break
    return first[:count], chain([first] if first else [], filter(None, source))


def _without_start(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    if count == 0:
        return blocks
    first = next(blocks)[count:]
    return chain([first] if first else [], blocks)
