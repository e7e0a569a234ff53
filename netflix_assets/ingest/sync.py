"""Sync one raw table with the bucket: list objects, diff them against the ledger, validate and load what is missing.

Sync compares state instead of reacting to events, so the next run repairs lost events, failed runs, duplicates and
crashes. When nothing is new it costs one listing and three small queries.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.load import commit_loads, refuse, remove_deleted, update_last_modified
from netflix_assets.ingest.plan import Plan, plan_loads
from netflix_assets.ingest.replay import forget_refusals
from netflix_assets.ingest.validate import validate
from netflix_assets.storage.objects import ObjectChangedError, ObjectStore, ObjectVersion, objects_of
from netflix_assets.storage.retries import BucketError, UnreadableObjectError
from netflix_assets.storage.scratch import scratch_folder
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.loads import UNREADABLE, Load, RefusedObject, StagedObject, slot_of

# Commit in batches, capped by object count and by size. One transaction per object is 2-4x slower (100 objects: 22.5 s
# vs. 6 s), and the local copies of a larger batch would fill small disks. Snowflake's COPY takes at most 1,000 names.
BATCH_OBJECTS = 1_000
BATCH_BYTES = 256 * 2**20

# Objects that are read at the same time. Reading a small one is mostly waiting for the bucket, some 20 ms on S3.
READERS = 4

# Each run retries the objects that could not be read, and stops after this many failures. Each try is one request of
# some 20 ms.
MAX_STILL_UNREADABLE = 100

# Give up when objects change between listing and reading in this many rounds.
ROUNDS = 3

Log = Callable[[str], None]


@dataclass(frozen=True)
class SyncReport:
    """What one sync of a dataset found and did.

    ``deleted``: loads whose object has left the bucket and whose rows stay. ``removed``: loads whose rows were removed
    with their object. ``failed_reads``: objects still to load that could not be read; the caller must fail for them.
    ``seconds``: duration of the whole sync.
    """

    dataset: Dataset
    listing: Sequence[ObjectVersion]
    loads: Sequence[Load] = ()
    refused: Sequence[RefusedObject] = ()
    deleted: Sequence[Load] = ()
    removed: Sequence[Load] = ()
    warnings: Sequence[str] = ()
    seconds: float = 0.0
    failed_reads: Sequence[tuple[ObjectVersion, BucketError]] = ()

    @property
    def awaited(self) -> bool:
        """Whether the dataset has no object in the bucket."""
        return not self.listing

    @property
    def bytes(self) -> int:
        """Total size of the loaded objects in the bucket, compressed or not."""
        return sum(load.listed.size for load in self.loads)

    @property
    def rows_loaded(self) -> int:
        """Rows added by the new loads."""
        return sum(load.rows_loaded for load in self.loads)

    @property
    def rows_rejected(self) -> int:
        """Records rejected by the new loads."""
        return sum(load.rows_rejected for load in self.loads)


def sync(
    dataset: Dataset,
    store: ObjectStore,
    warehouse: Warehouse,
    run_id: str,
    *,
    work_folder: Path,
    settle_seconds: float = 0.0,
    log: Log = lambda _: None,
) -> SyncReport:
    """Load every object version in the bucket that is not a current load in the ledger.

    ``settle_seconds``: wait until objects are at least this old, because a younger one may still be being copied (into
    a local folder; on S3 a PUT is atomic, so 0).

    An object that cannot be read does not stop the others. If the fault is its own (archived, denied, an impossible
    key), it is refused; otherwise it is listed in the report's ``failed_reads``.

    Raises: ObjectChangedError when an object keeps changing while it is read; BucketError when the bucket cannot be
    listed; WarehouseError.
    """
    started = time.monotonic()
    warehouse.prepare(dataset)
    run = _Sync(dataset, store, warehouse, run_id, work_folder, log)
    rounds_with_changes = 0
    while True:  # ends: each further round needs another changed or refused object
        listing = settled_listing(dataset, store, settle_seconds)
        plan = run.load_missing(listing)
        rounds_with_changes += bool(run.changed)
        if rounds_with_changes == ROUNDS:
            raise ObjectChangedError(f"{dataset.id}: {run.changed[0]}; gave up after {ROUNDS} tries")
        # When the newest object of an overwrite dataset is refused, the next newest may have to be loaded.
        falls_back = dataset.mode == "overwrite" and run.refused and not run.loads
        if not run.changed and not falls_back:
            break
    removed = run.remove_deleted(plan, listing)
    is_replaced = dataset.mode == "overwrite" and run.loads  # a deleted object is no longer part of the table
    return SyncReport(
        dataset,
        listing,
        loads=run.loads,
        refused=[*plan.refused, *run.refused],  # the last plan includes refusals of earlier rounds
        deleted=[] if is_replaced else [load for load in plan.deleted if load not in removed],
        removed=removed,
        warnings=run.warnings,
        seconds=time.monotonic() - started,
        failed_reads=run.failed_reads,
    )


def settled_listing(dataset: Dataset, store: ObjectStore, settle_seconds: float) -> list[ObjectVersion]:
    """The dataset's objects, once the youngest has been unchanged for ``settle_seconds``."""
    while True:
        listing = objects_of(dataset, store)
        now = datetime.now(UTC)
        ages = ((now - listed.last_modified).total_seconds() for listed in listing)
        # Do not wait for an object dated in the future: a clock is wrong.
        youngest = min((age for age in ages if age >= 0), default=settle_seconds)
        if youngest >= settle_seconds:
            return listing
        time.sleep(settle_seconds - youngest)


@dataclass
class _Sync:
    """The rounds of one sync. Each lists the bucket again and loads what is not in the ledger.

    ``loads`` and ``warnings`` add up over all rounds; ``refused``, ``changed`` and ``failed_reads`` are those of the
    last round.
    """

    dataset: Dataset
    store: ObjectStore
    warehouse: Warehouse
    run_id: str
    work_folder: Path
    log: Log
    loads: list[Load] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: list[RefusedObject] = field(default_factory=list)
    changed: list[ObjectChangedError] = field(default_factory=list)
    failed_reads: list[tuple[ObjectVersion, BucketError]] = field(default_factory=list)
    is_retried: bool = False

    def load_missing(self, listing: Sequence[ObjectVersion]) -> Plan:
        """Plan one round and load its objects. Returns the plan."""
        dataset, warehouse = self.dataset, self.warehouse
        refused: Sequence[RefusedObject] = warehouse.refused_objects(dataset)
        if not self.is_retried:  # once in a sync: an object that fails later on would start rounds without end
            self.is_retried = True
            refused = self._without_readable(refused, listing)
        plan = plan_loads(dataset, listing, warehouse.current_loads(dataset), refused)
        if plan.reuploaded:
            update_last_modified(dataset, warehouse, plan.reuploaded)
        self.refused, self.changed, self.failed_reads = [], [], []
        wanted = len(self.loads) + len(plan.load)
        with scratch_folder(self.work_folder) as folder:
            for batch in _validated_batches(plan.load, dataset, self.store, folder):
                self._load_batch(batch, plan.live)
                self.log(
                    f"{dataset.id}: {len(self.loads)} of {wanted} objects loaded, "
                    f"{sum(load.rows_loaded for load in self.loads):,} rows"
                )
        return plan

    def _without_readable(
        self, refused: Sequence[RefusedObject], listing: Sequence[ObjectVersion]
    ) -> Sequence[RefusedObject]:
        """The refusals that remain. Those of objects that can be read now, and could not before, are forgotten."""
        unreadable = {each.listed.version for each in refused if each.is_unreadable}
        readable, failures = [], 0
        for listed in listing:
            if listed.version in unreadable and failures < MAX_STILL_UNREADABLE:
                try:
                    next(self.store.read(listed), None)
                    readable.append(listed)
                except (ObjectChangedError, BucketError):
                    failures += 1
        forgotten = forget_refusals(self.dataset, self.warehouse, readable) if readable else ()
        return [each for each in refused if each not in forgotten]

    def _load_batch(self, batch: Sequence["_Validated"], live: Mapping[str, int]) -> None:
        staged: list[StagedObject] = []
        for listed, result in batch:
            match result:
                case StagedObject():
                    staged.append(replace(result, replaces=live.get(slot_of(self.dataset, listed))))
                case RefusedError():
                    self.refused.append(refuse(self.dataset, self.warehouse, listed, result, self.run_id))
                case UnreadableObjectError():
                    reason = RefusedError(f"{UNREADABLE}{result.cause}")
                    self.refused.append(refuse(self.dataset, self.warehouse, listed, reason, self.run_id))
                case ObjectChangedError():
                    self.changed.append(result)
                case BucketError():
                    self.failed_reads.append((listed, result))
        try:
            committed = commit_loads(self.dataset, self.warehouse, staged, self.run_id)
        except ObjectChangedError as error:  # nothing of this batch is loaded; the next round loads all of it
            self.changed.append(error)
            return
        self.loads += committed.loads
        self.refused += committed.refused
        self.changed += [
            ObjectChangedError(f"{listed.key}: another run has loaded a different version meanwhile")
            for listed in committed.overtaken
        ]
        self.warnings += [f"{each.listed.key}: {warning}" for each in staged for warning in each.file.warnings]
        for each in staged:
            each.file.path.unlink(missing_ok=True)
            each.file.original.unlink(missing_ok=True)

    def remove_deleted(self, plan: Plan, listing: Sequence[ObjectVersion]) -> Sequence[Load]:
        """Remove the rows of deleted objects if the contract says so, but never because the bucket looks empty."""
        if self.dataset.deleted_objects == "keep" or not plan.deleted:
            return ()
        if not listing:
            self.warnings.append(
                f"no objects left under {self.dataset.key_prefix}; keeping the rows in case the bucket is wrong. "
                f"To remove them: netflix-assets rebuild {self.dataset.id}"
            )
            return ()
        remove_deleted(self.dataset, self.warehouse, plan.deleted)
        self.warnings += [
            f"{load.listed.key} was deleted from the bucket; removed its {load.rows_loaded:,} rows"
            for load in plan.deleted
        ]
        return plan.deleted


_ValidationResult = StagedObject | RefusedError | ObjectChangedError | BucketError
_Validated = tuple[ObjectVersion, _ValidationResult]


def _validated_batches(
    objects: Sequence[ObjectVersion], dataset: Dataset, store: ObjectStore, folder: Path
) -> Iterator[list[_Validated]]:
    """Batches of validated objects. While the caller loads one batch, the next is fetched and validated."""
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="validate")
    try:
        ahead: list[tuple[ObjectVersion, Future[_ValidationResult]]] = []
        for batch in [*_split_batches(objects), ()]:
            following = [(each, pool.submit(_validate_object, dataset, store, each, folder)) for each in batch]
            if ahead:
                yield [(listed, future.result()) for listed, future in ahead]
            ahead = following
    finally:  # when the caller stops, drop what has not begun
        pool.shutdown(cancel_futures=True)


def _split_batches(objects: Sequence[ObjectVersion]) -> list[list[ObjectVersion]]:
    batches: list[list[ObjectVersion]] = []
    size = 0
    for listed in objects:
        if not batches or len(batches[-1]) >= BATCH_OBJECTS or size + listed.size > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(listed)
        size += listed.size
    return batches


def _validate_object(dataset: Dataset, store: ObjectStore, listed: ObjectVersion, folder: Path) -> _ValidationResult:
    path = folder / f"{uuid.uuid4().hex}.csv"
    try:
        return StagedObject(listed, validate(store.read(listed), dataset, path))
    except (RefusedError, ObjectChangedError, BucketError) as error:
        path.unlink(missing_ok=True)
        return error
