"""The Warehouse protocol: what the ingestion needs of a warehouse, and the ledger statements that all of them share.

Belongs here: the tables of ``ops``, the one transaction that makes a load, what can be asked of the ledger. Subclasses
say how to connect, how to create tables and how to read a gated file. Does not belong here: which objects to load
(``ingest/plan.py``), what a value must look like (``values.py``).
"""

import math
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

from netflix_assets.contract import Dataset
from netflix_assets.ingest.gate import GatedFile, RefusedError, header_record
from netflix_assets.ingest.objects import ObjectVersion
from netflix_assets.ingest.rejects import RejectedRecord, count_within_tolerance, find_rejects
from netflix_assets.ingest.replay import KeptReject, Retry, stage_retry
from netflix_assets.warehouse.profile import SAMPLE_ROWS, ColumnProfile, profile_insert
from netflix_assets.warehouse.typing import Dialect

T = TypeVar("T")

# One statement inserts so many rows of ops: one at a time costs seven times as much (DuckDB, 20,000 rejects: 17 s
# against 2.5 s; more at once are no faster).
ROWS_PER_INSERT = 500

# Names, types (spelled as both warehouses understand them) and order of the columns of each ops table.
OPS_TABLES: Mapping[str, Mapping[str, str]] = {
    "loads": {
        "dataset": "varchar", "load_id": "integer", "parent_load_id": "integer", "bucket": "varchar",
        "object_key": "varchar", "etag": "varchar", "size_bytes": "bigint", "last_modified": "timestamp",
        "rows_in": "bigint", "rows_loaded": "bigint", "rows_rejected": "bigint", "is_current": "boolean",
        "superseded_by": "integer", "loaded_at": "timestamp", "load_seconds": "double", "run_id": "varchar",
        "header": "varchar",
    },
    "rejected_rows": {
        "dataset": "varchar", "load_id": "integer", "object_key": "varchar", "record_number": "bigint",
        "line_number": "bigint", "column_name": "varchar", "reason": "varchar", "raw_text": "varchar",
        "replayed_by": "integer",
    },
    "refused_objects": {
        "dataset": "varchar", "bucket": "varchar", "object_key": "varchar", "etag": "varchar", "size_bytes": "bigint",
        "last_modified": "timestamp", "outcome": "varchar", "reason": "varchar", "refused_at": "timestamp",
        "run_id": "varchar",
    },
    "profiles": {
        "dataset": "varchar", "load_id": "integer", "column_name": "varchar", "row_count": "bigint",
        "sampled_rows": "bigint", "null_share": "double", "approx_distinct": "bigint", "min_value": "varchar",
        "max_value": "varchar", "mean": "double", "p25": "double", "p50": "double", "p75": "double",
    },
    "load_locks": {"dataset": "varchar", "last_load_id": "integer"},
}  # fmt: skip


class WarehouseError(RuntimeError):
    """The warehouse cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Load:
    """One row of the ledger: one object version that was loaded. Times are UTC.

    ``parent_load_id`` is set where the load replays rejected records of an earlier load of the same object version:
    its ``rows_in`` are then records that the parent counts among its ``rows_rejected``, and that pass now.
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

    @property
    def is_replay(self) -> bool:
        """Whether it brought rejected records of another load rather than an object."""
        return self.parent_load_id is not None


@dataclass(frozen=True)
class RefusedObject:
    """An object version that was not loaded: ``refused`` for a fault, ``ignored`` when it held no records."""

    dataset: str
    listed: ObjectVersion
    outcome: str
    reason: str


@dataclass(frozen=True)
class StagedObject:
    """An object version and its gated local copy, ready to load."""

    listed: ObjectVersion
    file: GatedFile


@dataclass(frozen=True)
class Counts:
    """The figures that must agree for a dataset, in rows.

    A load's figures never change: a record that is replayed stays among the rejects that its load counted and keeps,
    marked there with the load that took it up.
    """

    unaccounted_loads: int  # loads of which rows_in is not rows_loaded + rows_rejected
    ledger_rows: int  # rows_loaded of the current loads
    current_rows: int  # rows of the _current view
    rejected_rows: int  # rows_rejected of the current loads
    kept_rejects: int  # rows in ops.rejected_rows of the current loads
    replayed_rejects: int = 0  # those of them that a replay has loaded since
    replay_rows: int = 0  # rows_in of the current loads that are replays

    @property
    def open_rejects(self) -> int:
        """Records of the current loads that are still kept out."""
        return self.kept_rejects - self.replayed_rejects


@dataclass(frozen=True)
class Relation:
    """A table or view as it stands: its rows, and its columns with their types in order."""

    row_count: int
    columns: Mapping[str, str]


class Warehouse(ABC):
    """A connection to a warehouse; a context manager that closes it.

    Statements use ``?`` for values. Identifiers come from contracts, which allow nothing but snake_case.
    """

    dialect: Dialect  # how this warehouse spells what the shared SQL needs

    @abstractmethod
    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """One transaction: committed when the block ends, rolled back when it raises."""

    @abstractmethod
    def prepare(self, dataset: Dataset) -> None:
        """Create the schemas, the ops tables, the raw table and its _current view where they are missing."""

    @abstractmethod
    def insert_records(self, dataset: Dataset, staged: StagedObject, load_id: int) -> int:
        """Insert the records that keep the contract, with this _load_id. Returns how many there were."""

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------- asking the ledger

    def loads(self, dataset: Dataset) -> list[Load]:
        """The dataset's loads, oldest first."""
        rows = self.execute(
            """
            select dataset, load_id, bucket, object_key, etag, size_bytes, last_modified, rows_in, rows_loaded,
                rows_rejected, is_current, loaded_at, load_seconds, parent_load_id
            from ops.loads where dataset = ? order by load_id
            """,
            (dataset.id,),
        )
        return [
            Load(
                row[0],
                row[1],
                _object_version(row[2:7]),
                row[7],
                row[8],
                row[9],
                row[10],
                _utc(row[11]),
                row[12],
                row[13],
            )
            for row in rows
        ]

    def current_loads(self, dataset: Dataset) -> list[Load]:
        """The loads whose rows make up the dataset now."""
        return [load for load in self.loads(dataset) if load.is_current]

    def refused_objects(self, dataset: Dataset) -> list[RefusedObject]:
        """All versions that were refused or ignored and whose object has not been loaded since, live or not."""
        rows = self.execute(
            """
            select dataset, bucket, object_key, etag, size_bytes, last_modified, outcome, reason
            from ops.refused_objects as refused
            where dataset = ? and not exists (
                select 1 from ops.loads as loads
                where loads.dataset = refused.dataset and loads.object_key = refused.object_key
                    and loads.loaded_at > refused.refused_at
            )
            order by object_key
            """,
            (dataset.id,),
        )
        return [RefusedObject(row[0], _object_version(row[1:6]), row[6], row[7]) for row in rows]

    def rejected_rows(self, dataset: Dataset | None = None) -> list[dict[str, Any]]:
        """Rejected records of current loads that no replay has loaded, in file order.

        ``header`` is the header record of the object they stand in.
        """
        names = [name for name in OPS_TABLES["rejected_rows"] if name != "replayed_by"]
        columns = ", ".join([*(f"rejects.{name}" for name in names), "loads.header"])
        condition, parameters = ("", ()) if dataset is None else ("and rejects.dataset = ?", (dataset.id,))
        rows = self.execute(
            f"""
            select {columns}
            from ops.rejected_rows as rejects
            inner join ops.loads as loads
                on rejects.dataset = loads.dataset and rejects.load_id = loads.load_id and loads.is_current
            where rejects.replayed_by is null {condition}
            order by rejects.dataset, rejects.object_key, rejects.record_number
            """,
            parameters,
        )
        return [dict(zip([*names, "header"], row, strict=True)) for row in rows]

    def profiles(self, dataset: Dataset, load_ids: Collection[int]) -> list[ColumnProfile]:
        """The profiles of these loads, by load and in the contract's order of columns.

        A load without rows has none, nor have loads and columns from before there were profiles.
        """
        if not load_ids:
            return []
        names = [name for name in OPS_TABLES["profiles"] if name != "dataset"]
        rows = self.execute(
            f"""
            select {", ".join(names)} from ops.profiles
            where dataset = ? and load_id between ? and ?
            """,
            (dataset.id, min(load_ids), max(load_ids)),
        )
        order = {column.name: at for at, column in enumerate(dataset.columns)}
        found = [ColumnProfile(*row) for row in rows if row[0] in load_ids and row[1] in order]
        return sorted(found, key=lambda profile: (profile.load_id, order[profile.column]))

    def counts(self, dataset: Dataset) -> Counts:
        """The figures of the reconciliation, each counted where it stands."""
        ledger = self.execute(
            """
            select
                coalesce(sum(case when rows_in <> rows_loaded + rows_rejected then 1 end), 0),
                coalesce(sum(case when is_current then rows_loaded end), 0),
                coalesce(sum(case when is_current then rows_rejected end), 0),
                coalesce(sum(case when is_current and parent_load_id is not null then rows_in end), 0)
            from ops.loads where dataset = ?
            """,
            (dataset.id,),
        )[0]
        current_rows = self.execute(f"select count(*) from raw.{dataset.table}_current")[0][0]
        kept = self.execute(
            """
            select count(*), count(rejects.replayed_by) from ops.rejected_rows as rejects
            inner join ops.loads as loads on rejects.dataset = loads.dataset and rejects.load_id = loads.load_id
            where rejects.dataset = ? and loads.is_current
            """,
            (dataset.id,),
        )[0]
        figures = (ledger[0], ledger[1], current_rows, ledger[2], *kept, ledger[3])
        return Counts(*map(int, figures))

    def describe(self, relations: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Relation]:
        """Row count, columns and types of tables and views, each given as (schema, name); two statements in all.

        Relations that do not exist are left out.
        """
        found: dict[tuple[str, str], dict[str, str]] = {}
        for schema, name, column, kind in self.execute(
            """
            select lower(table_schema), lower(table_name), lower(column_name), lower(data_type)
            from information_schema.columns order by table_schema, table_name, ordinal_position
            """
        ):
            if (schema, name) in relations:
                found.setdefault((schema, name), {})[column] = kind
        if not found:
            return {}
        counts = self.execute(
            " union all ".join(f"select '{schema}', '{name}', count(*) from {schema}.{name}" for schema, name in found)
        )
        return {(schema, name): Relation(int(rows), found[schema, name]) for schema, name, rows in counts}

    def _ops_columns(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for table, column in self.execute(
            "select lower(table_name), lower(column_name) from information_schema.columns "
            "where lower(table_schema) = 'ops'"
        ):
            found.setdefault(table, []).append(column)
        return found

    def forget_dataset(self, dataset: Dataset) -> None:
        """Drop the dataset's raw table and its ledger, so that the next run loads everything anew from the bucket.

        Load ids go on from where they were, so that incremental models see every row as new.
        """
        self.execute(f"drop view if exists raw.{dataset.table}_current")
        self.execute(f"drop table if exists raw.{dataset.table}")
        for table in OPS_TABLES:
            if table != "load_locks":
                self.execute(f"delete from ops.{table} where dataset = ?", (dataset.id,))

    # ---------------------------------------------------------------- loading

    def commit_loads(
        self, dataset: Dataset, batch: Sequence[StagedObject], run_id: str
    ) -> tuple[list[Load], list[RefusedObject]]:
        """Load a batch of objects in ONE transaction with no DDL in it: rows, rejects, ledger, supersession.

        The dataset's lock row is taken first and the ledger read again under it, so that two runs load an object once
        and ``_load_id`` follows the order of commits. Returns the new loads and the objects that had to be refused.
        """
        loads: list[Load] = []
        refused: list[RefusedObject] = []
        with self.transaction():
            last_id = self._lock(dataset)
            loaded = {load.listed.version for load in self.current_loads(dataset)}
            for staged in batch:
                if staged.listed.version in loaded:
                    continue
                try:
                    loads.append(self._load(dataset, staged, last_id + 1, run_id))
                    last_id += 1
                except RefusedError as error:
                    self._discard(dataset, last_id + 1)
                    refused.append(self._park(dataset, staged.listed, error, run_id))
            self._profile(dataset, loads)
            self.execute("update ops.load_locks set last_load_id = ? where dataset = ?", (last_id, dataset.id))
        return loads, refused

    def refuse(self, dataset: Dataset, listed: ObjectVersion, error: RefusedError, run_id: str) -> RefusedObject:
        """Park an object version that did not pass the gate."""
        with self.transaction():
            return self._park(dataset, listed, error, run_id)

    def replay_rejects(self, dataset: Dataset, run_id: str, folder: Path) -> list[Load]:
        """Try the rejected records of current loads again, under the contract of today, in one transaction.

        Those that pass become a new load for each load they came from, which is its parent. Returns the new loads.
        ``folder`` holds files for as long as this takes.

        Raises: WarehouseError when the loader does not take exactly the records that pass; nothing has changed then.
        """
        replays: list[Load] = []
        with self.transaction():
            last_id = self._lock(dataset)
            for parent in self.current_loads(dataset):
                retry = self._staged_retry(dataset, parent, folder / f"{parent.load_id}.csv")
                if retry is not None:
                    last_id += 1
                    replays.append(self._replay(dataset, parent, retry, last_id, run_id))
            self._profile(dataset, replays)
            self.execute("update ops.load_locks set last_load_id = ? where dataset = ?", (last_id, dataset.id))
        return replays

    def _staged_retry(self, dataset: Dataset, parent: Load, path: Path) -> Retry | None:
        if parent.rows_rejected == 0:
            return None
        rows = self.execute(
            """
            select record_number, raw_text from ops.rejected_rows
            where dataset = ? and load_id = ? and replayed_by is null order by record_number
            """,
            (dataset.id, parent.load_id),
        )
        header = self.execute(
            "select header from ops.loads where dataset = ? and load_id = ?", (dataset.id, parent.load_id)
        )[0][0]
        return stage_retry(dataset, header, [KeptReject(*row) for row in rows], path)

    def _replay(self, dataset: Dataset, parent: Load, retry: Retry, load_id: int, run_id: str) -> Load:
        started = time.monotonic()
        count = len(retry.record_numbers)
        loaded = self.insert_records(dataset, StagedObject(parent.listed, retry.file), load_id)
        if not loaded == count == retry.file.record_count:
            raise WarehouseError(
                f"{dataset.id}: {count:,} rejected records of {parent.listed.key} pass, but {loaded:,} would be "
                "loaded; nothing was changed. This is a fault of the loader: please report it with these records"
            )
        for numbers in in_chunks(retry.record_numbers, ROWS_PER_INSERT):
            self.execute(
                f"""
                update ops.rejected_rows set replayed_by = ?
                where dataset = ? and load_id = ? and record_number in ({", ".join("?" for _ in numbers)})
                """,
                (load_id, dataset.id, parent.load_id, *numbers),
            )
        seconds = time.monotonic() - started
        now = datetime.now(UTC)
        load = Load(dataset.id, load_id, parent.listed, count, loaded, 0, True, now, seconds, parent.load_id)
        self._record(dataset, load, retry.file, run_id)
        return load

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

    def _lock(self, dataset: Dataset) -> int:
        self.execute("update ops.load_locks set last_load_id = last_load_id where dataset = ?", (dataset.id,))
        return int(self.execute("select last_load_id from ops.load_locks where dataset = ?", (dataset.id,))[0][0])

    def _load(self, dataset: Dataset, staged: StagedObject, load_id: int, run_id: str) -> Load:
        started = time.monotonic()
        listed, rows_in = staged.listed, staged.file.record_count
        rows_loaded = self.insert_records(dataset, staged, load_id)
        rows_rejected = self._keep_rejects(dataset, staged, load_id, rows_loaded)
        self._supersede(dataset, listed, load_id)
        seconds = time.monotonic() - started
        load = Load(dataset.id, load_id, listed, rows_in, rows_loaded, rows_rejected, True, datetime.now(UTC), seconds)
        self._record(dataset, load, staged.file, run_id)
        return load

    def _record(self, dataset: Dataset, load: Load, file: GatedFile, run_id: str) -> None:
        self._insert(
            "loads",
            {
                **_object_columns(dataset, load.listed),
                "load_id": load.load_id,
                "parent_load_id": load.parent_load_id,
                "rows_in": load.rows_in,
                "rows_loaded": load.rows_loaded,
                "rows_rejected": load.rows_rejected,
                "is_current": load.is_current,
                "loaded_at": _naive(load.loaded_at),
                "load_seconds": load.seconds,
                "run_id": run_id,
                "header": header_record(file.header, dataset),
            },
        )

    def _keep_rejects(self, dataset: Dataset, staged: StagedObject, load_id: int, rows_loaded: int) -> int:
        """Keep the records that were not loaded. Raises: RefusedError when they are too many, or not what is missing.

        Only as many are read as are needed to know: the object is refused whole at the first one too many.
        """
        rows_in = staged.file.record_count
        missing = rows_in - rows_loaded
        if missing == 0:
            return 0
        rejects = find_rejects(staged.file, dataset)
        if rows_loaded == 0 and self._would_replace(dataset, staged.listed):
            _refuse_if_none_passes(rejects, rows_in)
        if missing > dataset.tolerance.rejects_allowed(rows_in):
            kept = count_within_tolerance(rejects, dataset, rows_in)
        else:
            kept = self._insert_many(
                "rejected_rows",
                (
                    _reject_columns(dataset, staged.listed, load_id, each)
                    for each in islice(rejects, max(missing, 0) + 1)
                ),
            )
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

    def _would_replace(self, dataset: Dataset, listed: ObjectVersion) -> bool:
        """Whether loading the object would supersede a load that has rows."""
        return any(
            load.rows_loaded and (dataset.mode == "overwrite" or load.listed.key == listed.key)
            for load in self.current_loads(dataset)
        )

    def _supersede(self, dataset: Dataset, listed: ObjectVersion, load_id: int) -> None:
        same_object, parameters = ("", ()) if dataset.mode == "overwrite" else ("and object_key = ?", (listed.key,))
        self.execute(
            f"""
            update ops.loads set is_current = false, superseded_by = ?
            where dataset = ? and is_current {same_object}
            """,
            (load_id, dataset.id, *parameters),
        )

    def _park(self, dataset: Dataset, listed: ObjectVersion, error: RefusedError, run_id: str) -> RefusedObject:
        outcome = "ignored" if error.ignored else "refused"
        self._forget(dataset, listed)
        self._insert(
            "refused_objects",
            {
                **_object_columns(dataset, listed),
                "outcome": outcome,
                "reason": error.reason,
                "refused_at": _naive(datetime.now(UTC)),
                "run_id": run_id,
            },
        )
        return RefusedObject(dataset.id, listed, outcome, error.reason)

    def _forget(self, dataset: Dataset, listed: ObjectVersion) -> None:
        self.execute(
            "delete from ops.refused_objects where dataset = ? and bucket = ? and object_key = ? and etag = ?",
            (dataset.id, *listed.version),
        )

    def _discard(self, dataset: Dataset, load_id: int) -> None:
        # Rows of a load that was given up within this transaction: nobody has seen them.
        self.execute(f"delete from raw.{dataset.table} where _load_id = ?", (load_id,))
        self.execute("delete from ops.rejected_rows where dataset = ? and load_id = ?", (dataset.id, load_id))

    def _insert(self, table: str, row: Mapping[str, object]) -> None:
        self._insert_many(table, [row])

    def _insert_many(self, table: str, rows: Iterable[Mapping[str, object]]) -> int:
        """Insert rows of the same columns, many with one statement. Returns how many there were."""
        count = 0
        for chunk in in_chunks(rows, ROWS_PER_INSERT):
            values = ", ".join(f"({', '.join('?' for _ in row)})" for row in chunk)
            self.execute(
                f"insert into ops.{table} ({', '.join(chunk[0])}) values {values}",
                [value for row in chunk for value in row.values()],
            )
            count += len(chunk)
        return count


def _refuse_if_none_passes(rejects: Iterable[RejectedRecord], rows_in: int) -> None:
    # Bad input never costs good data: a version without one good record does not take the place of rows that are there.
    first = next(iter(rejects), None)
    if first is not None:
        raise RefusedError(
            f"none of its {rows_in:,} records keeps the contract, and the rows loaded before stay; the first at line "
            f"{first.line_number}: {first.reason}"
        )


def ddl(table: str, columns: Mapping[str, str]) -> str:
    """The statement that creates a table where it is missing."""
    return f"create table if not exists {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"


def ops_ddl(found: Mapping[str, Collection[str]]) -> Iterator[str]:
    """The statements that add what the ops tables lack; ``found``: table -> columns, as they stand."""
    for table, columns in OPS_TABLES.items():
        if table not in found:
            yield ddl(f"ops.{table}", columns)
        else:
            for name in [name for name in columns if name not in found[table]]:
                yield f"alter table ops.{table} add column if not exists {name} {columns[name]}"


def raw_columns(dataset: Dataset) -> dict[str, str]:
    """Names and types of the raw table's columns."""
    types = {column.name: "varchar" if column.type == "text" else column.type for column in dataset.columns}
    return {**types, "_load_id": "integer"}


def is_wider(found: str, wanted: str) -> bool:
    """Whether every value of the type ``found`` is the same value in the type ``wanted``."""
    whole = {"integer": 10, "bigint": 19}
    digits = {kind: (count, 0) for kind, count in whole.items()}
    for kind in (found, wanted):
        match = re.fullmatch(r"decimal\(([0-9]+),([0-9]+)\)", kind)
        if match:
            digits[kind] = (int(match[1]) - int(match[2]), int(match[2]))
    if found not in digits or wanted not in digits:
        return False
    return all(new >= old for old, new in zip(digits[found], digits[wanted], strict=True))


def current_view(dataset: Dataset) -> str:
    """The statement that makes the view of the rows of current loads, with the key of the object they came from."""
    names = ", ".join(f"rows.{name}" for name in raw_columns(dataset))
    return f"""
        create or replace view raw.{dataset.table}_current as
        select {names}, loads.object_key as _object_key
        from raw.{dataset.table} as rows
        inner join ops.loads as loads
            on rows._load_id = loads.load_id and loads.dataset = '{dataset.id}' and loads.is_current
        """


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most this many."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def _reject_columns(
    dataset: Dataset, listed: ObjectVersion, load_id: int, reject: RejectedRecord
) -> Mapping[str, object]:
    return {
        "dataset": dataset.id,
        "load_id": load_id,
        "object_key": listed.key,
        "record_number": reject.record_number,
        "line_number": reject.line_number,
        "column_name": ", ".join(reject.columns),
        "reason": reject.reason,
        "raw_text": reject.text,
    }


def _object_columns(dataset: Dataset, listed: ObjectVersion) -> dict[str, object]:
    return {
        "dataset": dataset.id,
        "bucket": listed.bucket,
        "object_key": listed.key,
        "etag": listed.etag,
        "size_bytes": listed.size,
        "last_modified": _naive(listed.last_modified),
    }


def _object_version(row: Sequence[Any]) -> ObjectVersion:
    bucket, key, etag, size, last_modified = row
    return ObjectVersion(bucket, key, etag, size, _utc(last_modified))


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
