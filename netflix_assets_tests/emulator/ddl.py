"""Changes of schemas and columns that DuckDB lacks or allows too freely."""

import re
from typing import Any

from duckdb import DuckDBPyConnection

from netflix_assets_tests.emulator.errors import SQLError


def swap_schemas(duck: DuckDBPyConnection, database: str, first: str, second: str) -> None:
    """Exchange the names of two schemas in one transaction. DuckDB can only rewrite their tables."""
    duck.begin()
    try:
        tables = {schema: _take_tables(duck, database, schema) for schema in (first, second)}
        for schema, other in ((first, second), (second, first)):
            for name, rows in tables[other].items():
                duck.register("_swapped", rows)
                duck.execute(f'create table "{database}"."{schema}"."{name}" as select * from _swapped')
                duck.unregister("_swapped")
        duck.commit()
    except BaseException:  # whatever happened, a half-done swap must not stay open
        duck.rollback()
        raise


def _take_tables(duck: DuckDBPyConnection, database: str, schema: str) -> dict[str, Any]:
    """Read the tables of a schema and drop them."""
    in_schema = "where database_name = ? and schema_name = ?"
    if not duck.execute(f"select 1 from duckdb_schemas() {in_schema}", [database, schema]).fetchall():
        raise SQLError(f"Schema '{database}.{schema}' does not exist or not authorized.", 2003, "02000")
    names = duck.execute(f"select table_name from duckdb_tables() {in_schema}", [database, schema]).fetchall()
    tables = {}
    for (name,) in names:
        tables[name] = duck.execute(f'select * from "{database}"."{schema}"."{name}"').to_arrow_table()
        duck.execute(f'drop table "{database}"."{schema}"."{name}"')
    return tables


def is_wider(current: str, new: str) -> bool:
    """Whether SET DATA TYPE allows the change: longer text, or more digits before the decimal point."""
    (current_digits, current_scale), (digits, scale) = _digits(current), _digits(new)
    if current_digits is None or digits is None:
        return current.partition("(")[0] == new.partition("(")[0].replace("TEXT", "VARCHAR")
    return digits >= current_digits and scale == current_scale


def _digits(kind: str) -> tuple[int | None, int]:
    if kind in ("BIGINT", "INT", "INTEGER", "HUGEINT", "DECIMAL"):
        return 38, 0
    match = re.fullmatch(r"DECIMAL\((\d+)(?:, ?(\d+))?\)", kind)
    return (int(match[1]), int(match[2] or 0)) if match else (None, 0)
