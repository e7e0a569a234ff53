"""Bring one raw table level with the bucket: list, compare with the ledger, gate and load whatever is missing.

Level-triggered: it never loads "the file that an event named". Lost events, failed runs, duplicate events and crashes
all heal at the next call, and a call with nothing to do costs one listing and three small queries.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.decode import RefusedError
from netflix_assets.ingest.load import commit_loads, refuse, remove_deleted, update_last_modified
from netflix_assets.ingest.plan import Plan, plan_loads
from netflix_assets.ingest.scratch import scratch_folder
from netflix_assets.ingest.validate import validate
from netflix_assets.storage.objects import ObjectChangedError, ObjectStore, ObjectVersion, objects_of
from netflix_assets.storage.retries import BucketError
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.loads import Load, RefusedObject, StagedObject, slot_of

# One transaction takes so many objects or bytes, whichever comes first: one transaction an object costs 2-4 x as much
# (100 objects: 22.5 s against 6 s), and local copies of more than this would fill small disks. Snowflake's COPY takes
# at most 1,000 names.
BATCH_OBJECTS = 1_000
BATCH_BYTES = 256 * 2**20

# An object that changes between listing and reading is listed again so many times in all.
ROUNDS = 3

Log = Callable[[str], None]


@dataclass(frozen=True)
class SyncReport:
    """What one call found and did for a dataset.

    ``deleted``: loads whose object has left the bucket and whose rows stay; ``removed``: those whose rows went with it.
    ``unread``: objects still to load, which the bucket did not give; whoever asked must fail for them. ``bytes`` and
    ``seconds`` are of the new loads together.
    """

    dataset: Dataset
    listing: Sequence[ObjectVersion]
    loads: Sequence[Load] = ()
    refused: Sequence[RefusedObject] = ()
    deleted: Sequence[Load] = ()
    removed: Sequence[Load] = ()
    warnings: Sequence[str] = ()
    seconds: float = 0.0
    unread: Sequence[tuple[ObjectVersion, BucketError]] = ()

    @property
    def awaited(self) -> bool:
        """Whether no object of the dataset has arrived yet."""
        return not self.listing

    @property
    def bytes(self) -> int:
        """Size of the objects that were loaded, as they lie in the bucket."""
        return sum(load.listed.size for load in self.loads)

    @property
    def rows_loaded(self) -> int:
        """Rows that were added."""
        return sum(load.rows_loaded for load in self.loads)

    @property
    def rows_rejected(self) -> int:
        """Records that were kept out."""
        return sum(load.rows_rejected for load in self.loads)


@dataclass
class _Outcome:
    loads: list[Load] = field(default_factory=list)
    refused: list[RefusedObject] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    changed: list[ObjectChangedError] = field(default_factory=list)
    unread: list[tuple[ObjectVersion, BucketError]] = field(default_factory=list)


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
    """Load every live object version of the dataset that the ledger does not have as current.

    ``settle_seconds``: an object younger than this is waited for, because it may still be being copied (a local folder;
    on S3 a PUT is atomic, so 0).

    An object that cannot be read does not stop the others: it is in the report's ``unread``.

    Raises: ObjectChangedError when an object keeps changing while it is read; BucketError when the bucket cannot be
    listed; WarehouseError.
    """
    started = time.monotonic()
    warehouse.prepare(dataset)
    outcome = _Outcome()
    changes = 0
    while True:  # a round more for each change and each refusal, of which there are only so many
        listing = settled_listing(dataset, store, settle_seconds)
        plan = plan_loads(dataset, listing, warehouse.current_loads(dataset), warehouse.refused_objects(dataset))
        if plan.touched:
            update_last_modified(dataset, warehouse, plan.touched)
        outcome.changed.clear()
        outcome.refused.clear()
        outcome.unread.clear()
        _carry_out(plan, dataset, store, warehouse, run_id, work_folder, outcome, log)
        changes += bool(outcome.changed)
        if changes == ROUNDS:
            raise ObjectChangedError(f"{dataset.id}: {outcome.changed[0]}, in each of {ROUNDS} tries")
        # Where only the newest object counts and it was refused, the next one may be wanted.
        next_newest = dataset.mode == "overwrite" and outcome.refused and not outcome.loads
        if not outcome.changed and not next_newest:
            break
    refused = [*plan.refused, *outcome.refused]  # those of earlier rounds are in the last round's plan, if still there
    removed = _remove_deleted(plan, listing, dataset, warehouse, outcome)
    replaced = dataset.mode == "overwrite" and outcome.loads  # what was deleted is no part of the table any more
    deleted = [] if replaced else [load for load in plan.deleted if load not in removed]
    seconds = time.monotonic() - started
    return SyncReport(
        dataset, listing, outcome.loads, refused, deleted, removed, outcome.warnings, seconds, outcome.unread
    )


def _remove_deleted(
    plan: Plan, listing: Sequence[ObjectVersion], dataset: Dataset, warehouse: Warehouse, outcome: _Outcome
) -> Sequence[Load]:
    """Where the contract says so, the rows of deleted objects go; never because of a bucket that looks empty."""
    if dataset.deleted_objects == "keep" or not plan.deleted:
        return ()
    if not listing:
        outcome.warnings.append(
            f"no object is left under {dataset.key_prefix}; the rows stay, in case it is the bucket that is wrong. To "
            f"remove them: netflix-assets rebuild {dataset.id}"
        )
        return ()
    remove_deleted(dataset, warehouse, plan.deleted)
    outcome.warnings += [
        f"{load.listed.key} was deleted from the bucket; its {load.rows_loaded:,} rows were removed"
        for load in plan.deleted
    ]
    return plan.deleted


def settled_listing(dataset: Dataset, store: ObjectStore, settle_seconds: float) -> list[ObjectVersion]:
    """The dataset's objects, once the youngest of them has been unchanged for ``settle_seconds``."""
    while True:
        listing = objects_of(dataset, store)
        now = datetime.now(UTC)
        youngest = min(((now - listed.last_modified).total_seconds() for listed in listing), default=settle_seconds)
        # An object dated in the future (a clock that is off) cannot be waited for.
        if settle_seconds == 0 or not 0 <= youngest < settle_seconds:
            return listing
        time.sleep(settle_seconds - youngest)


_Validated = tuple[ObjectVersion, StagedObject | RefusedError | ObjectChangedError | BucketError]


def _carry_out(
    plan: Plan,
    dataset: Dataset,
    store: ObjectStore,
    warehouse: Warehouse,
    run_id: str,
    work_folder: Path,
    outcome: _Outcome,
    log: Log,
) -> None:
    with scratch_folder(work_folder) as folder:
        for batch in _validated_batches(plan.load, dataset, store, folder):
            _load_batch(dataset, warehouse, batch, plan.standing, run_id, outcome)
            log(
                f"{dataset.id}: {len(outcome.loads)} of {len(plan.load)} objects loaded, "
                f"{sum(load.rows_loaded for load in outcome.loads):,} rows"
            )


def _validated_batches(
    objects: Sequence[ObjectVersion], dataset: Dataset, store: ObjectStore, folder: Path
) -> Iterator[list[_Validated]]:
    """Batches of gated objects; the next batch is fetched while the caller loads this one."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="gate") as pool:
        ahead: Future[list[_Validated]] | None = None
        for batch in [*_batches(objects), None]:
            following = pool.submit(_validate_batch, dataset, store, batch, folder) if batch else None
            if ahead:
                yield ahead.result()
            ahead = following


def _batches(objects: Sequence[ObjectVersion]) -> list[list[ObjectVersion]]:
    batches: list[list[ObjectVersion]] = []
    size = 0
    for listed in objects:
        if not batches or len(batches[-1]) >= BATCH_OBJECTS or size + listed.size > BATCH_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(listed)
        size += listed.size
    return batches


def _validate_batch(
    dataset: Dataset, store: ObjectStore, batch: Sequence[ObjectVersion], folder: Path
) -> list[_Validated]:
    return [(listed, _gate(dataset, store, listed, folder)) for listed in batch]


def _gate(
    dataset: Dataset, store: ObjectStore, listed: ObjectVersion, folder: Path
) -> StagedObject | RefusedError | ObjectChangedError | BucketError:
    path = folder / f"{uuid.uuid4().hex}.csv"
    try:
        return StagedObject(listed, validate(store.read(listed), dataset, path))
    except (RefusedError, ObjectChangedError, BucketError) as error:
        path.unlink(missing_ok=True)
        return error


def _load_batch(
    dataset: Dataset,
    warehouse: Warehouse,
    batch: Sequence[_Validated],
    standing: Mapping[str, int],
    run_id: str,
    outcome: _Outcome,
) -> None:
    staged = [
        replace(gated, replaces=standing.get(slot_of(dataset, listed)))
        for listed, gated in batch
        if isinstance(gated, StagedObject)
    ]
    for listed, gated in batch:
        if isinstance(gated, RefusedError):
            outcome.refused.append(refuse(dataset, warehouse, listed, gated, run_id))
        elif isinstance(gated, ObjectChangedError):
            outcome.changed.append(gated)
        elif isinstance(gated, BucketError):
            outcome.unread.append((listed, gated))
    try:
        done = commit_loads(dataset, warehouse, staged, run_id)
    except ObjectChangedError as error:  # nothing of the batch is loaded; the next round has all of it
        outcome.changed.append(error)
        return
    outcome.loads += done.loads
    outcome.refused += done.refused
    outcome.changed += [
        ObjectChangedError(f"{listed.key} was loaded in another version by another run meanwhile")
        for listed in done.overtaken
    ]
    outcome.warnings += [f"{each.listed.key}: {warning}" for each in staged for warning in each.file.warnings]
    for each in staged:
        each.file.path.unlink(missing_ok=True)
        each.file.original.unlink(missing_ok=True)
