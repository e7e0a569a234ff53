"""The bucket: listing, reading and writing objects by S3, with obstore over a boto3 session's credentials.

Does not belong here: what the bytes mean (``gate.py``) and where credentials come from (``resources.py``).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import obstore
from obstore.store import ObjectStore as ObstoreStore

from netflix_assets.contract import Dataset

# 4 MB reads: large enough that the scan of a block is at memory speed, small enough that memory stays flat.
BLOCK_BYTES = 4 * 2**20


class ObjectChangedError(RuntimeError):
    """The object that was read is not the one that was listed; the next listing shows the new one."""


@dataclass(frozen=True, order=True)
class ObjectVersion:
    """One version of one object: ``key`` relative to the bucket's prefix, ETag without quotes, size in bytes."""

    bucket: str
    key: str
    etag: str
    size: int
    last_modified: datetime

    @property
    def version(self) -> tuple[str, str, str]:
        """What makes the version itself: the same key with the same ETag holds the same bytes."""
        return self.bucket, self.key, self.etag


class ObjectStore(Protocol):
    """What the ingestion needs of a bucket."""

    bucket: str

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        """All objects whose key starts with this text, in key order."""

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        """The bytes of exactly this version, block by block.

        Raises: ObjectChangedError when the bucket holds another version by now, or gives fewer bytes than it has.
        """

    def put(self, key: str, path: Path) -> None:
        """Upload a file under a key."""


class S3ObjectStore:
    """A bucket that is spoken to by S3."""

    def __init__(self, store: ObstoreStore, bucket: str) -> None:
        self.bucket = bucket
        self._store = store

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        """All objects whose key starts with this text, in key order."""
        # S3 lists by whole path segments in obstore, so the folder is listed and the rest of the prefix compared here.
        folder = key_prefix.rpartition("/")[0]
        return sorted(
            ObjectVersion(self.bucket, meta["path"], _unquoted(meta["e_tag"]), meta["size"], meta["last_modified"])
            for page in self._store.list(folder or None)
            for meta in page
            if meta["path"].startswith(key_prefix)
        )

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        """The bytes of exactly this version, block by block."""
        try:
            response = self._store.get(listed.key)
        except FileNotFoundError as error:
            raise ObjectChangedError(f"{listed.key} was deleted after it had been listed") from error
        # Some servers ignore If-Match and return whatever they have, so the answer itself is compared.
        found = (_unquoted(response.meta["e_tag"]), response.meta["size"])
        if found != (listed.etag, listed.size):
            raise ObjectChangedError(f"{listed.key} changed after it had been listed")
        received = 0
        for block in response.stream(min_chunk_size=BLOCK_BYTES):
            received += len(block)
            yield bytes(block)
        if received != listed.size:
            raise ObjectChangedError(f"{listed.key}: {received} bytes arrived of {listed.size}")

    def put(self, key: str, path: Path) -> None:
        """Upload a file under a key, in parts when it is large."""
        obstore.put(self._store, key, path)


def objects_of(dataset: Dataset, store: ObjectStore) -> list[ObjectVersion]:
    """The objects in the bucket that belong to the dataset, in key order."""
    return [listed for listed in store.list(dataset.key_prefix) if dataset.owns_key(listed.key)]


def _unquoted(etag: str | None) -> str:
    # Listings give ETags bare, responses quoted.
    return (etag or "").strip('"')


def fingerprint(objects: Iterable[ObjectVersion]) -> str:
    """One text for the state of a listing: the same objects give the same text in any order."""
    total = 0
    for listed in objects:
        digest = hashlib.blake2b(f"{listed.key}\0{listed.etag}".encode(), digest_size=16).digest()
        total = (total + int.from_bytes(digest, "big")) % 2**128
    return f"{total:032x}"
