"""The dbt project built on the emulator and on DuckDB from the same rows of raw and ops.

It is built from nothing, and then incrementally after files changed. The tables are equal, and dbt's statements are
tagged, few, and run no DDL inside a transaction. The emulator is DuckDB underneath: it proves the statements, not
Snowflake's arithmetic, which ``test_dbt_sql.py`` covers.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.dev.business import make_world
from netflix_assets.dev.business.scenario import END
from netflix_assets.dev.samples import generate
from netflix_assets.ingest.sync import sync
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets_tests.conftest import landing_key, s3_client
from netflix_assets_tests.dev.business.extracts import Tables, copy_of, hours_of, play_in, write_extracts, write_feeds
from netflix_assets_tests.emulator.fixtures import SnowflakeEmulator, Statement, running_emulator
from netflix_assets_tests.proof.arrivals import CHAINS, Put
from netflix_assets_tests.proof.quick_dbt import QuickDbt
from netflix_assets_tests.warehouse.snowflake.dbt_project import (
    DATABASE,
    NAMES,
    PREFIX,
    RUN_ID,
    THRESHOLDS,
    SnowflakeDbt,
)

pytestmark = pytest.mark.emulated

# Columns that hold the time of a build, or a digest: each warehouse has its own hash. For the end of a version, only
# whether there is one is compared.
MOMENTS = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "_digest")

INCREMENTAL = (
    "core.fct_ratings",
    "core.fct_rating_versions",
    "core.fct_genome_scores",
    "core.fct_order_lines",
    "core.fct_shipments",
    "core.fct_stock_levels",
    "snapshots.snap_movies",
    "snapshots.snap_tags",
)


@dataclass
class Both:
    """The same rows of raw and ops on DuckDB and on the emulator, and the project built on both."""

    home: Path
    local: QuickDbt
    snowflake: SnowflakeDbt
    server: SnowflakeEmulator
    variables: Mapping[str, str]

    def build(self, *arguments: str) -> list[Statement]:
        """Copy the loaded rows and build on both. Return the statements that dbt sent to the emulator."""
        self._copy_sources()
        self.local.build(self.home)
        start = self.server.mark()
        self.snowflake.run("build", *arguments, **self.variables)
        return self.server.statements(start)

    def relations(self) -> list[tuple[str, str]]:
        """(layer, name) of every table and view that must be equal."""
        return [
            (node.schema.removeprefix(PREFIX), node.alias)
            for node in self.snowflake.manifest.nodes.values()
            if node.resource_type in ("model", "seed", "snapshot")
            and node.config.materialized != "ephemeral"
            and "run_dependent" not in node.tags
        ]

    def differences(self) -> list[str]:
        """The differences, table by table."""
        with self._warehouse() as local, self.server.connect(DATABASE) as snowflake, snowflake.cursor() as cursor:
            return [
                f"{layer}.{name}: {difference}"
                for layer, name in self.relations()
                for difference in _compared(
                    _Table.of(local.execute(f"select * from {layer}.{name}")),
                    _Table.of(cursor.execute(f"select * from {PREFIX}{layer}.{name}")),
                )
            ]

    def incremental(self) -> dict[str, list[Any]]:
        """The rows of the incremental tables."""
        with self._warehouse() as local:
            return {name: local.execute(f"select * from {name} order by all").fetchall() for name in INCREMENTAL}

    def empty(self) -> list[str]:
        """Models without a row: comparing them proves nothing."""
        with self._warehouse() as local:
            return [
                f"{layer}.{name}"
                for layer, name in self.relations()
                if local.execute(f"select 1 from {layer}.{name} limit 1").fetchone() is None
            ]

    @contextmanager
    def _warehouse(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            yield connection

    def _copy_sources(self) -> None:
        with self._warehouse() as local, self.server.connect(DATABASE) as snowflake, snowflake.cursor() as cursor:
            tables = local.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
            views = local.execute("select schema_name || '.' || view_name from duckdb_views()").fetchall()
            existing = {name for (name,) in [*tables, *views]}
            for source in self.snowflake.manifest.sources.values():
                name = f"{source.schema}.{source.identifier}"
                cursor.execute(f"create schema if not exists {source.schema}")
                if name not in existing:  # dbt builds it, or only Snowflake has it
                    columns = ", ".join(f"{column.name} {column.data_type}" for column in source.columns.values())
                    cursor.execute(f"create table if not exists {name} ({columns})")
                    continue
                rows = local.execute(f"select * from {name}")
                columns = ", ".join(f"{column[0]} {source.columns[column[0]].data_type}" for column in rows.description)
                cursor.execute(f"create or replace table {name} ({columns})")
                while batch := rows.fetchmany(500):
                    cursor.execute(f"insert into {name} values {', '.join(map(_literals, batch))}")


def _literals(row: Iterable[Any]) -> str:
    return f"({', '.join(map(_literal, row))})"


def _literal(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool() | int() | float() | Decimal():
            return str(value)
        case _:
            text = str(value).replace("\\", "\\\\").replace("'", "''")
            return f"'{text}'"


@dataclass
class _Table:
    columns: list[str]
    rows: list[tuple[Any, ...]]

    @classmethod
    def of(cls, cursor: Any) -> "_Table":
        names = [column[0].lower() for column in cursor.description]
        return cls(names, [tuple(map(_value, names, row)) for row in cursor.fetchall()])


def _value(column: str, value: Any) -> Any:
    """Convert a value so that both drivers agree: a whole number is an int, a list is a tuple."""
    if column in MOMENTS:
        return value is None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value.normalize()
    if isinstance(value, str) and value.startswith("[") and column.endswith("_list"):
        return tuple(json.loads(value))  # an array, which Snowflake's driver returns as JSON
    return tuple(value) if isinstance(value, list) else value


def _compared(local: _Table, snowflake: _Table) -> Iterator[str]:
    if local.columns != snowflake.columns:
        yield f"columns {local.columns} and {snowflake.columns}"
        return
    if len(local.rows) != len(snowflake.rows):
        yield f"{len(local.rows)} and {len(snowflake.rows)} rows"
        return
    pairs = zip(sorted(local.rows, key=_order), sorted(snowflake.rows, key=_order), strict=True)
    different = [(ours, theirs) for ours, theirs in pairs if not all(map(_is_same, ours, theirs))]
    if different:
        yield f"{len(different)} rows, for example {different[0][0]} and {different[0][1]}"


def _order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Sort by exact values first, then by floating-point numbers, which may differ in the last digits."""
    exact = [repr(value) for value in row if not isinstance(value, float)]
    return (*exact, *(repr(round(value, 6)) for value in row if isinstance(value, float)))


def _is_same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-9)
    return type(ours) is type(theirs) and ours == theirs


@dataclass
class Built:
    """The results of both builds."""

    both: Both
    first: list[Statement]
    second: list[Statement]
    empty: list[str]  # tables without a row after the first build
    differences: tuple[list[str], list[str]]
    incremental: tuple[dict[str, list[Any]], dict[str, list[Any]]]


@pytest.fixture(scope="module")
def built(dbt: SnowflakeDbt, s3_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Two builds, made once for all tests below: of the sample files, and after objects were overwritten and added."""
    folder = tmp_path_factory.mktemp("both")
    s3_client(s3_server).create_bucket(Bucket="both-warehouses")
    samples = generate(folder / "samples", scale=0.01)
    # Files that replace the samples, in the second build.
    whole = ("movielens/movies", "netflix/")
    replacing = [versions[-1] for versions in CHAINS if versions[0].key.startswith(whole)]
    others = [versions for versions in CHAINS if not versions[0].key.startswith(whole)]
    with (
        running_emulator(s3_server.folder) as server,
        server.new_database(DATABASE),
        LandingBucket(bucket="both-warehouses", local_home=str(s3_server.home)).open() as store,
    ):
        both = Both(folder, QuickDbt(folder / "local", variables=THRESHOLDS), dbt, server, _address(server, folder))

        world = make_world(0.01)
        before: Tables = {}

        def extract(number: int, days: Sequence[int]) -> dict[str, Path]:
            nonlocal before
            play_in(world, days)
            taken_at = END + timedelta(days=max(days, default=0))
            written = write_extracts(folder / "extracts", number, taken_at, world, before)
            before = copy_of(world)
            known = [date(2024, 6, 1) + timedelta(days=each) for each in range(214 + max(days, default=0))]
            hours = hours_of(date(2024, 12, 20), 2 + max(days, default=0))
            return written | write_feeds(folder / "feeds", known, hours)

        def land_and_sync(files: Sequence[Path], puts: Sequence[Put], extracts: Mapping[str, Path]) -> None:
            for key, path in ({landing_key(path): path for path in files} | dict(extracts)).items():
                store.put(key, path)
            for put in puts:
                upload = folder / "upload"
                upload.write_bytes(put.content)
                store.put(put.key, upload)
            with DuckDBWarehouse(folder / "warehouse.duckdb", wait_seconds=0) as warehouse:
                for dataset in all_datasets(load_sources()):
                    sync(dataset, store, warehouse, "run", work_folder=folder / "work")

        land_and_sync(samples, [versions[0] for versions in others], extract(1, []))
        first, different, rows = both.build(), both.differences(), both.incremental()
        empty = both.empty()
        changed = [*replacing, *(versions[1] for versions in others if len(versions) > 1)]
        land_and_sync([], changed, extract(2, [1, 2]) | extract(3, [3, 4]))
        # Tests take a third of the time, and they ran in the first build.
        second = both.build("--exclude-resource-type", "test", "unit_test")
        yield Built(both, first, second, empty, (different, both.differences()), (rows, both.incremental()))


def _address(server: SnowflakeEmulator, folder: Path) -> dict[str, str]:
    """The variables of a service user with an encrypted key, and the emulator's address."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / "key.p8"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"007")
        )
    )
    return {
        "NETFLIX_SNOWFLAKE_ACCOUNT": "emulated",
        "NETFLIX_SNOWFLAKE_USER": "NETFLIX_DEV_RUNNER",
        "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH": str(path),
        "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "007",
        "NETFLIX_SNOWFLAKE_HOST": server.host,
        "NETFLIX_SNOWFLAKE_PORT": str(server.port),
        "NETFLIX_SNOWFLAKE_PROTOCOL": "http",
        "NETFLIX_RUN_ID": RUN_ID,
    }


def test_emulated_tables_equal_those_on_duckdb(built: Built) -> None:
    assert len(built.both.relations()) > 20
    assert all(built.incremental[0].values())
    assert built.empty == []
    assert built.differences[0] == []


def test_emulated_tables_equal_those_on_duckdb_after_files_change(built: Built) -> None:
    before, after = built.incremental
    assert [name for name in INCREMENTAL if before[name] == after[name]] == []
    merged = {_target(each) for each in built.second if each.line.startswith("merge into")}
    assert merged == {tuple(name.split(".")) for name in INCREMENTAL}
    assert built.differences[1] == []


def test_emulated_statements_are_tagged_with_run_node_and_asset(built: Built) -> None:
    assets = {f"{layer}/{name}" for layer, name in built.both.relations()}
    tagged = set()
    for statements in (built.first, built.second):
        in_node = set()
        for statement in statements:
            tag = json.loads(statement.query_tag)
            assert (tag["project"], tag["env"]) == ("netflix_assets", "dev")
            if "alter session set query_tag" in statement.text:
                in_node.add(statement.session)
            elif statement.session in in_node:
                assert tag["run"] == RUN_ID
                target = "/".join(_target(statement) or ())
                assert target not in assets or tag["asset"] == target, statement.line[:200]
                tagged.add(tag["asset"])
    assert tagged >= assets
    tested = {json.loads(each.query_tag).get("asset") for each in built.first if "dbt_internal_test" in each.text}
    assert tested >= assets - {"snapshots/snap_movies", "snapshots/snap_tags"}


def test_emulated_statements_are_few(built: Built) -> None:
    nodes = built.both.snowflake.manifest.nodes.values()
    count = len([node for node in nodes if node.resource_type != "analysis"])
    assert len(built.first) <= 3 * count
    per_node = Counter(json.loads(each.query_tag).get("node") for each in built.second)
    # A snapshot needs 15, and one more counts its rows (dbt/macros/row_count.sql): metadata, no compute.
    assert {node: number for node, number in per_node.items() if node and number > 16} == {}


def test_emulated_tables_have_the_configured_table_type(built: Built) -> None:
    created = [each.line for each in built.first if re.match(r"create (or replace )?(transient )?table ", each.line)]
    permanent = {_target_of(line) for line in created if " transient " not in line.split(".")[0]}
    assert permanent == {("snapshots", "snap_movies"), ("snapshots", "snap_tags")}
    assert ("core", "dim_movies") in {_target_of(line) for line in created}
    for statements in (built.first, built.second):  # the second build replaces it too, in one statement
        [dynamic] = [each for each in statements if " dynamic table " in each.line]
        assert _target(dynamic) == ("marts", "mart_activity_by_hour")
        settings = " ".join(dynamic.text.split()).split(" as (")[0]
        warehouse = NAMES["NETFLIX_SNOWFLAKE_WAREHOUSE"]
        assert f"target_lag = '1 hour' warehouse = {warehouse} refresh_mode = FULL" in settings
    assert dynamic.line.startswith("create or replace transient dynamic table")
    clustered = {_target(each): each.line for each in built.first if " cluster by (" in each.line}
    assert set(clustered) == {
        ("core", "fct_ratings"),
        ("core", "fct_rating_versions"),
        ("core", "fct_genome_scores"),
        ("core", "fct_order_lines"),
        ("marts", "obt_order_lines"),
        ("marts", "obt_production_orders"),
    }
    assert "cluster by (date_trunc('month', rated_on), movie_id)" in clustered["core", "fct_ratings"]


def test_emulated_statements_succeed_parse_and_run_no_ddl_in_a_transaction(built: Built) -> None:
    """None failed, all parse as Snowflake SQL, and none is DDL inside a transaction, which it would commit."""
    within = set()
    for statement in [*built.first, *built.second]:
        assert statement.error is None, statement
        sqlglot.parse(statement.text, dialect="snowflake")
        verb = re.sub(r"^(--[^\n]*\n|\s)+", "", statement.text).split()[0].lower().rstrip(";")
        if statement.session in within:
            assert verb in ("insert", "merge", "commit"), statement.line
        if verb in ("begin", "commit"):
            (within.add if verb == "begin" else within.discard)(statement.session)
    assert within == set()


_TARGET = re.compile(
    r"(?:create (?:or replace )?(?:transient |temporary )?(?:(?:dynamic )?table|view)"
    r"|alter table|merge into|insert overwrite into)"
    rf"\s+{DATABASE.lower()}\.{PREFIX}(\w+)\.(\w+?)(?:__dbt_tmp)?\b"
)


def _target(statement: Statement) -> tuple[str, ...] | None:
    return _target_of(statement.line)


def _target_of(line: str) -> tuple[str, ...] | None:
    """(layer, name) of the relation that a statement creates or changes."""
    match = _TARGET.match(line.replace('"', "").lower())
    return match.groups() if match else None
