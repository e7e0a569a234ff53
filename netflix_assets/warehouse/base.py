"""The Warehouse protocol: what the ingestion needs of a warehouse, and the ledger statements that all of them share.

Belongs here: the tables of ``ops``, the one transaction that makes a load, what can be asked of the ledger. Subclasses
say how to connect, how to create tables and how to read a gated file. Does not belong here: which objects to load
(``ingest/plan.py``), what a value must look like (``values.py``).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Self, TypeVar

from netflix_assets.contract import Dataset
from netflix_assets.ingest.gate import GatedFile, RefusedError
from netflix_assets.ingest.objects import ObjectVersion
from netflix_assets.ingest.rejects import RejectedRecord, count_within_tolerance, find_rejects

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
    },
    "refused_objects": {
        "dataset": "varchar", "bucket": "varchar", "object_key": "varchar", "etag": "varchar", "size_bytes": "bigint",
        "last_modified": "timestamp", "outcome": "varchar", "reason": "varchar", "refused_at": "timestamp",
        "run_id": "varchar",
    },
    "load_locks": {"dataset": "varchar", "last_load_id": "integer"},
}  # fmt: skip


class WarehouseError(RuntimeError):
    """The warehouse cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Load:
    """One row of the ledger: one object version that was loaded. Times are UTC."""

    dataset: str
    load_id: int
    listed: ObjectVersion
    rows_in: int
    rows_loaded: int
    rows_rejected: int
    is_current: bool
    loaded_at: datetime
    seconds: float


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
    """The figures that must agree for a dataset, in rows."""

    unaccounted_loads: int  # loads of which rows_in is not rows_loaded + rows_rejected
    ledger_rows: int  # rows_loaded of the current loads
    current_rows: int  # rows of the _current view
    rejected_rows: int  # rows_rejected of the current loads
    kept_rejects: int  # rows in ops.rejected_rows of the current loads


@dataclass(frozen=True)
class Relation:
    """A table or view as it stands: its rows, and its columns with their types in order."""

    row_count: int
    columns: Mapping[str, str]


class Warehouse(ABC):
    """A connection to a warehouse; a context manager that closes it.

    Statements use ``?`` for values. Identifiers come from contracts, which allow nothing but snake_case.
    """

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
                rows_rejected, is_current, loaded_at, load_seconds
            from ops.loads where dataset = ? order by load_id
            """,
            (dataset.id,),
        )
        return [
            Load(row[0], row[1], _object_version(row[2:7]), row[7], row[8], row[9], row[10], _utc(row[11]), row[12])
            for row in rows
        ]

    def current_loads(self, dataset: Dataset) -> list[Load]:
        """The loads whose rows make up the dataset now."""
        return [load for load in self.loads(dataset) if load.is_current]

    def refused_objects(self, dataset: Dataset) -> list[RefusedObject]:
        """All versions that were refused or ignored, live or not."""
        rows = self.execute(
            """
            select dataset, bucket, object_key, etag, size_bytes, last_modified, outcome, reason
            from ops.refused_objects where dataset = ? order by object_key
            """,
            (dataset.id,),
        )
        return [RefusedObject(row[0], _object_version(row[1:6]), row[6], row[7]) for row in rows]

    def rejected_rows(self, dataset: Dataset | None = None) -> list[dict[str, Any]]:
        """Rejected records of current loads, in file order; ``header`` is the header of the object they stand in."""
        columns = ", ".join([*(f"rejects.{name}" for name in OPS_TABLES["rejected_rows"]), "loads.header"])
        condition, parameters = ("", ()) if dataset is None else ("where rejects.dataset = ?", (dataset.id,))
        rows = self.execute(
            f"""
            select {columns}
            from ops.rejected_rows as rejects
            inner join ops.loads as loads
                on rejects.dataset = loads.dataset and rejects.load_id = loads.load_id and loads.is_current
            {condition}
            order by rejects.dataset, rejects.object_key, rejects.record_number
            """,
            parameters,
        )
        return [dict(zip([*OPS_TABLES["rejected_rows"], "header"], row, strict=True)) for row in rows]

    def counts(self, dataset: Dataset) -> Counts:
        """The figures of the reconciliation, each counted where it stands."""
        ledger = self.execute(
            """
            select
                coalesce(sum(case when rows_in <> rows_loaded + rows_rejected then 1 end), 0),
                coalesce(sum(case when is_current then rows_loaded end), 0),
                coalesce(sum(case when is_current then rows_rejected end), 0)
            from ops.loads where dataset = ?
            """,
            (dataset.id,),
        )[0]
        current_rows = self.execute(f"select count(*) from raw.{dataset.table}_current")[0][0]
        kept = self.execute(
            """
            select count(*) from ops.rejected_rows as rejects
            inner join ops.loads as loads on rejects.dataset = loads.dataset and rejects.load_id = loads.load_id
            where rejects.dataset = ? and loads.is_current
            """,
            (dataset.id,),
        )[0][0]
        return Counts(int(ledger[0]), int(ledger[1]), int(current_rows), int(ledger[2]), int(kept))

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
            self.execute("update ops.load_locks set last_load_id = ? where dataset = ?", (last_id, dataset.id))
        return loads, refused

    def refuse(self, dataset: Dataset, listed: ObjectVersion, error: RefusedError, run_id: str) -> RefusedObject:
        """Park an object version that did not pass the gate."""
        with self.transaction():
            return self._park(dataset, listed, error, run_id)

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
        self._insert(
            "loads",
            {
                **_object_columns(dataset, listed),
                "load_id": load_id,
                "rows_in": rows_in,
                "rows_loaded": rows_loaded,
                "rows_rejected": rows_rejected,
                "is_current": True,
                "loaded_at": _naive(load.loaded_at),
                "load_seconds": load.seconds,
                "run_id": run_id,
                "header": dataset.delimiter.join(staged.file.header),
            },
        )
        return load

    def _keep_rejects(self, dataset: Dataset, staged: StagedObject, load_id: int, rows_loaded: int) -> int:
        """Keep the records that were not loaded. Raises: RefusedError when they are too many, or not what is missing.

        Only as many are read as are needed to know: the object is refused whole at the first one too many.
        """
        rows_in = staged.file.record_count
        missing = rows_in - rows_loaded
        if missing == 0:
            return 0
        rejects = find_rejects(staged.file, dataset)
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


def ddl(table: str, columns: Mapping[str, str]) -> str:
    """The statement that creates a table where it is missing."""
    return f"create table if not exists {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"


def raw_columns(dataset: Dataset) -> dict[str, str]:
    """Names and types of the raw table's columns."""
    types = {column.name: "varchar" if column.type == "text" else column.type for column in dataset.columns}
    return {**types, "_load_id": "integer"}


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
