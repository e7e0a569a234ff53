"""The DuckDB warehouse: locked files, read-only connections, and names that break carelessly quoted SQL."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from netflix_assets.ingest.load import Committed, commit_loads
from netflix_assets.ingest.validate import validate
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.loads import Counts, StagedObject
from netflix_assets.warehouse.relations import Relation
from netflix_assets_tests.conftest import make_column, make_dataset

THINGS = make_dataset(
    make_column("id", "integer", min=1),
    make_column("price", "decimal(6,2)", nullable=True),
    make_column("label", "text", nullable=True),
)

HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.readline()"


@contextmanager
def held_by_another_process(file: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def staged(folder: Path, content: str, key: str = "shop/things.csv", etag: str = "1") -> StagedObject:
    file = validate([content.encode()], THINGS, folder / f"{etag}.csv")
    return StagedObject(ObjectVersion("bucket", key, etag, len(content), datetime(2024, 5, 1, tzinfo=UTC)), file)


def test_opening_waits_for_a_locked_file_and_then_names_the_holder(tmp_path):
    file = tmp_path / "warehouse.duckdb"
    with held_by_another_process(file) as holder:
        started = time.monotonic()
        with pytest.raises(WarehouseError) as raised:
            DuckDBWarehouse(file, wait_seconds=0.5)
        assert 0.5 <= time.monotonic() - started < 5
    assert f"{file} is held by process {holder.pid}: " in str(raised.value)
    assert "import duckdb, sys" in str(raised.value)
    assert str(raised.value).endswith("waited 0 s. Let that program finish, or close it, and try again")


def test_a_file_opens_once_its_lock_is_released(tmp_path):
    file = tmp_path / "warehouse.duckdb"
    with held_by_another_process(file) as holder:
        letting_go = threading.Timer(0.5, holder.kill)
        letting_go.start()
        started = time.monotonic()
        with DuckDBWarehouse(file, wait_seconds=30) as warehouse:
            assert time.monotonic() - started >= 0.4
            assert warehouse.execute("select 1") == [(1,)]


def test_a_reader_is_also_locked_out_while_another_process_writes(tmp_path):
    file = tmp_path / "warehouse.duckdb"
    with held_by_another_process(file) as holder, pytest.raises(WarehouseError, match=f"process {holder.pid}: "):
        DuckDBWarehouse(file, wait_seconds=0, read_only=True)


def test_a_file_that_is_not_a_database_is_named(tmp_path):
    file = tmp_path / "warehouse.duckdb"
    file.write_text("not a database" * 1000)
    with pytest.raises(WarehouseError) as raised:
        DuckDBWarehouse(file, wait_seconds=30)
    assert str(file) in str(raised.value)


def test_read_only_connections_share_the_file_and_cannot_write(tmp_path):
    file = tmp_path / "deep" / "folder" / "warehouse.duckdb"
    with DuckDBWarehouse(file) as warehouse:
        warehouse.prepare(THINGS)
        commit_loads(THINGS, warehouse, [staged(tmp_path, "id,price,label\n1,2.50,x\n")], "run-1")
    with DuckDBWarehouse(file, read_only=True) as warehouse, DuckDBWarehouse(file, read_only=True) as second:
        for reader in (warehouse, second):
            assert reader.counts(THINGS) == Counts(0, 1, 1, 0, 0)
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            warehouse.execute("delete from raw.shop_things")


def test_preparing_twice_changes_nothing(tmp_path, warehouse):
    warehouse.prepare(THINGS)
    commit_loads(THINGS, warehouse, [staged(tmp_path, "id,price,label\n1,2.50,x\n")], "run-1")
    warehouse.prepare(THINGS)
    assert warehouse.counts(THINGS) == Counts(0, 1, 1, 0, 0)
    assert warehouse.execute("select dataset, last_load_id from ops.load_locks") == [("shop/things", 1)]


def test_tables_have_the_column_types_of_the_contract(warehouse):
    every = make_dataset(
        *(
            make_column(f"c{at}", kind)
            for at, kind in enumerate(
                ["integer", "bigint", "decimal(9,4)", "double", "boolean", "date", "timestamp", "text"]
            )
        )
    )
    warehouse.prepare(every)
    types = {
        "c0": "integer", "c1": "bigint", "c2": "decimal(9,4)", "c3": "double", "c4": "boolean", "c5": "date",
        "c6": "timestamp", "c7": "varchar", "_load_id": "integer",
    }  # fmt: skip
    described = warehouse.describe([("raw", "shop_things"), ("raw", "shop_things_current"), ("raw", "missing")])
    assert described == {
        ("raw", "shop_things"): Relation(0, types),
        ("raw", "shop_things_current"): Relation(0, {**types, "_object_key": "varchar"}),
    }


@pytest.mark.parametrize(
    "key", ["shop/things-o'brien.csv", 'shop/things-"x".csv', "shop/things-'; drop table x; --.csv"]
)
def test_object_keys_with_quotes_are_stored_unchanged(tmp_path, warehouse, key):
    warehouse.prepare(THINGS)
    odd = staged(tmp_path, "id,price,label\n1,,it's\nx,,y\n", key)
    done = commit_loads(THINGS, warehouse, [odd], "it's")
    loads, refused = done.loads, done.refused
    assert ([load.listed.key for load in loads], refused) == ([key], [])
    assert warehouse.execute("select id, label, _object_key from raw.shop_things_current") == [(1, "it's", key)]
    assert [row["object_key"] for row in warehouse.rejected_rows(THINGS)] == [key]


@pytest.mark.parametrize("folder", ["it's here", "a [1] b", "star*", "what?", "ünï", "percent%20"])
def test_files_load_from_folders_with_special_characters(tmp_path, warehouse, folder):
    (tmp_path / folder).mkdir()
    warehouse.prepare(THINGS)
    loads = commit_loads(THINGS, warehouse, [staged(tmp_path / folder, "id,price,label\n1,2.50,x\n")], "run-1").loads
    assert [load.rows_loaded for load in loads] == [1]


def test_quotes_in_names_and_values_do_not_break_the_statement(tmp_path, warehouse):
    odd = make_dataset(
        make_column("a", source_name='it\'s "a"', values=("it's", '"')),
        make_column("b", source_name="b'; --", pattern=r"[^']*'[^']*"),
    )
    file = validate([b'"it\'s ""a""",b\'; --\nit\'s,x\'y\n"""",z\n"""",\'\n'], odd, tmp_path / "odd.csv")
    warehouse.prepare(odd)
    listed = ObjectVersion("bucket", "shop/things.csv", "1", 1, datetime(2024, 5, 1, tzinfo=UTC))
    commit_loads(odd, warehouse, [StagedObject(listed, file)], "run-1")
    assert warehouse.execute("select a, b from raw.shop_things order by a") == [('"', "'"), ("it's", "x'y")]
    assert [row["reason"] for row in warehouse.rejected_rows(odd)] == ["b 'z' does not match [^']*'[^']*"]


def test_a_failed_transaction_leaves_nothing(warehouse):
    warehouse.execute("create table kept (n integer)")

    def fail_inside() -> None:
        with warehouse.transaction():
            warehouse.execute("insert into kept values (1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_inside()
    assert warehouse.execute("select count(*) from kept") == [(0,)]
    with warehouse.transaction():
        warehouse.execute("insert into kept values (2)")
    assert warehouse.execute("select n from kept") == [(2,)]


def test_a_second_commit_does_not_load_a_current_version_again(tmp_path, warehouse):
    # Two runs may plan the same load; the ledger is read again under the lock.
    warehouse.prepare(THINGS)
    first = staged(tmp_path, "id,price,label\n1,2.50,x\n")
    assert len(commit_loads(THINGS, warehouse, [first], "run-1").loads) == 1
    assert commit_loads(THINGS, warehouse, [first], "run-2") == Committed()
    assert warehouse.counts(THINGS) == Counts(0, 1, 1, 0, 0)
