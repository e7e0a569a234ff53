"""The embedded warehouse: one DuckDB file, one writer process at a time.

Connections are short: opened for a step, closed before dbt starts. If another process holds the file, opening waits,
then fails naming that process.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import duckdb
from filelock import FileLock

from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.errors import HeldError, WarehouseError
from netflix_assets.warehouse.loads import LoadableTable, StagedObject
from netflix_assets.warehouse.relations import is_wider
from netflix_assets.warehouse.typing import Dialect, literal, typed_select

T = TypeVar("T")

DIALECT = Dialect(
    matches="regexp_full_match({text}, {pattern})",
    is_finite="isfinite({value})",
    approx_distinct="approx_count_distinct({value})",
    approx_quantile="approx_quantile({value}, {share})",
    every_nth_row="rowid % {step} = 0",
    sha256="sha256({text})",
)

_POLL_S = 0.2
_HOLDER = re.compile(r"Conflicting lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


class DuckDBWarehouse(Warehouse):
    """A connection to the file; waits at most ``wait_seconds`` while another process holds it.

    Raises: HeldError naming the process that holds the file.
    """

    dialect = DIALECT

    def __init__(self, file: Path, wait_seconds: float = 60.0, *, read_only: bool = False) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        if not read_only and not file.exists():
            _create(file)
        self._connection = retry_while_held(file, wait_seconds, lambda: duckdb.connect(str(file), read_only=read_only))
        # DuckDB draws it on standard output after 2 s, also into a pipe.
        self._connection.execute("set enable_progress_bar = false")

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        return self._connection.execute(statement, list(parameters)).fetchall()

    def query(self, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a query. Returns the names of its columns, in lower case, and its rows."""
        result = self._connection.execute(statement)
        return [column[0].lower() for column in result.description or ()], result.fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        self._connection.begin()
        try:
            yield
        except BaseException:  # also for an interrupt, which is raised again: half a load must not stay open
            self._connection.rollback()
            raise
        self._connection.commit()

    def columns(self, schemas: Sequence[str], database: str | None = None) -> dict[tuple[str, str], dict[str, str]]:
        """Columns and types of the tables and views of these schemas, by (schema, table)."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for schema, table, column, kind in self.execute(
            f"""
            select lower(table_schema), lower(table_name), lower(column_name), lower(data_type)
            from information_schema.columns
            where table_catalog = coalesce(?, current_database())
                and table_schema in ({", ".join("?" for _ in schemas)})
            order by table_schema, table_name, ordinal_position
            """,
            (database, *schemas),
        ):
            found.setdefault((schema, table), {})[column] = kind
        return found

    def shown_type(self, kind: str) -> str:
        """DuckDB shows types as given."""
        return kind

    def can_widen(self, found: str, wanted: str) -> bool:
        """Numbers can gain digits before and after the point."""
        return is_wider(found, wanted)

    def stage(self, dataset: Dataset, batch: Sequence[StagedObject]) -> None:
        """Nothing to do: validated files are read in place."""

    def typed_records(self, dataset: Dataset, staged: Mapping[int, StagedObject], condition: str | None) -> str:
        """SELECT of the records that keep the contract, from the files: one ``read_csv`` for all of one form.

        One per file took 9 ms of CPU for a file of a few rows; in a list it takes 1 ms.
        """
        alike: dict[LoadableTable, dict[int, StagedObject]] = {}
        for load_id, each in staged.items():
            alike.setdefault(replace(each.file.table, path=Path()), {})[load_id] = each
        selects = (
            typed_select(
                dataset,
                _texts(form, files),
                DIALECT,
                numeric=form.numeric,
                carried=("_load_id",),
                condition=condition,
            )
            for form, files in alike.items()
        )
        return "\nunion all\n".join(selects)

    def data_fault(self, error: Exception) -> str | None:
        """DuckDB's message when it could not read or convert the data."""
        return str(error) if isinstance(error, duckdb.DataError | duckdb.InvalidInputException) else None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _texts(form: LoadableTable, files: Mapping[int, StagedObject]) -> str:
    """The records of files of one form as text columns t0 … tn in the contract's order, with their _load_id.

    Nothing is sniffed: names, types, delimiter, quote and header are all explicit. Records of another width are skipped
    here (ignore_errors) and noticed by the count. ``file_index`` is DuckDB's position of the file in the list, from 0.
    """
    columns = ", ".join(f"'c{index}': 'varchar'" for index in range(form.width))
    texts = ", ".join(f"c{position} as t{index}" for index, position in enumerate(form.columns))
    paths = ", ".join(literal(str(each.file.table.path)) for each in files.values())
    load_ids = ", ".join(f"{load_id:d}" for load_id in files)
    return f"""(
        select {texts}, [{load_ids}][file_index::integer + 1] as _load_id
        from read_csv(
            [{paths}], columns = {{{columns}}}, auto_detect = false, header = true,
            delim = {literal(form.delimiter)}, quote = '"', escape = '"', nullstr = '', comment = '',
            ignore_errors = true, strict_mode = true, null_padding = false, compression = 'none'
        )
    ) as texts"""


def _create(file: Path) -> None:
    """Create an empty database under a temporary name and rename it when complete.

    DuckDB writes 12 KB into a new file. A kill in between leaves a file that DuckDB can never open, and nothing says
    that it may be deleted.
    """
    draft = file.with_name(f"{file.name}.new")
    with FileLock(f"{file}.lock"):
        if not file.exists():
            draft.unlink(missing_ok=True)
            duckdb.connect(str(draft)).close()
            draft.replace(file)


def retry_while_held(file: Path, wait_seconds: float, attempt: Callable[[], T]) -> T:
    """Call ``attempt`` to open the file until no other process holds it.

    Raises: HeldError naming that process when the wait is over.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return attempt()
        except duckdb.IOException as error:
            holder = _HOLDER.search(str(error))
            if holder is None:
                raise WarehouseError(f"{file}: {error}") from error
            if time.monotonic() >= deadline:
                raise HeldError(
                    f"{file} is held by {_describe(holder)}; waited {wait_seconds:.0f} s. Let that program finish, or "
                    "close it, and try again"
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
