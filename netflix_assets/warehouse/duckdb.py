"""The embedded warehouse: one DuckDB file, one writer process at a time.

Connections are short: opened for a step, closed before dbt starts. A file that another process holds is waited for,
then the holder is named.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from netflix_assets.contract import Dataset
from netflix_assets.warehouse.base import (
    StagedObject,
    Warehouse,
    WarehouseError,
    current_view,
    ddl,
    is_wider,
    ops_ddl,
    raw_columns,
)
from netflix_assets.warehouse.typing import Dialect, literal, typed_select

DIALECT = Dialect(
    matches="regexp_full_match({text}, {pattern})",
    is_finite="isfinite({value})",
    approx_distinct="approx_count_distinct({value})",
    approx_quantile="approx_quantile({value}, {share})",
    every_nth_row="rowid % {step} = 0",
)

_POLL_S = 0.2
_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


class DuckDBWarehouse(Warehouse):
    """A connection to the file; waits at most ``wait_seconds`` for another process to let go of it.

    Raises: WarehouseError naming the process that holds the file.
    """

    dialect = DIALECT

    def __init__(self, file: Path, wait_seconds: float = 60.0, *, read_only: bool = False) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = _connect(file, wait_seconds, read_only=read_only)

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        return self._connection.execute(statement, list(parameters)).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        self._connection.begin()
        try:
            yield
        except BaseException:  # an interrupt too must not leave half a load open; it goes on its way
            self._connection.rollback()
            raise
        self._connection.commit()

    def prepare(self, dataset: Dataset) -> None:
        """Create the schemas, the ops tables, the raw table and its _current view where they are missing."""
        for schema in ("raw", "ops"):
            self.execute(f"create schema if not exists {schema}")
        for statement in ops_ddl(self._ops_columns()):
            self.execute(statement)
        self.execute(ddl(f"raw.{dataset.table}", raw_columns(dataset)))
        self._follow_contract(dataset)
        self.execute(current_view(dataset))
        self.execute(
            """
            insert into ops.load_locks
            select ?, 0 where not exists (select 1 from ops.load_locks where dataset = ?)
            """,
            (dataset.id, dataset.id),
        )

    def _follow_contract(self, dataset: Dataset) -> None:
        """Bring the raw table's columns up to a contract that has changed since it was made.

        New columns are added (null in rows loaded before) and types are widened; both are DDL, outside any load.
        Raises: WarehouseError when a type has changed so that values could be lost.
        """
        relation = self.describe([("raw", dataset.table)])["raw", dataset.table]
        for name, wanted in raw_columns(dataset).items():
            found = relation.columns.get(name)
            if found is None:
                self._alter(dataset, f"add column {name} {wanted}")
            elif found != wanted and is_wider(found, wanted):
                self._alter(dataset, f"alter column {name} set data type {wanted}")
            elif found != wanted:
                raise WarehouseError(
                    f"raw.{dataset.table}: column {name} is {found}, the contract of {dataset.id} says {wanted}, which "
                    f"cannot hold every value; load the dataset anew: netflix-assets rebuild {dataset.id}"
                )

    def _alter(self, dataset: Dataset, change: str) -> None:
        self.execute(f"drop view if exists raw.{dataset.table}_current")
        self.execute(f"alter table raw.{dataset.table} {change}")

    def insert_records(self, dataset: Dataset, staged: StagedObject, load_id: int) -> int:
        """Insert the records that keep the contract, with this _load_id. Returns how many there were."""
        names = ", ".join(column.name for column in dataset.columns)
        select = typed_select(dataset, _texts(dataset, staged), DIALECT, numeric=staged.file.numeric)
        rows = self.execute(
            f"insert into raw.{dataset.table} ({names}, _load_id) select *, {load_id:d} from ({select}) as typed"
        )
        return int(rows[0][0])

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()


def _texts(dataset: Dataset, staged: StagedObject) -> str:
    """The file's records as text columns t0 … tn in the contract's order.

    Nothing is sniffed: names, types, delimiter, quote and header are all said. Records of another width are left out
    here (ignore_errors) and found again by the count.
    """
    file = staged.file
    columns = ", ".join(f"'c{index}': 'varchar'" for index in range(len(file.header)))
    texts = ", ".join(f"c{position} as t{index}" for index, position in enumerate(file.positions))
    return f"""(
        select {texts}
        from read_csv(
            {literal(str(file.path))}, columns = {{{columns}}}, auto_detect = false, header = true,
            delim = {literal(dataset.delimiter)}, quote = '"', escape = '"', nullstr = '', comment = '',
            ignore_errors = true, strict_mode = true, null_padding = false, compression = 'none'
        )
    ) as texts"""


def _connect(file: Path, wait_seconds: float, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return duckdb.connect(str(file), read_only=read_only)
        except duckdb.IOException as error:
            holder = _HOLDER.search(str(error))
            if holder is None:
                raise WarehouseError(f"{file}: {error}") from error
            if time.monotonic() >= deadline:
                raise WarehouseError(
                    f"{file} is held by {_describe(holder)}; waited {wait_seconds:.0f} s. Close that program, or let "
                    "it finish, and try again"
                ) from error
            time.sleep(_POLL_S)


def _describe(holder: re.Match[str]) -> str:
    pid = holder["pid"]
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = holder["program"]
    own = " (this process)" if int(pid) == os.getpid() else ""
    return f"process {pid}{own}: {command[:120]}"
