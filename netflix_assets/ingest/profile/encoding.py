"""Read files from end to end once: their encoding, and the text at their start. Memory stays bounded."""

import codecs
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netflix_assets.ingest.decode import Decoder, blocks_of
from netflix_assets.ingest.diagnose import has_utf16_nuls
from netflix_assets.ingest.errors import RefusedError

HEAD_BYTES = 2 * 2**20  # of each file, from which the dialect is proposed; the trial load proves it on all
TAIL_BYTES = 8_192  # of each file, in which a footer is looked for
_ASCII = bytes(range(0x80))
# Bytes that Windows-1252 does not define, but that are common letters in DOS code pages: ü, ì, Å, É, Ø.
_NOT_WINDOWS = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])
_CYRILLIC_SHARE = 0.6  # of high bytes that follow another high byte: words of a non-Latin script
_EXAMPLES = 3


@dataclass(frozen=True)
class FileText:
    """A file's start and end as text, and the encoding of the whole file.

    ``size``: bytes after decompression. ``has_quote``: whether a double quote is anywhere in the file.
    """

    path: Path
    head: bytes
    tail: bytes
    size: int
    encoding: str
    evidence: str
    alternatives: tuple[str, ...] = ()
    has_quote: bool = False

    @property
    def text(self) -> str:
        """The start of the file."""
        return self.head.decode(_codec(self.encoding, self.head), "replace")

    @property
    def end(self) -> str:
        """The end of the file, from the start of a line."""
        text = self.tail.decode(_codec(self.encoding, self.head), "replace")
        return text if self.size <= len(self.tail) else text.partition("\n")[2]


def read_text(path: Path) -> FileText:
    """Read a file from start to end.

    Raises: RefusedError when it cannot be decompressed; OSError.
    """
    scan = _Scan()
    try:
        for block in Decoder(blocks_of(path), "utf-8").utf8():
            scan.feed(block)
    except RefusedError as error:
        if "UTF-16" not in error.reason:
            raise
        return _read_utf16(path)
    if has_utf16_nuls(scan.head):
        return _read_utf16(path)
    return FileText(path, scan.head, scan.tail, scan.size, *scan.encoding(), scan.has_quote)


def _read_utf16(path: Path) -> FileText:
    head, tail, size, has_quote = b"", b"", 0, False
    for block in Decoder(blocks_of(path), "utf-16").utf8():
        head += block[: HEAD_BYTES - len(head)]
        tail = (tail + block)[-TAIL_BYTES:]
        size += len(block)
        has_quote = has_quote or b'"' in block
    found = "a byte order mark, or NUL bytes in every other place"
    return FileText(path, head, tail, size, "utf-16", found, (), has_quote)


def _codec(encoding: str, head: bytes) -> str:
    return "utf-8" if encoding == "utf-16" else encoding  # the decoder has converted it


class _Scan:
    """Facts from one pass over a file's bytes."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.size = 0
        self.has_quote = False
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._is_utf8 = True
        self._high: Counter[int] = Counter()
        self._high_pairs = 0
        self._examples: list[bytes] = []

    def feed(self, block: bytes) -> None:
        self.head += block[: HEAD_BYTES - len(self.head)]
        self.tail = (self.tail + block)[-TAIL_BYTES:]
        self.size += len(block)
        self.has_quote = self.has_quote or b'"' in block
        if block.isascii() and not self._utf8.getstate()[0]:
            return
        if self._is_utf8:
            try:
                self._utf8.decode(block)
            except UnicodeDecodeError:
                self._is_utf8 = False
        self._count_high(block)

    def _count_high(self, block: bytes) -> None:
        self._high.update(block.translate(None, _ASCII))
        runs = block.translate(bytes(0x20 if byte < 0x80 else byte for byte in range(256))).split()
        self._high_pairs += sum(len(run) - 1 for run in runs)
        for word in block.split() if len(self._examples) < _EXAMPLES else ():
            if not word.isascii() and len(self._examples) < _EXAMPLES:
                self._examples.append(word[:40])

    def encoding(self) -> tuple[str, str, tuple[str, ...]]:
        """Encoding, evidence and alternatives."""
        if self._is_utf8 and not self._utf8.getstate()[0]:
            count = sum(self._high.values())
            return "utf-8", f"all {self.size:,} bytes are valid UTF-8" + ("" if count else " (only ASCII)"), ()
        found, others = self._guess()
        shown = ", ".join(repr(each.decode(found, "replace")) for each in self._examples)
        count = sum(self._high.values())
        return found, f"{count:,} bytes are not UTF-8; in {found} they read {shown}", others

    def _guess(self) -> tuple[str, tuple[str, ...]]:
        count = max(sum(self._high.values()), 1)
        if self._high_pairs / count > _CYRILLIC_SHARE:
            return "windows-1251", ("iso-8859-2", "windows-1252", "shift_jis", "gb18030")
        if any(self._high[byte] for byte in _NOT_WINDOWS):
            return "cp850", ("cp437", "latin-1")
        if not any(self._high[byte] for byte in range(0x80, 0xA0)):
            return "latin-1", ("windows-1252", "iso-8859-15", "iso-8859-2")
        return "windows-1252", ("windows-1250", "cp850")


def common_encoding(files: Sequence[FileText]) -> FileText:
    """The file whose encoding all files can be read in: the first that is not plain ASCII or UTF-8."""
    return next((each for each in files if each.encoding != "utf-8"), files[0])
