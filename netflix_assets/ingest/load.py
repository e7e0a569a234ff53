"""Load validated objects into a raw table: one transaction per batch writes rows, rejects and ledger together."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.fields import join_record
from netflix_assets.ingest.persons import names_person
from netflix_assets.ingest.rejects import find_rejects, within_tolerance
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.erasures import Erased, read_erased
from netflix_assets.warehouse.loads import Load, RefusedObject, RejectedRecord, StagedObject, live_loads, slot_of


@dataclass
class Committed:
    """The result of a batch. ``overtaken``: objects that another run has meanwhile loaded in a different version."""

    loads: list[Load] = field(default_factory=list)
    refused: list[RefusedObject] = field(default_factory=list)
    overtaken: list[ObjectVersion] = field(default_factory=list)

    def __add__(self, other: "Committed") -> "Committed":
        return Committed(self.loads + other.loads, self.refused + other.refused, self.overtaken + other.overtaken)


def commit_loads(dataset: Dataset, warehouse: Warehouse, batch: Sequence[StagedObject], run_id: str) -> Committed:
    """Load a batch of objects in ONE transaction without DDL: rows, rejects, ledger, supersession.

    The transaction locks the dataset and reads the ledger again, so two runs load an object once and ``_load_id``
    follows commit order. When the warehouse cannot read an object, the batch is halved until that object is found and
    refused; the others load.
    """
    if not batch:
        return Committed()

    def stage_and_commit() -> Committed:
        warehouse.stage(dataset, batch)
        return _commit(dataset, warehouse, batch, run_id)

    try:
        return warehouse.in_one_session(stage_and_commit)
    except Exception as error:  # any library's error may be the data's fault; all others are raised again
        fault = warehouse.data_fault(error)
        if fault is None:
            raise
        if len(batch) == 1:
            reason = RefusedError(f"the warehouse cannot read the file: {fault}")
            return Committed(refused=[refuse(dataset, warehouse, batch[0].listed, reason, run_id)])
    middle = len(batch) // 2
    first, second = (commit_loads(dataset, warehouse, half, run_id) for half in (batch[:middle], batch[middle:]))
    return first + second


def _commit(dataset: Dataset, warehouse: Warehouse, batch: Sequence[StagedObject], run_id: str) -> Committed:
    started = time.monotonic()
    with warehouse.transaction():
        last_id = warehouse.lock(dataset)
        current = warehouse.current_loads(dataset)
        wanted, overtaken = _still_wanted(dataset, batch, current)
        numbered = dict(enumerate(wanted, start=last_id + 1))
        erased = read_erased(warehouse, dataset)
        persons = erased.condition(dataset, warehouse.dialect)
        counts = warehouse.insert_records(dataset, numbered, persons) if numbered else {}
        left_out = warehouse.count_records(dataset, numbered, persons) if numbered and persons else {}
        now, seconds = datetime.now(UTC), (time.monotonic() - started) / max(len(numbered), 1)
        done = Committed(overtaken=overtaken)
        for load_id, staged in numbered.items():
            rows_in, rows_loaded = staged.file.record_count, counts.get(load_id, 0)
            valid = rows_loaded + left_out.get(load_id, 0)
            try:
                rejected = _keep_rejects(dataset, warehouse, staged, load_id, valid, current, erased)
                gone = rows_in - rows_loaded - rejected
                done.loads.append(
                    Load(
                        dataset.id, load_id, staged.listed, rows_in, rows_loaded, rejected, True, now, seconds,
                        rows_erased=gone,
                    )
                )  # fmt: skip
            except RefusedError as error:
                warehouse.discard_load(dataset, load_id)
                done.refused.append(_quarantine(dataset, warehouse, staged.listed, error, run_id))
        warehouse.supersede(dataset, done.loads, current)
        headers = {load_id: join_record(staged.file.header, dataset.dialect) for load_id, staged in numbered.items()}
        warehouse.record_loads(dataset, [(load, headers[load.load_id]) for load in done.loads], run_id)
        warehouse.profile_loads(dataset, done.loads)
        warehouse.store_last_load_id(dataset, last_id + len(numbered))
    return done


def _still_wanted(
    dataset: Dataset, batch: Sequence[StagedObject], current: Sequence[Load]
) -> tuple[list[StagedObject], list[ObjectVersion]]:
    """The objects still to load, and those that another run has meanwhile loaded in a different version."""
    loaded = {load.listed.version for load in current}
    live = live_loads(dataset, current)
    wanted: list[StagedObject] = []
    overtaken: list[ObjectVersion] = []
    for staged in batch:
        if staged.listed.version in loaded:
            continue
        if live.get(slot_of(dataset, staged.listed)) == staged.replaces:
            wanted.append(staged)
        else:
            overtaken.append(staged.listed)
    return wanted, overtaken


def refuse(
    dataset: Dataset, warehouse: Warehouse, listed: ObjectVersion, error: RefusedError, run_id: str
) -> RefusedObject:
    """Quarantine an object version that failed validation."""
    with warehouse.transaction():
        return _quarantine(dataset, warehouse, listed, error, run_id)


def _quarantine(
    dataset: Dataset, warehouse: Warehouse, listed: ObjectVersion, error: RefusedError, run_id: str
) -> RefusedObject:
    outcome = "ignored" if error.ignored else "refused"
    return warehouse.quarantine(dataset, listed, outcome, error.reason, run_id)


def update_last_modified(dataset: Dataset, warehouse: Warehouse, listed: ObjectVersion) -> None:
    """Record that the same bytes were uploaded again: the modification time decides which object is the newest."""
    with warehouse.transaction():
        warehouse.lock(dataset)
        warehouse.update_last_modified(dataset, listed)


def remove_deleted(dataset: Dataset, warehouse: Warehouse, loads: Sequence[Load]) -> None:
    """Take the rows of deleted objects out of the _current view; the raw table keeps them."""
    with warehouse.transaction():
        warehouse.lock(dataset)
        warehouse.mark_removed(dataset, loads)


def _keep_rejects(
    dataset: Dataset,
    warehouse: Warehouse,
    staged: StagedObject,
    load_id: int,
    rows_valid: int,
    current: Sequence[Load],
    erased: Erased,
) -> int:
    """Store the records that are not valid, except those of erased persons. Returns how many are stored.

    Reads only as many rejects as it needs: an object above its tolerance is refused at the first reject too many.

    Raises: RefusedError when there are too many, or when they do not explain the missing rows.
    """
    rows_in = staged.file.record_count
    missing = rows_in - rows_valid
    if missing == 0:
        return 0
    rejects = find_rejects(staged.file, dataset)
    if dataset.mode == "overwrite":
        rejects = _refuse_truncated(rejects)
    if 2 * rows_valid < rows_in and _would_supersede(dataset, staged.listed, current):
        _refuse_replacement(dataset, rejects, rows_in, missing)
    found = _Counted(within_tolerance(rejects, dataset, rows_in))
    kept = 0
    if missing > dataset.tolerance.rejects_allowed(rows_in):
        for _ in found:  # stops at the first one too many
            pass
    else:
        first = islice(found, max(missing, 0) + 1)
        kept = warehouse.keep_rejects(dataset, staged.listed, load_id, _without(erased, dataset, staged, first))
    if found.count != missing:
        raise RefusedError(
            f"{rows_in:,} records in, but {rows_valid:,} would be loaded and {found.count:,} rejected; nothing was "
            "loaded. This is a bug in the loader: please report it with the file"
        )
    return kept


def _without(
    erased: Erased, dataset: Dataset, staged: StagedObject, rejects: Iterable[RejectedRecord]
) -> Iterator[RejectedRecord]:
    """The rejects that name no erased person."""
    for reject in rejects:
        if not (erased and names_person(dataset, staged.file.header, reject.text, erased.covers)):
            yield reject


class _Counted:
    """Rejects, counted as they are read."""

    def __init__(self, rejects: Iterable[RejectedRecord]) -> None:
        self._rejects = rejects
        self.count = 0

    def __iter__(self) -> Iterator[RejectedRecord]:
        for reject in self._rejects:
            self.count += 1
            yield reject


def _would_supersede(dataset: Dataset, listed: ObjectVersion, current: Iterable[Load]) -> bool:
    """Whether loading the object would supersede a load that has rows."""
    slot = slot_of(dataset, listed)
    return any(load.rows_loaded and slot_of(dataset, load.listed) == slot for load in current)


def _refuse_truncated(rejects: Iterable[RejectedRecord]) -> Iterator[RejectedRecord]:
    # Records after the cut are missing from the file and would go missing from the table it replaces.
    for reject in rejects:
        if reject.is_cut_off:
            raise RefusedError(
                f"line {reject.line_number}: {reject.reason}. A truncated file cannot replace the whole table; "
                "upload it again, complete"
            )
        yield reject


def _refuse_replacement(dataset: Dataset, rejects: Iterable[RejectedRecord], rows_in: int, rejected: int) -> None:
    # Bad input never costs good data: a version that is mostly rejected does not supersede loaded rows.
    first = next(iter(rejects), None)
    if first is not None:
        subject = f"all {rows_in:,}" if rejected == rows_in else f"{rejected:,} of {rows_in:,}"
        raise RefusedError(
            f"{subject} records violate the contract; keeping the rows loaded earlier. First: "
            f"{dataset.position} {first.line_number}: {first.reason}"
        )
