"""The files of a version: changed tables are copied from the warehouse, the others shared with an earlier version.

An unchanged table's Parquet file is a hard link to the earlier one. The database is one file for all tables. It starts
as a copy of the earlier database, in which the changed tables are replaced. On XFS and Btrfs that copy shares blocks
with the original; elsewhere it takes the space of the whole file. No file of a version ever changes, and no version
needs another one: each can be moved or removed.

Views over the Parquet files would store each row once on any file system. But DuckDB resolves relative paths in a view
against the reader's working directory, and has no expression for a database's own folder. Such a file could not move.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.publishing import SCHEMAS, PublishingError
from netflix_assets.warehouse.typing import identifier, literal

DATABASE = "netflix.duckdb"

# Level 1 takes half the time of the default and 1 % more space (24 million ratings: 2.2 s, 320 MB; 4.4 s, 316 MB).
_PARQUET = "(format parquet, compression zstd, compression_level 1)"

# DuckDB 1.4, the long-term release, can open this; it cannot open the warehouse itself.
STORAGE_VERSION = "v1.4.0"


@dataclass(frozen=True)
class Earlier:
    """A kept version to share with. ``unchanged``: the tables that are still as they are there, as ``schema.name``."""

    folder: Path
    unchanged: frozenset[str]

    @property
    def has_most(self) -> bool:
        """Whether most of its bytes are unchanged. Otherwise a new database is as fast, and has no unused blocks."""
        files = self.folder.glob("parquet/*/*.parquet")
        sizes = {f"{file.parent.name}.{file.stem}": file.stat().st_size for file in files}
        return 2 * sum(size for name, size in sizes.items() if name in self.unchanged) > sum(sizes.values())


def parquet_file(folder: Path, table: str) -> Path:
    """The Parquet file of a table, given as ``schema.name``, in a version."""
    schema, name = table.split(".")
    return folder / "parquet" / schema / f"{name}.parquet"


def write_tables(
    warehouse: DuckDBWarehouse, rows: Mapping[str, int], folder: Path, earlier: Earlier | None
) -> frozenset[str]:
    """Write the tables ``schema.name`` -> rows into a database file and into Parquet files, and count their rows.

    Returns the tables that were not copied. Raises: PublishingError when other rows were copied than ``rows`` says.
    """
    for schema in SCHEMAS:
        (folder / "parquet" / schema).mkdir(parents=True)
    linked = {name for name in rows if _link(warehouse, name, rows[name], folder, earlier)}
    for name in sorted(rows.keys() - linked):
        file = literal(str(parquet_file(folder, name)))
        _copy(warehouse, name, rows[name], f"copy warehouse.{name} to {file} {_PARQUET}")
    kept = _attach(warehouse, rows, folder / DATABASE, earlier)
    for name in sorted(rows.keys() - kept):
        _copy(warehouse, name, rows[name], f"create table published.{name} as select * from warehouse.{name}")
    if kept != rows.keys():
        _overwrite_unused_blocks(warehouse)
    warehouse.execute("detach published")  # flushes it to disk
    return frozenset(linked & kept)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content to a new file: by sharing its blocks where the file system can, else within the kernel."""
    if not hasattr(os, "copy_file_range"):  # macOS
        shutil.copyfile(source, target)
        return
    try:
        with source.open("rb") as read, target.open("xb") as written:
            left = os.fstat(read.fileno()).st_size
            while left > 0:
                left -= os.copy_file_range(read.fileno(), written.fileno(), left) or left
    except OSError:  # some network and virtual file systems cannot
        shutil.copyfile(source, target)
    if source.stat().st_size != target.stat().st_size:
        raise OSError(f"{source} could not be copied to {target}")


def _copy(warehouse: DuckDBWarehouse, name: str, rows: int, statement: str) -> None:
    (count,) = warehouse.execute(statement)[0]
    if count != rows:
        raise PublishingError(f"{name}: {count:,} of its {rows:,} rows were copied")


def _link(warehouse: DuckDBWarehouse, name: str, rows: int, folder: Path, earlier: Earlier | None) -> bool:
    """Share a table's Parquet file; False if it has changed, is damaged or cannot be linked."""
    if earlier is None or name not in earlier.unchanged:
        return False
    file = parquet_file(folder, name)
    try:
        file.hardlink_to(parquet_file(earlier.folder, name))
        ((count,),) = warehouse.execute(f"select count(*) from read_parquet({literal(str(file))})")
    except (OSError, duckdb.Error):
        count = None
    is_whole = bool(count == rows)
    if not is_whole:
        file.unlink(missing_ok=True)
    return is_whole


def _attach(warehouse: DuckDBWarehouse, rows: Mapping[str, int], file: Path, earlier: Earlier | None) -> frozenset[str]:
    """Attach the version's database as ``published``. Returns the tables that it has from an earlier version."""
    if earlier is not None and earlier.has_most:
        try:
            return _attach_earlier(warehouse, rows, file, earlier)
        except (OSError, duckdb.Error):  # it is gone or damaged
            warehouse.execute("detach database if exists published")
            file.unlink(missing_ok=True)
    warehouse.execute(f"attach {literal(str(file))} as published (storage_version {literal(STORAGE_VERSION)})")
    for schema in SCHEMAS:
        warehouse.execute(f"create schema published.{schema}")
    return frozenset()


def _attach_earlier(
    warehouse: DuckDBWarehouse, rows: Mapping[str, int], file: Path, earlier: Earlier
) -> frozenset[str]:
    """Attach a link to an earlier database if it has just these tables, else a copy without those that changed."""
    original = earlier.folder / DATABASE
    if earlier.unchanged == rows.keys():
        warehouse.execute(f"attach {literal(str(original))} as published (read_only)")
        if _counts(warehouse) == rows:
            file.hardlink_to(original)
            return earlier.unchanged
        warehouse.execute("detach published")
    copy_file(original, file)
    warehouse.execute(f"attach {literal(str(file))} as published (storage_version {literal(STORAGE_VERSION)})")
    found = _counts(warehouse)
    kept = frozenset(name for name in earlier.unchanged if found.get(name) == rows[name])
    for name in sorted(found.keys() - kept):
        warehouse.execute(f"drop table published.{name}")
    warehouse.execute("checkpoint published")  # so that the new tables use their blocks
    return kept


def _counts(warehouse: DuckDBWarehouse) -> dict[str, int]:
    tables = warehouse.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'published' order by all"
    )
    counts = [
        f"select {literal(f'{schema}.{name}')}, count(*) from published.{identifier(schema)}.{identifier(name)}"
        for schema, name in tables
    ]
    return dict(warehouse.execute(" union all ".join(counts))) if counts else {}


def _overwrite_unused_blocks(warehouse: DuckDBWarehouse) -> None:
    """Overwrite what dropped tables have left in the file: a version has no rows that it does not show.

    DuckDB keeps blocks that nothing uses any more until another table needs them.
    """
    warehouse.execute("checkpoint published")
    ((unused, size),) = warehouse.execute(
        "select free_blocks, block_size from pragma_database_size() where database_name = 'published'"
    )
    if unused:
        numbers = unused * size // 8  # hashes are as large as they are and cannot be compressed
        warehouse.execute(f"create table published.main.filler as select hash(range) from range({numbers})")
        warehouse.execute("checkpoint published")
        warehouse.execute("drop table published.main.filler")
