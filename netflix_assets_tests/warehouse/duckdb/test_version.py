"""What a version shares with the version before, and that neither needs the other."""

import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import duckdb
import pytest

from netflix_assets.warehouse.duckdb import version as module
from netflix_assets.warehouse.duckdb.version import copy_file, parquet_file
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.publishing import Published, ServedTable
from netflix_assets_tests.warehouse.publishing import (
    MARTS,
    POINTS,
    SHARING_POINTS,
    STORED,
    build,
    finish_build,
    publish_in_a_process,
    publisher,
)


def build_and_publish(home: Path, number: int, unchanged: Collection[str] = ()) -> Published:
    with DuckDBWarehouse(home / "warehouse.duckdb", wait_seconds=0) as warehouse:
        build(warehouse, number, unchanged=unchanged)
    return publisher(home).publish(MARTS)


def current(home: Path) -> Path:
    return (home / "published" / "current").resolve()


def inodes(version: Path) -> dict[str, int]:
    """Table, or name of another file -> the inode of its file."""
    files = (file for file in version.rglob("*") if file.is_file() and not file.is_symlink())
    return {file.stem if file.suffix == ".parquet" else file.name: file.stat().st_ino for file in files}


def contents(version: Path) -> dict[str, set[int]]:
    """Table -> what its rows contain, in the database and in the file, as plain DuckDB reads them."""
    found: dict[str, set[int]] = {}
    with duckdb.connect(str(version / "netflix.duckdb"), read_only=True) as connection:
        for mart in MARTS:
            for source in (mart.full_name, f"'{parquet_file(version, mart.full_name)}'"):
                rows = connection.execute(f"select content, count(*) from {source} group by content").fetchall()
                assert all(count == 10 * content for content, count in rows)
                found.setdefault(mart.name, set()).update(content for content, _ in rows)
    return found


def test_only_changed_tables_are_written(tmp_path: Path) -> None:
    assert build_and_publish(tmp_path, 1).shared == frozenset()
    first = inodes(current(tmp_path))
    outcome = build_and_publish(tmp_path, 2, unchanged={"core.fct_ratings"})
    assert outcome.shared < STORED
    second = inodes(current(tmp_path))
    assert {name for name in first if first[name] == second[name]} == {"fct_ratings"}
    assert contents(current(tmp_path)) == {"fct_ratings": {1}, "mart_by_hour": {2}, "mart_movies": {2}}


def test_a_database_of_which_most_is_unchanged_is_copied_and_the_rest_replaced(tmp_path: Path, monkeypatch) -> None:
    copied = []
    monkeypatch.setattr(module, "copy_file", lambda *files: (copied.append(files), copy_file(*files)))
    build_and_publish(tmp_path, 1)
    first = current(tmp_path)
    outcome = build_and_publish(tmp_path, 2, unchanged=STORED)  # mart_by_hour stores no rows: it is always written
    assert outcome.shared == STORED
    assert [source.parent for source, _ in copied] == [first]
    assert contents(first) == {"fct_ratings": {1}, "mart_by_hour": {1}, "mart_movies": {1}}
    assert contents(current(tmp_path)) == {"fct_ratings": {1}, "mart_by_hour": {2}, "mart_movies": {1}}
    build_and_publish(tmp_path, 3)
    assert len(copied) == 1


def test_a_build_that_changed_no_table_takes_no_space(tmp_path: Path) -> None:
    stored = [mart for mart in MARTS if mart.is_stored]
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
        build(warehouse, 1)
    first = publisher(tmp_path).publish(stored)
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
        finish_build(warehouse, 2, "of tests alone")
    before = inodes(current(tmp_path))
    outcome = publisher(tmp_path).publish(stored)
    after = inodes(current(tmp_path))
    assert (outcome.is_new, outcome.shared) == (True, STORED)
    assert outcome.publication.version != first.publication.version
    assert {name for name in after if before[name] != after[name]} == {"manifest.json"}


@pytest.mark.parametrize("change", ["update ops.node_states set content = ''", "drop table ops.node_states"])
def test_a_table_of_unknown_origin_is_always_written(tmp_path: Path, change: str) -> None:
    """Its loads changed while it was built, or an earlier version of this project built it."""
    for number in (1, 2):
        with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
            build(warehouse, number, unchanged=STORED if number == 2 else ())
            warehouse.execute(change)
        assert publisher(tmp_path).publish(MARTS).shared == frozenset()
    assert contents(current(tmp_path))["fct_ratings"] == {1}


def test_a_table_built_again_from_the_same_code_and_loads_is_written(tmp_path: Path) -> None:
    build_and_publish(tmp_path, 1)
    first = inodes(current(tmp_path))
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
        build(warehouse, 2, unchanged=STORED)
        warehouse.execute("update ops.node_states set invocation_id = 'another' where node_id like '%.mart_movies'")
    publisher(tmp_path).publish(MARTS)
    second = inodes(current(tmp_path))
    assert {name for name in first if first[name] == second[name]} == {"fct_ratings"}


def test_a_view_is_always_written(tmp_path: Path) -> None:
    build_and_publish(tmp_path, 1)
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
        build(warehouse, 2, unchanged={mart.full_name for mart in MARTS})
        warehouse.execute("update marts.mart_by_hour set content = 7")  # as a table that it reads may
    assert publisher(tmp_path).publish(MARTS).shared == STORED
    with duckdb.connect(str(current(tmp_path) / "netflix.duckdb"), read_only=True) as connection:
        assert connection.sql("select distinct content from marts.mart_by_hour").fetchall() == [(7,)]


def test_a_version_outlives_those_that_it_shares_with_and_reads_anywhere(tmp_path: Path) -> None:
    home = tmp_path / "home"
    build_and_publish(home, 1)
    first = current(home)
    for number in (2, 3, 4):
        build_and_publish(home, number, unchanged=STORED)
    assert not first.exists()
    assert contents(current(home)) == {"fct_ratings": {1}, "mart_by_hour": {4}, "mart_movies": {1}}
    moved = Path(shutil.move(current(home), tmp_path / "moved"))
    shutil.rmtree(home)
    script = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql(sys.argv[2]).fetchall())"
    query = f"select count(*) from core.fct_ratings union all select count(*) from '{moved}/parquet/core/*.parquet'"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(moved / "netflix.duckdb"), query],
        cwd="/", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[(10,), (10,)]\n"


def test_tables_of_removed_models_are_not_in_the_copy(tmp_path: Path) -> None:
    build_and_publish(tmp_path, 1)
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
        build(warehouse, 2, unchanged=STORED)
    publisher(tmp_path).publish([mart for mart in MARTS if mart.is_stored])
    with duckdb.connect(str(current(tmp_path) / "netflix.duckdb"), read_only=True) as connection:
        assert connection.sql("select table_name from duckdb_tables() order by 1").fetchall() == [
            ("fct_ratings",), ("mart_movies",)
        ]  # fmt: skip
    assert inodes(current(tmp_path)).keys() == {"netflix.duckdb", "manifest.json", "fct_ratings", "mart_movies"}


def lose_a_parquet_file(version: Path) -> None:
    parquet_file(version, "core.fct_ratings").unlink()


def cut_a_parquet_file(version: Path) -> None:
    file = parquet_file(version, "core.fct_ratings")
    file.chmod(0o644)
    os.truncate(file, 100)


def lose_a_row(version: Path) -> None:
    file = version / "netflix.duckdb"
    file.chmod(0o644)
    with duckdb.connect(str(file)) as connection:
        connection.execute("delete from core.fct_ratings where number = 3")


def cut_the_database(version: Path) -> None:
    file = version / "netflix.duckdb"
    file.chmod(0o644)
    os.truncate(file, 5000)


def lose_the_database(version: Path) -> None:
    (version / "netflix.duckdb").unlink()


@pytest.mark.parametrize(
    "damage", [lose_a_parquet_file, cut_a_parquet_file, lose_a_row, cut_the_database, lose_the_database]
)
def test_a_damaged_version_is_not_shared(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    build_and_publish(tmp_path, 1)
    damage(current(tmp_path))
    assert "core.fct_ratings" not in build_and_publish(tmp_path, 2, unchanged=STORED).shared
    assert contents(current(tmp_path)) == {"fct_ratings": {1}, "mart_by_hour": {2}, "mart_movies": {1}}


def test_where_links_and_copies_within_the_kernel_are_refused_files_are_copied(tmp_path: Path, monkeypatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    build_and_publish(tmp_path, 1)
    first = inodes(current(tmp_path))
    monkeypatch.setattr(Path, "hardlink_to", refused)
    monkeypatch.setattr(os, "copy_file_range", refused)
    build_and_publish(tmp_path, 2, unchanged=STORED)
    assert not {*first.values()} & {*inodes(current(tmp_path)).values()}
    assert contents(current(tmp_path)) == {"fct_ratings": {1}, "mart_by_hour": {2}, "mart_movies": {1}}


def test_rows_of_replaced_tables_are_not_left_in_the_copy(tmp_path: Path) -> None:
    """DuckDB keeps the blocks of a dropped table in the file. The number is one that no compression changes."""
    canary, served = 0x5A45425241AB51F7, [*MARTS, ServedTable("core", "dim_users")]
    numbers = "select hash(range) as id, range as n from range({})"
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
        build(warehouse, 1)
        warehouse.execute(f"create or replace table core.fct_ratings as {numbers.format(10**6)}")
        warehouse.execute(f"create table core.dim_users as {numbers.format(4 * 10**5)}")
        warehouse.execute(f"update core.dim_users set id = {canary} where n % 1000 = 0")
    publisher(tmp_path).publish(served)
    first = current(tmp_path) / "netflix.duckdb"
    assert struct.pack("<Q", canary) in first.read_bytes()
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb") as warehouse:
        build(warehouse, 2, unchanged=STORED)
        warehouse.execute(f"create or replace table core.dim_users as {numbers.format(10**5)}")
    outcome = publisher(tmp_path).publish(served)
    second = current(tmp_path) / "netflix.duckdb"
    assert "core.fct_ratings" in outcome.shared
    assert struct.pack("<Q", canary) not in second.read_bytes()
    assert second.stat().st_size <= first.stat().st_size + 2**20
    with duckdb.connect(str(second), read_only=True) as connection:
        assert connection.sql("select count(*) from core.dim_users").fetchall() == [(10**5,)]
        assert connection.sql("select table_name from duckdb_tables() where schema_name = 'main'").fetchall() == []


@pytest.fixture(scope="module")
def three_sharing_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the maximum number of versions, which share tables, and one more build."""
    home = tmp_path_factory.mktemp("three_sharing_versions")
    build_and_publish(home, 1)
    for number in (2, 3):
        build_and_publish(home, number, unchanged=STORED)
    with DuckDBWarehouse(home / "warehouse.duckdb") as warehouse:
        build(warehouse, 4, unchanged={"core.fct_ratings", "marts.mart_movies"})
    return home


@pytest.mark.parametrize("point", [each for each in (*POINTS, *SHARING_POINTS) if each != "a parquet file written"])
def test_a_publisher_killed_at_any_point_leaves_versions_that_share_whole(
    three_sharing_versions: Path, tmp_path: Path, point: str
) -> None:
    home = tmp_path / "home"
    subprocess.run(["cp", "-a", str(three_sharing_versions), str(home)], check=True)  # keeps links
    before = {version: contents(version) for version in sorted((home / "published" / "versions").iterdir())}
    assert publish_in_a_process(home, point) == -signal.SIGKILL
    kept = [version for version in before if (version / "manifest.json").exists()]
    assert len(kept) >= 2
    assert all(contents(version) == before[version] for version in kept)
    assert contents(current(home))["mart_by_hour"] in ({3}, {4})

    outcome = build_and_publish(home, 5, unchanged=STORED)
    assert outcome.shared == STORED
    assert contents(current(home)) == {"fct_ratings": {1}, "mart_by_hour": {5}, "mart_movies": {1}}
    assert len(list((home / "published" / "versions").iterdir())) == 3


def test_a_copied_file_has_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3 * 2**20 + 17))
    copy_file(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
