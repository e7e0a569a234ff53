"""The Warehouse protocol: what the ingestion needs of a warehouse, and the one transaction that makes a load.

Subclasses say how to connect, how to create tables, how to read a gated file. Does not belong here: which objects to
load (``ingest/plan.py``), what a value must look like (``values.py``), the ledger's statements (``ledger.py``).
"""

import math
import time
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Self

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.rejects import RejectedRecord, count_within_tolerance, find_rejects
from netflix_assets.ingest.replay import KeptReject, Retry, stage_retry
from netflix_assets.ingest.validate import RefusedError, ValidatedFile, header_record
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.ledger import OPS_TABLES, Ledger, Load, RefusedObject, live_loads, slot_of
from netflix_assets.warehouse.profile import SAMPLE_ROWS, profile_insert
from netflix_assets.warehouse.relations import Relation, current_view, ddl, ops_ddl, raw_columns
from netflix_assets.warehouse.typing import Dialect


class WarehouseError(RuntimeError):
    """The warehouse cannot be used; the message says why and what to do."""


class HeldError(WarehouseError):
    """Another process holds the warehouse, or what is in it, and did not let go while it was waited for."""


@dataclass(frozen=True)
class StagedObject:
    """An object version and its gated local copy, ready to load.

    ``replaces`` is the load that stood in its place when it was planned: of its key, or of its overwrite dataset.
    """

    listed: ObjectVersion
    file: ValidatedFile
    replaces: int | None = None


class Committed(NamedTuple):
    """What came of a batch; ``overtaken`` are objects that another run loaded in another version meanwhile."""

    loads: list[Load]
    refused: list[RefusedObject]
    overtaken: list[ObjectVersion]


class Warehouse(Ledger):
    """A connection to a warehouse; a context manager that closes it."""

    dialect: Dialect  # how this warehouse spells what the shared SQL needs

    @abstractmethod
    def columns(self, schemas: Sequence[str]) -> dict[tuple[str, str], dict[str, str]]:
        """Columns and types, as the warehouse shows them, of the tables and views of these schemas; one statement.

        By (schema, table), in the columns' order; all names in lower case.
        """

    @abstractmethod
    def shown_type(self, kind: str) -> str:
        """How the warehouse shows a type that a table was made with."""

    @abstractmethod
    def can_widen(self, found: str, wanted: str) -> bool:
        """Whether a column of one type can become another in place, keeping every value; types as shown."""

    @abstractmethod
    def stage(self, dataset: Dataset, batch: Sequence[StagedObject]) -> None:
        """Bring the gated files to where ``insert_records`` reads them; outside any transaction.

        Raises: ObjectChangedError when what arrived is not what was gated.
        """

    @abstractmethod
    def insert_records(self, dataset: Dataset, staged: Mapping[int, StagedObject]) -> dict[int, int]:
        """Insert the records that keep the contract, under the _load_id that each object is given with.

        Returns the number of rows for each _load_id; one without a row may be missing.
        """

    @abstractmethod
    def data_fault(self, error: Exception) -> str | None:
        """What is wrong with the data when an error is their fault, None when anything else failed."""

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------- tables

    def prepare(self, dataset: Dataset) -> None:
        """Create the schemas, the ops tables, the raw table and its _current view where they are missing.

        Where the contract has changed since the table was made, new columns are added (null in rows loaded before) and
        types are widened. All of it is DDL, outside any load; where nothing is to be done it is one statement.
        Raises: WarehouseError when a type has changed so that values could be lost.
        """
        found = self.columns(("raw", "ops"))
        for schema in ("raw", "ops"):
            if not any(existing == schema for existing, _ in found):
                self.make_schema(schema)
        for statement in ops_ddl(found):
            self.execute(statement)
        wanted = raw_columns(dataset)
        if ("raw", dataset.table) not in found:
            self._make_lock(dataset)  # before the table: what has a table has a lock, wherever a crash comes between
            self.execute(ddl(f"raw.{dataset.table}", wanted))
            found["raw", dataset.table] = {name: self.shown_type(kind) for name, kind in wanted.items()}
        changes = list(self._contract_changes(dataset, wanted, found["raw", dataset.table]))
        if changes:  # a view stands in the way of changing its table
            self.execute(f"drop view if exists raw.{dataset.table}_current")
        for change in changes:
            self.execute(f"alter table raw.{dataset.table} {change}")
        if changes or list(found.get(("raw", f"{dataset.table}_current"), ())) != [*wanted, "_object_key"]:
            self.execute(current_view(dataset))

    def make_schema(self, schema: str) -> None:
        """Create a schema in which nothing was found, if it is missing."""
        self.execute(f"create schema if not exists {schema}")

    def _contract_changes(self, dataset: Dataset, wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
        for name, kind in wanted.items():
            shown = self.shown_type(kind)
            if name not in found:
                yield f"add column {name} {kind}"
            elif found[name] != shown and self.can_widen(found[name], shown):
                yield f"alter column {name} set data type {kind}"
            elif found[name] != shown:
                raise WarehouseError(
                    f"raw.{dataset.table}: column {name} is {found[name]}, the contract of {dataset.id} says {kind}, "
                    f"which cannot hold every value; load the dataset anew: netflix-assets rebuild {dataset.id}"
                )

    def describe(self, relations: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Relation]:
        """Row count, columns and types of tables and views, each given as (schema, name); two statements in all.

        Relations that do not exist are left out.
        """
        schemas = sorted({schema for schema, _ in relations})
        standing = self.columns(schemas) if schemas else {}
        found = {relation: columns for relation, columns in standing.items() if relation in relations}
        if not found:
            return {}
        counts = self.execute(
            " union all ".join(f"select '{schema}', '{name}', count(*) from {schema}.{name}" for schema, name in found)
        )
        return {(schema, name): Relation(int(rows), found[schema, name]) for schema, name, rows in counts}

    def forget_dataset(self, dataset: Dataset) -> None:
        """Drop the dataset's raw table and its ledger, so that the next run loads everything anew from the bucket.

        Load ids go on from where they were, so that incremental models see every row as new. The ledger goes first:
        killed in between, rows without a ledger are left, which count for nothing and go with the next time.
        """
        with self.transaction():
            for table in OPS_TABLES:
                if table != "load_locks":
                    self.execute(f"delete from ops.{table} where dataset = ?", (dataset.id,))
        self.execute(f"drop view if exists raw.{dataset.table}_current")
        self.execute(f"drop table if exists raw.{dataset.table}")

    # ---------------------------------------------------------------- loading

    def commit_loads(self, dataset: Dataset, batch: Sequence[StagedObject], run_id: str) -> Committed:
        """Load a batch of objects in ONE transaction with no DDL in it: rows, rejects, ledger, supersession.

        The dataset's lock row is taken first and the ledger read again under it, so that two runs load an object once
        and ``_load_id`` follows the order of commits. An object that the warehouse itself cannot read is found by
        halving the batch, and refused; the others load.
        """
        if not batch:
            return Committed([], [], [])
        try:
            self.stage(dataset, batch)
            return self._commit(dataset, batch, run_id)
        except Exception as error:
            fault = self.data_fault(error)
            if fault is None:
                raise
            if len(batch) == 1:
                reason = RefusedError(f"the warehouse cannot read it: {fault}")
                return Committed([], [self.refuse(dataset, batch[0].listed, reason, run_id)], [])
        middle = len(batch) // 2
        first, second = (self.commit_loads(dataset, half, run_id) for half in (batch[:middle], batch[middle:]))
        return Committed(first.loads + second.loads, first.refused + second.refused, first.overtaken + second.overtaken)

    def _commit(self, dataset: Dataset, batch: Sequence[StagedObject], run_id: str) -> Committed:
        loads: list[Load] = []
        refused: list[RefusedObject] = []
        started = time.monotonic()
        with self.transaction():
            last_id = self._lock(dataset)
            current = self.current_loads(dataset)
            loaded = {load.listed.version for load in current}
            standing = live_loads(dataset, current)
            missing = [staged for staged in batch if staged.listed.version not in loaded]
            wanted: list[StagedObject] = []
            overtaken: list[ObjectVersion] = []
            for each in missing:
                if standing.get(slot_of(dataset, each.listed)) == each.replaces:
                    wanted.append(each)
                else:
                    overtaken.append(each.listed)
            numbered = dict(enumerate(wanted, start=last_id + 1))
            counts = self.insert_records(dataset, numbered) if numbered else {}
            now, seconds = datetime.now(UTC), (time.monotonic() - started) / max(len(numbered), 1)
            for load_id, staged in numbered.items():
                rows_in, rows_loaded = staged.file.record_count, counts.get(load_id, 0)
                try:
                    rejected = self._keep_rejects(dataset, staged, load_id, rows_loaded, current)
                    loads.append(
                        Load(dataset.id, load_id, staged.listed, rows_in, rows_loaded, rejected, True, now, seconds)
                    )
                except RefusedError as error:
                    self._discard(dataset, load_id)
                    refused.append(self._quarantine(dataset, staged.listed, error, run_id))
            self._supersede(dataset, loads, current)
            headers = {load_id: header_record(staged.file.header, dataset) for load_id, staged in numbered.items()}
            self._record(dataset, [(load, headers[load.load_id]) for load in loads], run_id)
            self._profile(dataset, loads)
            self._unlock(dataset, last_id + len(numbered))
        return Committed(loads, refused, overtaken)

    def refuse(self, dataset: Dataset, listed: ObjectVersion, error: RefusedError, run_id: str) -> RefusedObject:
        """Park an object version that did not pass the gate."""
        with self.transaction():
            return self._quarantine(dataset, listed, error, run_id)

    def touch(self, dataset: Dataset, listed: ObjectVersion) -> None:
        """Note that the same bytes were put again later: which object is the newest depends on it."""
        with self.transaction():
            self._lock(dataset)
            self._touch(dataset, listed)

    def remove_deleted(self, dataset: Dataset, loads: Sequence[Load]) -> None:
        """Take the rows of loads whose objects have left the bucket out of the _current view; raw keeps them."""
        with self.transaction():
            self._lock(dataset)
            self._remove(dataset, loads)

    def replay_rejects(self, dataset: Dataset, run_id: str, folder: Path) -> list[Load]:
        """Try the rejected records of current loads again, under the contract of today, in one transaction.

        Those that pass become a new load for each load they came from, which is its parent. Returns the new loads.
        ``folder`` holds files for as long as this takes.

        Raises: WarehouseError when the loader does not take exactly the records that pass, or when another run has
        changed the dataset meanwhile; nothing has changed then.
        """
        retries = self._staged_retries(dataset, folder)
        if not retries:
            return []
        staged = [StagedObject(parent.listed, retry.file) for parent, retry in retries]
        self.stage(dataset, staged)
        with self.transaction():
            last_id = self._lock(dataset)
            self._assert_still_open(dataset, retries)
            numbered = dict(enumerate(staged, start=last_id + 1))
            counts = self.insert_records(dataset, numbered)
            replays = [
                self._replayed(dataset, parent, retry, load_id, counts.get(load_id, 0))
                for load_id, (parent, retry) in zip(numbered, retries, strict=True)
            ]
            headers = [header_record(each.file.header, dataset) for each in staged]
            self._record(dataset, list(zip(replays, headers, strict=True)), run_id)
            self._profile(dataset, replays)
            self._unlock(dataset, last_id + len(numbered))
        return replays

    def _staged_retries(self, dataset: Dataset, folder: Path) -> list[tuple[Load, Retry]]:
        retries = []
        for parent in self.current_loads(dataset):
            rejects = [KeptReject(*row) for row in self.open_rejects(dataset, parent)] if parent.rows_rejected else []
            if rejects:
                path = folder / f"{parent.load_id}.csv"
                retry = stage_retry(dataset, self.header_of(dataset, parent), rejects, path)
                if retry is not None:
                    retries.append((parent, retry))
        return retries

    def _assert_still_open(self, dataset: Dataset, retries: Sequence[tuple[Load, Retry]]) -> None:
        current = {load.load_id for load in self.current_loads(dataset)}
        for parent, retry in retries:
            still_open = {number for number, _ in self.open_rejects(dataset, parent)}
            if parent.load_id not in current or not still_open.issuperset(retry.record_numbers):
                raise WarehouseError(
                    f"{dataset.id}: another run has replaced or replayed {parent.listed.key} meanwhile; nothing was "
                    "changed. Try again"
                )

    def _replayed(self, dataset: Dataset, parent: Load, retry: Retry, load_id: int, loaded: int) -> Load:
        count = len(retry.record_numbers)
        if not loaded == count == retry.file.record_count:
            raise WarehouseError(
                f"{dataset.id}: {count:,} rejected records of {parent.listed.key} pass, but {loaded:,} would be "
                "loaded; nothing was changed. This is a fault of the loader: please report it with these records"
            )
        self._mark_replayed(dataset, parent, retry.record_numbers, load_id)
        return Load(dataset.id, load_id, parent.listed, count, loaded, 0, True, datetime.now(UTC), 0.0, parent.load_id)

    def forget_refusals(self, dataset: Dataset, versions: Collection[ObjectVersion]) -> list[RefusedObject]:
        """Forget that these object versions were refused or ignored, so that the next run judges them again.

        What was said of other versions stays, as history. Returns what was forgotten, in key order.
        """
        wanted = {listed.version for listed in versions}
        with self.transaction():
            self._lock(dataset)
            forgotten = [each for each in self.refused_objects(dataset) if each.listed.version in wanted]
            for each in forgotten:
                self._forget(dataset, each.listed)
        return forgotten

    def _keep_rejects(
        self, dataset: Dataset, staged: StagedObject, load_id: int, rows_loaded: int, current: Sequence[Load]
    ) -> int:
        """Keep the records that were not loaded. Raises: RefusedError when they are too many, or not what is missing.

        Only as many are read as are needed to know: the object is refused whole at the first one too many.
        """
        rows_in = staged.file.record_count
        missing = rows_in - rows_loaded
        if missing == 0:
            return 0
        rejects = find_rejects(staged.file, dataset)
        if dataset.mode == "overwrite":
            rejects = _of_a_whole_file(rejects)
        if rows_loaded == 0 and _would_replace(dataset, staged.listed, current):
            _refuse_if_none_passes(rejects, rows_in)
        if missing > dataset.tolerance.rejects_allowed(rows_in):
            kept = count_within_tolerance(rejects, dataset, rows_in)
        else:
            kept = self._keep(dataset, staged.listed, load_id, islice(rejects, max(missing, 0) + 1))
        if kept != missing:
            raise RefusedError(
                f"{rows_in:,} records came in, but {rows_loaded:,} would be loaded and {kept:,} rejected; nothing of "
                "the file was loaded. This is a fault of the loader: please report it with the file"
            )
        return kept

    def _profile(self, dataset: Dataset, loads: Sequence[Load]) -> None:
        """Profile loads of this transaction: all that need no sample together, the others one by one."""
        steps = {load.load_id: math.ceil(load.rows_loaded / SAMPLE_ROWS) for load in loads if load.rows_loaded}
        together = [load_id for load_id, step in steps.items() if step == 1]
        if together:
            self.execute(profile_insert(dataset, together, 1, self.dialect))
        for load_id, step in steps.items():
            if step > 1:
                self.execute(profile_insert(dataset, [load_id], step, self.dialect))

    def _discard(self, dataset: Dataset, load_id: int) -> None:
        # Rows of a load that was given up within this transaction: nobody has seen them.
        self.execute(f"delete from raw.{dataset.table} where _load_id = ?", (load_id,))
        self.execute("delete from ops.rejected_rows where dataset = ? and load_id = ?", (dataset.id, load_id))


def _would_replace(dataset: Dataset, listed: ObjectVersion, current: Iterable[Load]) -> bool:
    """Whether loading the object would supersede a load that has rows."""
    place = slot_of(dataset, listed)
    return any(load.rows_loaded and slot_of(dataset, load.listed) == place for load in current)


def _of_a_whole_file(rejects: Iterable[RejectedRecord]) -> Iterator[RejectedRecord]:
    # What comes after the cut is missing, and would go missing from a table that the file replaces.
    for reject in rejects:
        if reject.is_cut_off:
            raise RefusedError(
                f"line {reject.line_number}: {reject.reason}. A file that is the whole table is not loaded in part: "
                "send it again, whole"
            )
        yield reject


def _refuse_if_none_passes(rejects: Iterable[RejectedRecord], rows_in: int) -> None:
    # Bad input never costs good data: a version without one good record does not take the place of rows that are there.
    first = next(iter(rejects), None)
    if first is not None:
        raise RefusedError(
            f"none of its {rows_in:,} records keeps the contract, and the rows loaded before stay; the first at line "
            f"{first.line_number}: {first.reason}"
        )
