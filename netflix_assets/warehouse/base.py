"""The Warehouse protocol: what ingestion needs from a warehouse in addition to the ledger.

Subclasses connect, create tables and read validated files. The transaction that makes a load is ``ingest/load.py``.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self, TypeVar

from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.ledger import Ledger, in_chunks
from netflix_assets.warehouse.loads import Load, StagedObject
from netflix_assets.warehouse.profile import PROFILED_COLUMNS, SAMPLE_ROWS, profile_insert
from netflix_assets.warehouse.relations import (
    OPS_TABLES,
    VERSION_TABLE,
    Relation,
    check_version,
    current_view,
    ddl,
    ops_ddl,
    raw_columns,
)
from netflix_assets.warehouse.typing import Dialect

T = TypeVar("T")


class Warehouse(Ledger):
    """A connection to a warehouse; a context manager that closes it."""

    dialect: Dialect  # how this warehouse spells the shared SQL

    @abstractmethod
    def columns(self, schemas: Sequence[str], database: str | None = None) -> dict[tuple[str, str], dict[str, str]]:
        """Columns and types of the tables and views in these schemas, in one statement.

        ``database``: another than the one that dbt builds into.

        Returns (schema, table) -> column -> type as the warehouse shows it, in column order, all in lower case.
        """

    @abstractmethod
    def shown_type(self, kind: str) -> str:
        """How the warehouse shows a type that a table was created with."""

    @abstractmethod
    def can_widen(self, found: str, wanted: str) -> bool:
        """Whether a column can change from one type to another in place and keep every value; types as shown."""

    @abstractmethod
    def stage(self, dataset: Dataset, batch: Sequence[StagedObject]) -> None:
        """Copy the validated files to where ``typed_records`` reads them; outside any transaction.

        Raises: ObjectChangedError when the warehouse received other bytes than were validated.
        """

    @abstractmethod
    def typed_records(self, dataset: Dataset, staged: Mapping[int, StagedObject], condition: str | None) -> str:
        """SELECT of the staged records that keep the contract and satisfy ``condition``, typed, with ``_load_id``.

        ``staged`` maps ``_load_id`` to its object.
        """

    @abstractmethod
    def data_fault(self, error: Exception) -> str | None:
        """The warehouse's message when the data caused the error; None for every other failure."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    def insert_records(
        self, dataset: Dataset, staged: Mapping[int, StagedObject], without: str | None = None
    ) -> dict[int, int]:
        """Insert the records that keep the contract; ``staged`` maps new ``_load_id`` to their objects.

        ``without``: SQL that is true for typed records to leave out, those of erased persons. Returns ``_load_id`` ->
        rows inserted; loads without rows are missing.
        """
        names = ", ".join([*(column.name for column in dataset.columns), "_load_id"])
        select = self.typed_records(dataset, staged, f"not {without}" if without else None)
        self.execute(f"insert into raw.{dataset.table} ({names}) {select}")
        counts = self.execute(
            f"select _load_id, count(*) from raw.{dataset.table} where _load_id between ? and ? group by _load_id",
            (min(staged), max(staged)),
        )
        return {int(load_id): int(count) for load_id, count in counts}

    def count_records(self, dataset: Dataset, staged: Mapping[int, StagedObject], only: str) -> dict[int, int]:
        """``_load_id`` -> records that keep the contract and satisfy ``only``; loads without any are missing."""
        select = self.typed_records(dataset, staged, only)
        counts = self.execute(f"select _load_id, count(*) from ({select}) as typed group by _load_id")
        return {int(load_id): int(count) for load_id, count in counts}

    def in_one_session(self, work: Callable[[], T]) -> T:
        """Run work that needs one session from start to end. Warehouses whose sessions expire run it once more."""
        return work()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, *datasets: Dataset) -> None:
        """Create the schemas, the ops tables, the raw tables and their _current views where they are missing.

        Applies contract changes to existing tables: adds new columns (null in earlier rows) and widens types. This is
        DDL, outside any load; when nothing changes it costs one statement for all datasets.

        Raises: WarehouseError when a new type could lose values, or when newer code wrote the ops tables.
        """
        found = self.columns(("raw", "ops"))
        check_version(found)
        for schema in ("raw", "ops"):
            if not any(existing == schema for existing, _ in found):
                self.make_schema(schema)
        for statement in ops_ddl(found, {**OPS_TABLES, **VERSION_TABLE}):
            self.execute(statement)
        for dataset in datasets:
            self._prepare_table(dataset, found)

    def _prepare_table(self, dataset: Dataset, found: dict[tuple[str, str], dict[str, str]]) -> None:
        wanted = raw_columns(dataset)
        if ("raw", dataset.table) not in found:
            self.create_lock(dataset)  # before the table, so that a crash in between leaves no table without a lock
            self.execute(ddl(f"raw.{dataset.table}", wanted))
            found["raw", dataset.table] = {name: self.shown_type(kind) for name, kind in wanted.items()}
        changes = list(self._contract_changes(dataset, wanted, found["raw", dataset.table]))
        if changes:  # a table cannot change under its view
            self.execute(f"drop view if exists raw.{dataset.table}_current")
        for change in changes:
            self.execute(f"alter table raw.{dataset.table} {change}")
        if changes or list(found.get(("raw", f"{dataset.table}_current"), ())) != [*wanted, "_object_key"]:
            self.execute(current_view(dataset))

    def make_schema(self, schema: str) -> None:
        """Create the schema if it is missing."""
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
                    f"raw.{dataset.table}: column {name} is {found[name]}, but the contract of {dataset.id} says "
                    f"{kind}, which cannot hold every value. Reload the dataset: netflix-assets rebuild {dataset.id}"
                )

    def describe(self, relations: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Relation]:
        """Row count, columns and types of tables and views, given as (schema, name), in two statements.

        Missing relations are left out.
        """
        schemas = sorted({schema for schema, _ in relations})
        existing = self.columns(schemas) if schemas else {}
        found = {relation: columns for relation, columns in existing.items() if relation in relations}
        if not found:
            return {}
        counts = self.execute(
            " union all ".join(f"select '{schema}', '{name}', count(*) from {schema}.{name}" for schema, name in found)
        )
        return {(schema, name): Relation(int(rows), found[schema, name]) for schema, name, rows in counts}

    def forget_dataset(self, dataset: Dataset) -> None:
        """Drop the dataset's raw table and ledger rows, so that the next run reloads everything from the bucket.

        Load ids continue, so incremental models see every row as new. The ledger goes first: a kill in between leaves
        rows without a ledger entry, which no query counts and the next call drops.
        """
        with self.transaction():
            for table, columns in OPS_TABLES.items():
                if table != "load_locks" and "dataset" in columns:
                    self.execute(f"delete from ops.{table} where dataset = ?", (dataset.id,))
        self.execute(f"drop view if exists raw.{dataset.table}_current")
        self.execute(f"drop table if exists raw.{dataset.table}")

    def profile_loads(self, dataset: Dataset, loads: Sequence[Load]) -> None:
        """Profile loads of the open transaction: those that need no sample together, the others one by one."""
        steps = {load.load_id: math.ceil(load.rows_loaded / SAMPLE_ROWS) for load in loads if load.rows_loaded}
        unsampled = [load_id for load_id, step in steps.items() if step == 1]
        sampled = [([load_id], step) for load_id, step in steps.items() if step > 1]
        for load_ids, step in [*([(unsampled, 1)] if unsampled else []), *sampled]:
            for columns in in_chunks(dataset.columns, PROFILED_COLUMNS):
                self.execute(profile_insert(dataset, columns, load_ids, step, self.dialect))

    def discard_load(self, dataset: Dataset, load_id: int) -> None:
        """Delete the rows and rejects of a load that the open transaction gave up."""
        self.execute(f"delete from raw.{dataset.table} where _load_id = ?", (load_id,))
        self.execute("delete from ops.rejected_rows where dataset = ? and load_id = ?", (dataset.id, load_id))
