"""The work of a first run with one bare connection to DuckDB: read the files, execute what dbt compiled, publish."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import psutil

from bench.stages import Measured
from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.warehouse.relations import current_view


def compiled(folder: Path, manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The statements that a run's first invocation of dbt amounts to, in the order of the graph: name and SQL."""
    graph = {name: node["depends_on"].get("nodes", ()) for name, node in manifest["nodes"].items()}
    order = [name for name in TopologicalSorter(graph).static_order() if name in manifest["nodes"]]
    return list(_statements([manifest["nodes"][name] for name in order]))


def _statements(nodes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        kind, sql = node["config"]["materialized"], node.get("compiled_code")
        relation = f'{node.get("schema")}."{node.get("alias")}"'
        if node["resource_type"] == "seed":
            yield node["name"], f"create table {relation} as select * from project.{relation}"
        elif not sql:
            continue
        elif node["resource_type"] == "test":
            yield node["name"], f"select count(*) from ({sql})"
        elif kind == "view":
            yield node["name"], f"create view {relation} as {sql}"
        elif kind == "snapshot":
            own = "uuid() as dbt_scd_id, now()::timestamp as dbt_updated_at, now()::timestamp as dbt_valid_from"
            yield (
                node["name"],
                f"create table {relation} as select *, {own}, null::timestamp as dbt_valid_to from ({sql})",
            )
        elif kind in ("table", "incremental"):
            yield node["name"], f"create table {relation} as {sql}"


def measure_bare(home: Path, folder: Path, statements: Sequence[tuple[str, str]]) -> Measured:
    """Do the work of the first run with one connection."""
    folder.mkdir()
    started = time.perf_counter()
    stages, nodes = {"start": 0.0, "raw tables": 0.0, "models and tests": 0.0}, dict[str, float]()
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute(f"attach '{home / 'warehouse.duckdb'}' as project (read_only)")
        for schema in ("raw", "ops", "seeds", "staging", "intermediate", "core", "marts", "snapshots"):
            connection.execute(f"create schema {schema}")
        for (table,) in connection.execute(
            "select table_name from duckdb_tables() where database_name = 'project' and schema_name = 'ops'"
        ).fetchall():
            connection.execute(f"create table ops.{table} as select * from project.ops.{table}")
        at = time.perf_counter()
        stages["start"] = at - started
        for dataset in all_datasets(load_sources()):
            _read(dataset, home, connection)
        stages["raw tables"] = time.perf_counter() - at
        for name, sql in statements:
            at = time.perf_counter()
            connection.execute(sql).fetchall()
            nodes[name] = time.perf_counter() - at
        stages["models and tests"] = sum(nodes.values())
        at = time.perf_counter()
        _publish(connection, folder)
        stages["publishing"] = time.perf_counter() - at
    whole = time.perf_counter() - started
    stages["rest"] = whole - sum(stages.values())
    shutil.rmtree(folder)
    usage = psutil.Process().cpu_times()
    return Measured(whole, usage.user + usage.system, _own_peak_mb(), stages, nodes)


def _read(dataset: Dataset, home: Path, connection: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(f"{each.name} {_type(each)}" for each in dataset.columns)
    connection.execute(f"create table raw.{dataset.table} ({columns}, _load_id integer)")
    loads = connection.execute(
        "select load_id, object_key from project.ops.loads where is_current and dataset = ?", [dataset.id]
    ).fetchall()
    wanted = ", ".join(f'try_cast("{each.file_name}" as {_type(each)}) as {each.name}' for each in dataset.columns)
    for load_id, key in loads:
        file = home / "s3" / "landing" / key
        connection.execute(
            f"insert into raw.{dataset.table} by name select {wanted}, {load_id} as _load_id "
            f"from read_csv('{file}', header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', "
            "ignore_errors = true)"
        )
    connection.execute(current_view(dataset))


def _type(column: Any) -> str:
    return "varchar" if column.is_text else str(column.type)


def _publish(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Copy core and marts into a database and into Parquet, as publishing does."""
    connection.execute(f"attach '{folder / 'published.duckdb'}' as published")
    for schema, table in connection.execute(
        "select schema_name, table_name from duckdb_tables() "
        "where database_name = 'warehouse' and schema_name in ('core', 'marts')"
    ).fetchall():
        connection.execute(f"create schema if not exists published.{schema}")
        connection.execute(f'create table published.{schema}."{table}" as select * from {schema}."{table}"')
        connection.execute(f"copy {schema}.\"{table}\" to '{folder / f'{schema}.{table}.parquet'}'")


def _own_peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
