"""Write rows, as PostgreSQL sends them, into a compressed CSV file."""

import csv
import hashlib
import hmac
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa

_BATCH_BYTES = 2**20


class RowFile:
    """A zstd-compressed CSV file under construction; a context manager.

    ``digest``: of the content, the same for the same rows in the same order. ``count``: rows, the header not included.
    """

    def __init__(self, path: Path, header: Sequence[str]) -> None:
        self.path = path
        self.count = 0
        self._hash = hashlib.blake2b(digest_size=16)
        self._batch: list[bytes] = []
        self._bytes = 0
        self._stream = pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd")
        self._add(_record(header))

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._stream.close()

    @property
    def digest(self) -> str:
        """A digest of what was written; known when the file is closed."""
        return self._hash.hexdigest()

    def write(self, records: Iterable[bytes]) -> int:
        """Write records, each with its line ending. Returns how many."""
        before = self.count
        for record in records:
            self.count += 1
            self._add(record)
        return self.count - before

    def _add(self, record: bytes) -> None:
        self._batch.append(record)
        self._bytes += len(record)
        if self._bytes >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        block = b"".join(self._batch)
        self._batch.clear()
        self._bytes = 0
        self._hash.update(block)
        self._stream.write(block)


def with_hashes(records: Iterable[bytes], positions: Sequence[int], key: str) -> Iterator[bytes]:
    """The records with the fields at ``positions`` replaced by their HMAC-SHA256; an empty field stays empty."""
    secret = key.encode()
    for fields in csv.reader((record.decode() for record in records), strict=True):
        for at in positions:
            if fields[at]:
                fields[at] = hmac.new(secret, fields[at].encode(), hashlib.sha256).hexdigest()
        yield _record(fields)


def _record(fields: Sequence[str]) -> bytes:
    # csv.writer quotes a CR inside a field only when its own line ending is CRLF.
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(fields)
    return text.getvalue().removesuffix("\r\n").encode() + b"\n"


def records_of(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """Records of rows of texts."""
    return map(_record, rows)
