"""Write rows, as PostgreSQL sends them, into a compressed CSV file."""

import csv
import hashlib
import hmac
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from netflix_assets.extract.postgres.session import Block

csv.field_size_limit(sys.maxsize)  # Python's limit is 131,072 characters; the contract's is checked when it loads


class RowFile:
    """A zstd-compressed CSV file under construction; a context manager.

    ``digest``: of the content, the same for the same rows in the same order. ``count``: rows, the header not included.
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self.path = path
        self.count = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._stream = pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd")
        self._add(_record(header))

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    @property
    def digest(self) -> str:
        """A digest of what was written; known when the file is closed."""
        return self._hash.hexdigest()

    def write(self, blocks: Iterable[Block]) -> None:
        """Write blocks of records, each record with its line ending."""
        for content, count in blocks:
            self.count += count
            self._add(content)

    def _add(self, content: bytes | bytearray) -> None:
        self._hash.update(content)
        self._stream.write(content)


def with_hashes(blocks: Iterable[Block], positions: Sequence[int], key: str) -> Iterator[Block]:
    """The records with the fields at ``positions`` replaced by their HMAC-SHA256; an empty field stays empty."""
    secret = key.encode()
    for content, _ in blocks:
        rows = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
        for fields in rows:
            for at in positions:
                if fields[at]:
                    fields[at] = hmac.new(secret, fields[at].encode(), hashlib.sha256).hexdigest()
        yield records_of(rows)


def _record(fields: Sequence[str]) -> bytes:
    # csv.writer quotes a CR inside a field only when its own line ending is CRLF.
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(fields)
    return text.getvalue().removesuffix("\r\n").encode() + b"\n"


def records_of(rows: Sequence[Sequence[str]]) -> Block:
    """Records of rows of texts."""
    return b"".join(map(_record, rows)), len(rows)
