"""Rewrite the warehouse's file without the blocks that deleted and updated rows have left in it.

DuckDB marks such blocks as free and uses them again some day; a checkpoint does not clear them.
"""

import time
from functools import partial
from pathlib import Path

import duckdb

from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse, retry_while_held
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.typing import literal

# Between another process' opening the old file and its finding that this one holds it are two system calls.
_GRACE_S = 0.5
_TRIES = 10


def rewrite(file: Path, wait_seconds: float) -> None:
    """Copy every table and view to a new file and put it in the place of the old one, which nobody can write meanwhile.

    Needs free space for the copy. A kill leaves the old file or the new one, complete; the draft is removed next time.

    Raises: HeldError; WarehouseError when writers do not leave the file alone.
    """
    draft = file.with_name(f"{file.name}.rewritten")
    log = file.with_name(f"{file.name}.wal")
    for _ in range(_TRIES):
        with DuckDBWarehouse(file, wait_seconds) as warehouse:
            warehouse.execute("checkpoint")  # empties the log
        with duckdb.connect() as connection:
            connection.execute("set enable_progress_bar = false")
            # Read-only: its lock keeps writers out, and closing it leaves the log of the new file alone.
            attach = f"attach {literal(str(file))} as old (read_only)"
            retry_while_held(file, wait_seconds, partial(connection.execute, attach))
            if log.exists():  # of a writer that came between and was killed
                continue
            _copy(connection, draft)
            draft.replace(file)
            time.sleep(_GRACE_S)
        return
    raise WarehouseError(f"{file}: other processes keep writing; nothing was rewritten. Try again")


def _copy(connection: duckdb.DuckDBPyConnection, draft: Path) -> None:
    for each in (draft, draft.with_name(f"{draft.name}.wal")):
        each.unlink(missing_ok=True)  # of a killed rewrite
    connection.execute(f"attach {literal(str(draft))} as new")
    connection.execute("copy from database old to new")
    connection.execute("detach new")  # flushes it to disk
