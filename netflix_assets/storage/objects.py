"""List, read and write the objects of a bucket over S3, with obstore and a boto3 session's credentials."""

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
    RetryPolicy,
    advice_for,
    count_tries,
    describe_cause,
    is_transient,
    is_truncated_response,
)

# Read 4 MB at a time: large enough to scan a block at memory speed, small enough to keep memory flat.
BLOCK_BYTES = 4 * 2**20

# Upload this many 5 MB parts at once. S3 answers a part only when all of it has arrived, so each must fit in the read
# timeout: 2 parts in 30 s need 2.7 Mbit/s; obstore's default of 12 would need 16.
UPLOAD_CONCURRENCY = 2

# After this many objects in a row cannot be read, the server is at fault and not the objects. The others are left for
# the next run: exhausting the retries of ten thousand objects would take days.
MAX_READ_FAILURES_IN_A_ROW = 3

# Objects in one page of a listing; S3 returns at most this many.
LIST_PAGE_SIZE = 1_000

_T = TypeVar("_T")


class ObjectChangedError(RuntimeError):
    """The object that was read is not the version that was listed. The next listing shows the new version."""


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
        """The identity of the version: the same key with the same ETag holds the same bytes."""
        return self.bucket, self.key, self.etag


@dataclass(frozen=True)
class Listing:
    """One dataset's part of a listing: how many objects it has, and a fingerprint of their versions."""

    objects: int
    fingerprint: str


class ListedStore(Protocol):
    """The part of a bucket that the sensor needs to decide whether to load."""

    def listings(self, source: Source) -> Mapping[str, Listing]:
        """The listing of each dataset of a source, by dataset id. Raises: BucketError."""


class ObjectStore(Protocol):
    """The part of a bucket that ingestion needs."""

    bucket: str

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        """All objects whose key starts with this text, in key order. Raises: BucketError."""

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        """The bytes of exactly this version, block by block.

        Raises: ObjectChangedError when the bucket holds another version now or returns fewer bytes than listed;
        BucketError when it cannot be read.
        """

    def put(self, key: str, path: Path) -> None:
        """Upload a file under a key. Raises: BucketError."""


class S3ObjectStore:
    """A bucket accessed over S3. ``location`` names it in errors; ``retries`` is the policy that ``store`` has."""

    def __init__(self, store: ObstoreStore, bucket: str, location: str = "", retries: RetryPolicy = RETRIES) -> None:
        self.bucket = bucket
        self._store = store
        self._location = location or f"s3://{bucket}"
        self._retries = retries
        self._read_failures_in_a_row = 0

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        """All objects whose key starts with this text, in key order."""
        found = self._retry(f"listing {key_prefix}*", lambda: self._list_once(key_prefix))
        # Sort by key alone: keys are unique, and comparing whole versions takes ten times as long.
        return sorted(found, key=attrgetter("key"))

    def _list_once(self, key_prefix: str) -> Sequence[ObjectVersion]:
        # obstore lists whole path segments only, so list the folder and compare the rest of the prefix here.
        folder = key_prefix.rpartition("/")[0]
        return [
            ObjectVersion(self.bucket, meta["path"], _unquoted(meta["e_tag"]), meta["size"], meta["last_modified"])
            for page in self._store.list(folder or None)
            for meta in page
            if meta["path"].startswith(key_prefix)
        ]

    def listings(self, source: Source) -> Mapping[str, Listing]:
        """The listing of each dataset of a source, by dataset id, from one pass that keeps no object in memory."""
        return self._retry(f"listing {source.source}/*", lambda: self._summarise_once(source))

    def _summarise_once(self, source: Source) -> Mapping[str, Listing]:
        return listings_of(
            source,
            (
                (meta["path"], _unquoted(meta["e_tag"]))
                for page in self._store.list(source.source, chunk_size=LIST_PAGE_SIZE)
                for meta in page
            ),
        )

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        """The bytes of exactly this version, block by block."""
        if self._read_failures_in_a_row >= MAX_READ_FAILURES_IN_A_ROW:
            raise BucketError(
                f"{self._location}: {listed.key} was skipped because {MAX_READ_FAILURES_IN_A_ROW} objects in a row "
                "could not be read",
                is_transient=True,
            )
        started = time.monotonic()
        received = 0
        try:
            for block in self._read_blocks(listed):
                received += len(block)
                yield block
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._bucket_error(f"reading {listed.key}", error, 1, started) from None
            raise ObjectChangedError(f"{listed.key} was deleted after it was listed") from None
        except BaseError as error:
            raise self._read_error(listed, received, error, started) from None
        if received != listed.size:
            raise ObjectChangedError(f"{listed.key}: received {received} of {listed.size} bytes")
        self._read_failures_in_a_row = 0

    def _read_blocks(self, listed: ObjectVersion) -> Iterator[bytes]:
        response = self._store.get(listed.key)
        # Compare the response itself: some servers ignore If-Match and return whatever they have.
        found = (_unquoted(response.meta["e_tag"]), response.meta["size"])
        if found != (listed.etag, listed.size):
            raise ObjectChangedError(f"{listed.key} changed after it was listed")
        for block in response.stream(min_chunk_size=BLOCK_BYTES):
            yield bytes(block)

    def _read_error(
        self, listed: ObjectVersion, received: int, error: BaseError, started: float
    ) -> BucketError | ObjectChangedError:
        """The error for an object that could not be read. A truncated body can mean that the object was overwritten."""
        is_truncated = is_truncated_response(error)
        tries = self._retries.max_retries + 1 if is_truncated else count_tries(error)
        self._read_failures_in_a_row += tries > 1  # a denied read is instant and says nothing about other objects
        if is_truncated and listed not in self.list(listed.key):
            return ObjectChangedError(f"{listed.key} changed while it was read")
        progress = f" (received {received:,} of {listed.size:,} bytes)" if received else ""
        return self._bucket_error(f"reading {listed.key}{progress}", error, tries, started)

    def put(self, key: str, path: Path) -> None:
        """Upload a file under a key, in parts when it is large."""
        self._retry(f"uploading {key}", lambda: obstore.put(self._store, key, path, max_concurrency=UPLOAD_CONCURRENCY))

    def _retry(self, action: str, call: Callable[[], _T]) -> _T:
        """The call's result. A truncated response, which obstore does not retry, is retried here."""
        started = time.monotonic()
        retrying = self._retries.retrying()
        try:
            return retrying(call)
        except (BaseError, FileNotFoundError) as error:
            tries = max(retrying.statistics["attempt_number"], count_tries(error))
            raise self._bucket_error(action, error, tries, started) from None

    def _bucket_error(self, action: str, error: Exception, tries: int, started: float) -> BucketError:
        cause = describe_cause(error)
        effort = f" ({tries} tries in {time.monotonic() - started:.0f} s)" if tries > 1 else ""
        message = f"{self._location}: {action} failed{effort}: {cause}. {advice_for(cause)}"
        return BucketError(message, is_transient=is_transient(cause))


def objects_of(dataset: Dataset, store: ObjectStore) -> list[ObjectVersion]:
    """The dataset's objects in the bucket, in key order."""
    return [listed for listed in store.list(dataset.key_prefix) if dataset.owns_key(listed.key)]


def strays_of(source: Source, store: ObjectStore) -> list[str]:
    """The keys under the source's name that match none of its datasets and are therefore never loaded."""
    return [listed.key for listed in store.list(f"{source.source}/") if source.dataset_of(listed.key) is None]


def _unquoted(etag: str | None) -> str:
    # Listings return ETags without quotes, responses with them.
    return (etag or "").strip('"')


def listings_of(source: Source, listed: Iterable[tuple[str, str]]) -> Mapping[str, Listing]:
    """Summarise (key, ETag) pairs into one listing for each dataset of a source, by dataset id.

    A million objects pass through here at each sensor tick, so only a digest of each is computed.
    """
    counts = dict.fromkeys((dataset.id for dataset in source.datasets), 0)
    totals = dict(counts)
    owner: Dataset | None = None
    for key, etag in listed:
        if owner is None or not owner.owns_key(key):  # in key order, the next key usually has the same owner
            owner = source.dataset_of(key)
        if owner is not None:
            counts[owner.id] += 1
            totals[owner.id] += _digest(key, etag)
    return {name: Listing(counts[name], _format_fingerprint(totals[name])) for name in counts}


def fingerprint(objects: Iterable[ObjectVersion]) -> str:
    """A fingerprint of a listing: the same versions give the same text in any order."""
    return _format_fingerprint(sum(_digest(listed.key, listed.etag) for listed in objects))


def _digest(key: str, etag: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{key}\0{etag}".encode(), digest_size=16).digest(), "big")


def _format_fingerprint(total: int) -> str:
    return f"{total % 2**128:032x}"
