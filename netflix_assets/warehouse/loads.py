"""The objects a load passes through: a validated file, the ledger row it becomes, and what was kept out."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from netflix_assets.contracts.model import Dataset
from netflix_assets.storage.objects import ObjectVersion


@dataclass(frozen=True)
class ValidatedFile:
    """A local copy of an object that passed validation.

    ``original`` holds the object's own records and lines (decompressed, in UTF-8) and locates rejected records:
    ``header`` names its columns, and ``positions`` maps each contract column to its index there, None if it is absent.
    ``table`` is what to load. ``record_count`` excludes the header. ``compression``: the extension of the object's
    compression, whatever its key says; empty without one.
    """

    original: Path
    header: tuple[str, ...]
    positions: tuple[int | None, ...]
    table: "LoadableTable"
    record_count: int
    warnings: tuple[str, ...]
    compression: str = ""

    @property
    def path(self) -> Path:
        """The file to load."""
        return self.table.path


@dataclass(frozen=True)
class LoadableTable:
    """A file that all warehouses parse alike: UTF-8, a header, one kind of line end, no blank lines, RFC 4180 quotes.

    ``columns``: the index of each contract column in a record. ``width``: fields in a record. ``numeric`` is true when
    the records contain only digits, points, commas and line ends.
    """

    path: Path
    columns: tuple[int, ...]
    width: int
    delimiter: str
    numeric: bool = False


@dataclass(frozen=True)
class StagedObject:
    """An object version and its validated copy, ready to load.

    ``replaces`` is the load that filled its slot at planning time, if any.
    """

    listed: ObjectVersion
    file: ValidatedFile
    replaces: int | None = None


@dataclass(frozen=True)
class RejectedRecord:
    """A record that violates the contract and is kept out of the raw table.

    ``record_number`` starts at 1 after the header. ``line_number`` is its first line in the file, starting at 1 with
    the header. ``columns`` are the contract's names of the faulty columns; empty when the whole record is at fault.
    ``text`` is the record as written, without its line end. ``is_cut_off`` is true when the file seems to end inside
    the record. ``line_count``: what it counts for in the tolerance, which is the lines it covers unless it certainly is
    one record.
    """

    record_number: int
    line_number: int
    columns: tuple[str, ...]
    reason: str
    text: str
    is_cut_off: bool = False
    line_count: int = 1


@dataclass(frozen=True)
class Load:
    """One row of the ledger: one loaded object version. Times are UTC.

    ``parent_load_id`` is set when the load replays rejected records of an earlier load of the same object version. Its
    ``rows_in`` are then records that the parent counts as rejected and that pass now. ``rows_erased``: records of
    erased persons, which are not kept.
    """

    dataset: str
    load_id: int
    listed: ObjectVersion
    rows_in: int
    rows_loaded: int
    rows_rejected: int
    is_current: bool
    loaded_at: datetime
    seconds: float
    parent_load_id: int | None = None
    rows_erased: int = 0

    @property
    def is_replay(self) -> bool:
        """Whether the load replays rejected records instead of loading an object."""
        return self.parent_load_id is not None


# Start of the reason of an object that was refused because it cannot be read. Reading may work again without a new
# version: the object is restored, or a permission is granted.
UNREADABLE = "cannot be read: "


@dataclass(frozen=True)
class RefusedObject:
    """An object version that was not loaded: ``refused`` for a fault, ``ignored`` when it held no records."""

    dataset: str
    listed: ObjectVersion
    outcome: str
    reason: str

    @property
    def is_unreadable(self) -> bool:
        """Whether the object could not be read, so that its content is unknown."""
        return self.reason.startswith(UNREADABLE)


@dataclass(frozen=True)
class Counts:
    """The figures of a dataset that must agree, in rows.

    A load's figures change only when a person is erased. A replayed record stays among the rejects of its load and is
    marked with the load that replayed it.
    """

    unaccounted_loads: int  # loads with rows_in <> rows_loaded + rows_rejected + rows_erased
    ledger_rows: int  # rows_loaded of the current loads
    current_rows: int  # rows of the _current view
    rejected_rows: int  # rows_rejected of the current loads
    kept_rejects: int  # rows in ops.rejected_rows of the current loads
    replayed_rejects: int = 0  # those of them that a replay has loaded
    replay_rows: int = 0  # rows_loaded of the current loads that are replays

    @property
    def open_rejects(self) -> int:
        """Records of the current loads that are still kept out."""
        return self.kept_rejects - self.replayed_rejects


def slot_of(dataset: Dataset, listed: ObjectVersion) -> str:
    """The slot an object fills, with at most one current load: its key, or an overwrite dataset's whole table."""
    return "" if dataset.mode == "overwrite" else listed.key


def live_loads(dataset: Dataset, current: Iterable[Load]) -> dict[str, int]:
    """Slot -> the id of its live load; replays excluded."""
    return {slot_of(dataset, load.listed): load.load_id for load in current if not load.is_replay}


def fingerprint_of_loads(loads: Iterable[tuple[int, str, str]]) -> str:
    """An order-independent hash of a set of loads, given as (load id, object key, ETag)."""
    lines = (f"{load_id}\0{key}\0{etag}\n" for load_id, key, etag in sorted(loads))
    return hashlib.blake2b("".join(lines).encode(), digest_size=16).hexdigest()
