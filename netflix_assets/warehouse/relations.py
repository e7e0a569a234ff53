"""DDL that both warehouses understand: raw tables, their ``_current`` views, the ops tables. Pure functions."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.errors import WarehouseError

# The version of the ops tables: one column per version, added by the code that introduced it. The statement that lists
# columns then tells the version too. Add a column when older code would misread what newer code writes.
VERSION_TABLE: Mapping[str, Mapping[str, str]] = {
    "schema_version": {"v1": "timestamp", "v2": "timestamp", "v3": "timestamp", "v4": "timestamp"},
}

# Names, types (spelled as both warehouses understand them) and order of the columns of each ops table.
OPS_TABLES: Mapping[str, Mapping[str, str]] = {
    "loads": {
        "dataset": "varchar", "load_id": "integer", "parent_load_id": "integer", "bucket": "varchar",
        "object_key": "varchar", "etag": "varchar", "size_bytes": "bigint", "last_modified": "timestamp",
        "rows_in": "bigint", "rows_loaded": "bigint", "rows_rejected": "bigint", "is_current": "boolean",
        "superseded_by": "integer", "loaded_at": "timestamp", "load_seconds": "double", "run_id": "varchar",
        "header": "varchar", "removed_at": "timestamp", "purged_at": "timestamp", "rows_erased": "bigint",
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
    "erasures": {"subject": "varchar", "salt": "varchar", "digest": "varchar", "erased_at": "timestamp"},
    "load_locks": {"dataset": "varchar", "last_load_id": "integer"},
}  # fmt: skip


@dataclass(frozen=True)
class Relation:
    """An existing table or view: its row count, and column -> type in order."""

    row_count: int
    columns: Mapping[str, str]


def ddl(table: str, columns: Mapping[str, str]) -> str:
    """The statement that creates a table if it is missing."""
    return f"create table if not exists {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"


def ops_ddl(found: Mapping[tuple[str, str], Collection[str]], wanted: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The statements that add missing ops tables and columns. ``found``: (schema, table) -> existing columns."""
    for table, columns in wanted.items():
        if ("ops", table) not in found:
            yield ddl(f"ops.{table}", columns)
        else:
            for name in [name for name in columns if name not in found["ops", table]]:
                yield f"alter table ops.{table} add column if not exists {name} {columns[name]}"


def check_version(found: Mapping[tuple[str, str], Collection[str]]) -> None:
    """Check that this code knows the ops tables. ``found``: (schema, table) -> existing columns.

    Raises: WarehouseError when newer code wrote them.
    """
    unknown = sorted(set(found.get(("ops", "schema_version"), ())) - set(VERSION_TABLE["schema_version"]))
    if unknown:
        raise WarehouseError(
            f"a newer version of netflix_assets wrote this warehouse (ops tables {unknown[-1]}, this code knows "
            f"{max(VERSION_TABLE['schema_version'])}). Update the code"
        )


def raw_columns(dataset: Dataset) -> dict[str, str]:
    """Names and types of the raw table's columns."""
    types = {column.name: "varchar" if column.is_text else column.type for column in dataset.columns}
    return {**types, "_load_id": "integer"}


def is_wider(found: str, wanted: str) -> bool:
    """Whether type ``wanted`` holds every value of type ``found`` unchanged."""
    whole = {"integer": 10, "bigint": 19}
    digits = {kind: (count, 0) for kind, count in whole.items()}
    for kind in (found, wanted):
        match = re.fullmatch(r"(?:decimal|number)\(([0-9]+),([0-9]+)\)", kind)
        if match:
            digits[kind] = (int(match[1]) - int(match[2]), int(match[2]))
    if found not in digits or wanted not in digits:
        return False
    return all(new >= old for old, new in zip(digits[found], digits[wanted], strict=True))


def current_view(dataset: Dataset) -> str:
    """The statement that creates the view of current loads' rows, with each row's object key."""
    names = ", ".join(f"records.{name}" for name in raw_columns(dataset))
    return f"""
        create or replace view raw.{dataset.table}_current as
        select {names}, loads.object_key as _object_key
        from raw.{dataset.table} as records
        inner join ops.loads as loads
            on records._load_id = loads.load_id and loads.dataset = '{dataset.id}' and loads.is_current
        """
