"""The bucket: listing, reading and writing objects by S3, with obstore over a boto3 session's credentials.

Does not belong here: what the bytes mean (``gate.py``) and where credentials come from (``resources.py``).
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Protocol, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore as ObstoreStore

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.storage.retries import (
    RETRIES,
    BucketError,
    Retries,
    advice_for,
    cause_of,
    is_broken_answer,
    is_transient,
    tries_of,
)

# 4 MB reads: large enough that the scan of a block is at memory speed, small enough that memory stays flat.
BLOCK_BYTES = 4 * 2**20

# Parts of an upload (5 MB each) that are under way at once. Each must be through within the silence that is allowed,
# since nothing is answered before: two parts in 30 s is a line of 2.7 Mbit/s, obstore's twelve would need 16.
PARTS_AT_ONCE = 2

# So many objects in a row that stay unread after all tries, and the others are left for the next run: then the server
# is at fault and not the object, and ten thousand objects would take days to find that out.
UNREAD_IN_A_ROW = 3

# Objects of a listing that are handed over at once: a page of S3's.
LIST_PAGE = 1_000

_T = TypeVar("_T")


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


@dataclass(frozen=True)
class Listing:
    """What a listing comes to for one dataset: how many objects it has, and one text for their state."""

    objects: int
    fingerprint: str


class ListedStore(Protocol):
    """What deciding whether to load needs of a bucket."""

    def listings(self, source: Source) -> Mapping[str, Listing]:
        """What the bucket has of each dataset of a source, by the dataset's id. Raises: BucketError."""


class ObjectStore(Protocol):
    """What the ingestion needs of a bucket."""

    bucket: str

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        """All objects whose key starts with this text, in key order. Raises: BucketError."""

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        """The bytes of exactly this version, block by block.

        Raises: ObjectChangedError when the bucket holds another version by now, or gives fewer bytes than it has;
        BucketError when it cannot be read.
        """

    def put(self, key: str, path: Path) -> None:
        """Upload a file under a key. Raises: BucketError."""


class S3ObjectStore:
    """A bucket that is spoken to by S3. ``place`` names it in errors; ``retries`` are those that ``store`` has."""

    def __init__(self, store: ObstoreStore, bucket: str, place: str = "", retries: Retries = RETRIES) -> None:
        self.bucket = bucket
        self._store = store
        self._place = place or f"s3://{bucket}"
        self._retries = retries
        self._unread_in_a_row = 0

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        """All objects whose key starts with this text, in key order."""
        # By the key alone, which no two objects share: comparing whole versions takes ten times as long.
        return sorted(self._tried(f"listing {key_prefix}*", lambda: self._listed(key_prefix)), key=attrgetter("key"))

    def _listed(self, key_prefix: str) -> Sequence[ObjectVersion]:
        # S3 lists by whole path segments in obstore, so the folder is listed and the rest of the prefix compared here.
        folder = key_prefix.rpartition("/")[0]
        return [
            ObjectVersion(self.bucket, meta["path"], _unquoted(meta["e_tag"]), meta["size"], meta["last_modified"])
            for page in self._store.list(folder or None)
            for meta in page
            if meta["path"].startswith(key_prefix)
        ]

    def listings(self, source: Source) -> Mapping[str, Listing]:
        """What the bucket has of each dataset of a source: one pass over one listing, which is not kept."""
        return self._tried(f"listing {source.source}/*", lambda: self._summed(source))

    def _summed(self, source: Source) -> Mapping[str, Listing]:
        return listings_of(
            source,
            (
                (meta["path"], _unquoted(meta["e_tag"]))
                for page in self._store.list(source.source, chunk_size=LIST_PAGE)
                for meta in page
            ),
        )

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        """The bytes of exactly this version, block by block."""
        if self._unread_in_a_row >= UNREAD_IN_A_ROW:
            raise BucketError(
                f"{self._place}: {listed.key} was not tried, since {UNREAD_IN_A_ROW} objects in a row could not be "
                "read",
                is_transient=True,
            )
        started = time.monotonic()
        received = 0
        try:
            for block in self._blocks(listed):
                received += len(block)
                yield block
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._error(f"reading {listed.key}", error, 1, started) from None
            raise ObjectChangedError(f"{listed.key} was deleted after it had been listed") from None
        except BaseError as error:
            raise self._unread(listed, received, error, started) from None
        if received != listed.size:
            raise ObjectChangedError(f"{listed.key}: {received} bytes arrived of {listed.size}")
        self._unread_in_a_row = 0

    def _blocks(self, listed: ObjectVersion) -> Iterator[bytes]:
        response = self._store.get(listed.key)
        # Some servers ignore If-Match and return whatever they have, so the answer itself is compared.
        found = (_unquoted(response.meta["e_tag"]), response.meta["size"])
        if found != (listed.etag, listed.size):
            raise ObjectChangedError(f"{listed.key} changed after it had been listed")
        for block in response.stream(min_chunk_size=BLOCK_BYTES):
            yield bytes(block)

    def _unread(
        self, listed: ObjectVersion, received: int, error: BaseError, started: float
    ) -> BucketError | ObjectChangedError:
        """Why an object was not read. Where its body ended early and no try went on with it, it may be another now."""
        is_broken = is_broken_answer(error)
        tries = self._retries.count + 1 if is_broken else tries_of(error)
        self._unread_in_a_row += tries > 1  # what is forbidden costs no time and says nothing about the other objects
        if is_broken and listed not in self.list(listed.key):
            return ObjectChangedError(f"{listed.key} changed while it was read")
        what = f"reading {listed.key}" + (f" ({received:,} of {listed.size:,} bytes arrived)" if received else "")
        return self._error(what, error, tries, started)

    def put(self, key: str, path: Path) -> None:
        """Upload a file under a key, in parts when it is large."""
        self._tried(f"uploading {key}", lambda: obstore.put(self._store, key, path, max_concurrency=PARTS_AT_ONCE))

    def _tried(self, what: str, call: Callable[[], _T]) -> _T:
        """The call, again from its start where an answer broke off: the one failure that obstore does not repeat."""
        started = time.monotonic()
        delays = self._retries.delays()
        for tries in range(1, self._retries.count + 2):
            try:
                return call()
            except (BaseError, FileNotFoundError) as error:
                delay = next(delays, None) if is_broken_answer(error) else None
                if delay is None:
                    raise self._error(what, error, max(tries, tries_of(error)), started) from None
            time.sleep(delay)
        raise AssertionError("the last try returns or raises")

    def _error(self, what: str, error: Exception, tries: int, started: float) -> BucketError:
        cause = cause_of(error)
        effort = f" ({tries} tries in {time.monotonic() - started:.0f} s)" if tries > 1 else ""
        message = f"{self._place}: {what} failed{effort}: {cause}. {advice_for(cause)}"
        return BucketError(message, is_transient=is_transient(cause))


def objects_of(dataset: Dataset, store: ObjectStore) -> list[ObjectVersion]:
    """The objects in the bucket that belong to the dataset, in key order."""
    return [listed for listed in store.list(dataset.key_prefix) if dataset.owns_key(listed.key)]


def strays_of(source: Source, store: ObjectStore) -> list[str]:
    """The keys below the source's name that belong to none of its datasets: nothing is ever loaded of them."""
    return [listed.key for listed in store.list(f"{source.source}/") if source.dataset_of(listed.key) is None]


def _unquoted(etag: str | None) -> str:
    # Listings give ETags bare, responses quoted.
    return (etag or "").strip('"')


def listings_of(source: Source, listed: Iterable[tuple[str, str]]) -> Mapping[str, Listing]:
    """What (key, ETag) of objects come to for each dataset of a source, by the dataset's id.

    A million objects pass through here at each tick of the sensor, so nothing is made of an object but its digest.
    """
    counts = dict.fromkeys((dataset.id for dataset in source.datasets), 0)
    totals = dict(counts)
    owner: Dataset | None = None
    for key, etag in listed:
        if owner is None or not owner.owns_key(key):  # a listing is in key order: mostly the same dataset as before
            owner = source.dataset_of(key)
        if owner is not None:
            counts[owner.id] += 1
            totals[owner.id] += _digest(key, etag)
    return {name: Listing(counts[name], _as_text(totals[name])) for name in counts}


def fingerprint(objects: Iterable[ObjectVersion]) -> str:
    """One text for the state of a listing: the same objects give the same text in any order."""
    return _as_text(sum(_digest(listed.key, listed.etag) for listed in objects))


def _digest(key: str, etag: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{key}\0{etag}".encode(), digest_size=16).digest(), "big")


def _as_text(total: int) -> str:
    return f"{total % 2**128:032x}"
