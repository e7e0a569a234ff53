"""List, read and write the objects of a bucket over S3, with a boto3 session's credentials."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore as ObstoreStore

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.storage.retries import (
    RETRIES,
    BucketError,
    RetryPolicy,
    S3ResponseError,
    UnreadableObjectError,
    advice_for,
    advice_for_object,
    count_tries,
    describe_cause,
    is_transient,
    is_transient_error,
    is_truncated_response,
)

if TYPE_CHECKING:
    from netflix_assets.storage.listing import BucketLister, ListedObject, Page  # botocore takes 0.2 s to import

# Read 4 MB at a time: large enough to scan a block at memory speed, small enough to keep memory flat.
BLOCK_BYTES = 4 * 2**20

# Upload this many 5 MB parts at once. S3 answers a part only when all of it has arrived, so each must fit in the read
# timeout: 2 parts in 30 s need 2.7 Mbit/s; obstore's default of 12 would need 16.
UPLOAD_CONCURRENCY = 2

# If this many objects in a row cannot be read, the server is at fault and not the objects. The others are left for
# the next run: exhausting the retries of ten thousand objects would take days.
MAX_READ_FAILURES_IN_A_ROW = 3

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
        UnreadableObjectError when only this object cannot be read; BucketError when the bucket is at fault.
        """

    def put(self, key: str, path: Path) -> None:
        """Upload a file under a key. Raises: BucketError."""


class S3ObjectStore:
    """A bucket accessed over S3: ``lister`` lists it, ``store`` reads and writes the objects under ``prefix``.

    ``location`` names the bucket in errors. ``retries`` is the policy that ``store`` has. ``folder`` is the folder that
    a local server serves as this bucket, if one does.
    """

    def __init__(
        self,
        store: ObstoreStore,
        lister: "BucketLister",
        bucket: str,
        prefix: str = "",
        *,
        location: str = "",
        retries: RetryPolicy = RETRIES,
        folder: Path | None = None,
    ) -> None:
        self.bucket = bucket
        self._store = store
        self._lister = lister
        self._prefix = prefix
        self._location = location or f"s3://{bucket}"
        self._retries = retries
        self._folder = folder
        self._read_failures_in_a_row = 0

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        """All objects whose key starts with this text, in key order."""
        found = [self._version(listed) for page in self._pages(key_prefix) for listed in page.objects]
        # Sort by key alone: keys are unique, and comparing whole versions takes ten times as long.
        return sorted(found, key=attrgetter("key"))

    def peek(
        self, key_prefix: str, limit: int, *, delimiter: str = ""
    ) -> tuple[Sequence[ObjectVersion], Sequence[str]]:
        """The first objects below a prefix, and with a delimiter the first folders, ``limit`` together: one request."""
        request = partial(self._lister.page, self._prefix + key_prefix, delimiter=delimiter, size=limit)
        page = self._retry(f"listing {key_prefix}*", request, is_transient_error)
        return [*map(self._version, page.objects)], [*map(self._relative, page.folders)]

    def listings(self, source: Source) -> Mapping[str, Listing]:
        """The listing of each dataset of a source, by dataset id, from one pass that keeps no object in memory."""
        pages = self._pages(f"{source.source}/")
        return listings_of(source, ((self._relative(each.key), each.etag) for page in pages for each in page.objects))

    def _pages(self, key_prefix: str) -> Iterator["Page"]:
        token: str | None = None
        while True:
            request = partial(self._lister.page, self._prefix + key_prefix, token)
            page = self._retry(f"listing {key_prefix}*", request, is_transient_error)
            yield page
            if (token := page.next_token) is None:
                return

    def _relative(self, key: str) -> str:
        return key.removeprefix(self._prefix)

    def _version(self, listed: "ListedObject") -> ObjectVersion:
        key = self._relative(listed.key)
        return ObjectVersion(self.bucket, key, listed.etag, listed.size, self._modified_at(key, listed))

    def _modified_at(self, key: str, listed: "ListedObject") -> datetime:
        """When an object was modified. The local server gives the time of any change to the file, chmod included."""
        if self._folder is not None:
            with suppress(OSError, ValueError, OverflowError):  # a name that the server spells differently
                moment = datetime.fromtimestamp((self._folder / key).stat().st_mtime, UTC)
                return moment.replace(microsecond=moment.microsecond // 1000 * 1000)  # milliseconds, as S3
        return listed.modified_at

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        """The bytes of exactly this version, block by block."""
        if self._read_failures_in_a_row >= MAX_READ_FAILURES_IN_A_ROW:
            raise BucketError(
                f"{self._location}: {listed.key} was skipped because {MAX_READ_FAILURES_IN_A_ROW} objects in a row "
                "could not be read",
                is_transient=True,
            )
        if fault := key_fault(listed.key):
            raise self._unreadable(listed, f"the key has {fault}. Copy the object to another key and delete this one")
        if not listed.etag:  # the local server cannot hash a file that it may not open, and answers 500 to a GET
            raise self._unreadable(listed, "it has no ETag. Make the file readable (chmod u+r)")
        started = time.monotonic()
        received = 0
        try:
            for block in self._read_blocks(listed):
                received += len(block)
                yield block
        except GeneratorExit:  # the caller needs no more of it
            self._read_failures_in_a_row = 0
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._bucket_error(f"reading {listed.key}", error, 1, started) from None
            raise self._not_found(listed) from None
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

    def _unreadable(self, listed: ObjectVersion, cause: str) -> UnreadableObjectError:
        return UnreadableObjectError(f"{self._location}: reading {listed.key} failed: {cause}", cause)

    def _not_found(self, listed: ObjectVersion) -> ObjectChangedError | UnreadableObjectError:
        """The error for an object that S3 does not find: deleted meanwhile, or listed by a name that it cannot find."""
        # The local server lists a name that is not UTF-8 with U+FFFD in it. Only the part before that is found again.
        if listed not in self.list(listed.key.partition("\ufffd")[0]):
            return ObjectChangedError(f"{listed.key} was deleted after it was listed")
        reason = "its name is not valid UTF-8" if "\ufffd" in listed.key else "the server lists it but does not find it"
        return self._unreadable(listed, f"{reason}. Rename the file")

    def _read_error(
        self, listed: ObjectVersion, received: int, error: BaseError, started: float
    ) -> BucketError | ObjectChangedError:
        """The error for an object that could not be read. A truncated body can mean that the object was overwritten."""
        is_truncated = is_truncated_response(error)
        tries = self._retries.max_retries + 1 if is_truncated else count_tries(error)
        self._read_failures_in_a_row += tries > 1  # a denied read is instant and says nothing about other objects
        if is_truncated and listed not in self.list(listed.key):
            return ObjectChangedError(f"{listed.key} changed while it was read")
        if advice := advice_for_object(cause := describe_cause(error)):
            return self._unreadable(listed, f"{cause}. {advice}")
        progress = f" (received {received:,} of {listed.size:,} bytes)" if received else ""
        return self._bucket_error(f"reading {listed.key}{progress}", error, tries, started)

    def put(self, key: str, path: Path) -> None:
        """Upload a file under a key, in parts when it is large."""
        # obstore retries everything but a truncated response.
        put = partial(obstore.put, self._store, key, path, max_concurrency=UPLOAD_CONCURRENCY)
        self._retry(f"uploading {key}", put, is_truncated_response)

    def _retry(self, action: str, call: Callable[[], _T], should_retry: Callable[[BaseException], bool]) -> _T:
        """The call's result, after as many tries as the policy allows."""
        started = time.monotonic()
        retrying = self._retries.retrying(should_retry)
        try:
            return retrying(call)
        except (BaseError, FileNotFoundError, S3ResponseError) as error:
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


def key_fault(key: str) -> str | None:
    """What makes a key unusable for readers, which treat it as a path; None for most keys."""
    if any(segment in ("", ".", "..") for segment in key.split("/")):
        return "an empty, '.' or '..' segment"
    if any(character < " " or character == "\x7f" for character in key):
        return "a control character"
    return None


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
