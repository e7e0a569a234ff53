"""Publishing from DuckDB: what consumers find at `published/current`, whatever happens meanwhile."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import duckdb
import pytest

from netflix_assets.warehouse.builds import NotServableError
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.publishing import Mart, Published, PublishingError, problem_of
from netflix_assets_tests.warehouse.publishing import (
    MARTS,
    POINTS,
    begin_build,
    build,
    finish_build,
    publisher,
)


@pytest.fixture
def warehouse(tmp_path: Path) -> Callable[[], DuckDBWarehouse]:
    """Opens the warehouse of the test's home, which is built and published by one process at a time."""
    return lambda: DuckDBWarehouse(tmp_path / "warehouse.duckdb", wait_seconds=0)


def publish(home: Path) -> Published:
    return publisher(home).publish(MARTS)


def seen(home: Path) -> set[int]:
    """Which build's content a consumer sees, in the database and in the files; one number, or it is a mixture."""
    current = (home / "published" / "current").resolve()
    manifest = json.loads((current / "manifest.json").read_text())
    found = set()
    with duckdb.connect(str(current / "netflix.duckdb"), read_only=True) as connection:
        for mart in MARTS:
            file = current / "parquet" / mart.schema / f"{mart.name}.parquet"
            for source in (mart.full_name, f"'{file}'"):
                rows = connection.execute(f"select distinct content, count(*) over () from {source}").fetchall()
                assert len(rows) == 1, f"{source}: {rows}"
                content, count = rows[0]
                assert count == 10 * content == manifest["tables"][mart.full_name]
                found.add(content)
    return found


def versions(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "published" / "versions").iterdir())


def files_of_current(home: Path) -> list[Path]:
    found = (home / "published" / "current").resolve().rglob("*")
    return [path for path in found if path.is_file() and not path.is_symlink()]


def test_a_build_that_passed_whole_becomes_a_version(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    outcome = publish(tmp_path)
    assert outcome.is_new
    assert seen(tmp_path) == {1}
    assert versions(tmp_path) == [outcome.publication.version]
    assert outcome.publication.version.endswith("Z-run00001")
    assert (tmp_path / "published" / "current").readlink() == Path("versions", outcome.publication.version)
    assert publisher(tmp_path).published() == outcome.publication
    assert outcome.size == sum(path.stat().st_size for path in files_of_current(tmp_path))
    with warehouse() as connection:
        assert problem_of(connection, outcome.publication) is None


def test_the_same_build_is_published_once(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    first = publish(tmp_path)
    file = tmp_path / "published" / "current" / "marts.duckdb"
    before = file.stat()
    again = publish(tmp_path)
    assert (again.is_new, again.publication) == (False, first.publication)
    assert versions(tmp_path) == [first.publication.version]
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_describes_the_run_built_anew_is_another_version(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    first = publish(tmp_path)
    with warehouse() as connection:
        finish_build(connection, 2, "observations", "another")
    second = publish(tmp_path)
    assert second.is_new
    assert second.publication.invocation_id == first.publication.invocation_id
    assert len(versions(tmp_path)) == 2


def test_the_record_names_the_objects_that_were_current_when_the_build_began(tmp_path: Path, warehouse) -> None:
    loads = {  # load id -> current, superseded by, removed at; the build saw the loads up to 5
        1: (False, 3, None),  # overwritten before
        2: (False, 6, None),  # overwritten after
        3: (True, None, None),
        4: (False, None, datetime(2024, 4, 30)),  # removed before
        5: (False, None, datetime(2024, 5, 2)),  # removed after
        6: (True, None, None),  # loaded after
    }
    with warehouse() as connection:
        build(connection, 1, inputs={"shop/things": 5})
        for load_id, (is_current, superseded_by, removed_at) in loads.items():
            row = {
                "dataset": "shop/things", "load_id": load_id, "object_key": f"shop/{load_id}.csv",
                "etag": f"e{load_id}", "size_bytes": 10, "rows_loaded": 7, "is_current": is_current,
                "superseded_by": superseded_by,
                "removed_at": removed_at,
            }  # fmt: skip
            connection.insert_rows("loads", [row, {**row, "dataset": "shop/others"}])
    outcome = publish(tmp_path)
    assert [(each.dataset, each.load_id) for each in outcome.objects] == [("shop/things", each) for each in (2, 3, 5)]
    manifest = json.loads((tmp_path / "published" / "current" / "manifest.json").read_text())
    assert manifest["datasets"] == {
        "shop/things": [
            {"key": f"shop/{each}.csv", "etag": f"e{each}", "size": 10, "load_id": each, "rows": 7}
            for each in (2, 3, 5)
        ]
    }
    assert manifest["run_id"] == "run00001-of-dagster"
    assert datetime.fromisoformat(manifest["built_at"]) == datetime(2024, 5, 1, 13, 5, tzinfo=UTC)
    assert datetime.fromisoformat(manifest["published_at"]).utcoffset().total_seconds() == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda it: build(it, 2, has_passed=False, problem="test unique_x: Got 3 results"), "unique_x: Got 3 results"),
        (lambda it: build(it, 2, is_whole=False), "not all"),
        (lambda it: begin_build(it, 2), "has not ended"),
        (lambda it: begin_build(it, 2, run_id=" "), "has not ended"),
        (lambda it: finish_build(it, 2, "models", "x"), "did not reach the models that describe the run"),
        (lambda it: it.execute("drop table ops.builds"), "nothing has been built"),
        (lambda it: it.execute("delete from ops.builds"), "no build has been recorded"),
    ],
)
def test_what_has_not_passed_whole_changes_nothing(tmp_path: Path, warehouse, spoil, reason: str) -> None:
    with warehouse() as connection:
        build(connection, 1)
    first = publish(tmp_path)
    before = contents(tmp_path / "published")
    with warehouse() as connection:
        spoil(connection)
    with pytest.raises(NotServableError, match=reason):
        publish(tmp_path)
    assert contents(tmp_path / "published") == before
    with warehouse() as connection:
        assert reason in str(problem_of(connection, first.publication))


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every file and link below a folder, byte for byte."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_nothing_built_yet_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotServableError, match="nothing has been built yet"):
        publish(tmp_path)
    assert publisher(tmp_path).published() is None
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_not_there_is_named_and_nothing_stays_behind(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    with pytest.raises(PublishingError, match=r"not built yet: marts\.mart_new"):
        publisher(tmp_path).publish([*MARTS, Mart("marts", "mart_new")])
    assert not (tmp_path / "published").exists()


def test_tables_of_models_that_are_gone_are_not_published(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
        connection.execute("create table marts.mart_of_yesterday as select 1 as n")
        connection.execute("create schema staging")
        connection.execute("create view staging.stg_x as select 1 as n")
    publish(tmp_path)
    current = tmp_path / "published" / "current"
    with duckdb.connect(str(current / "marts.duckdb"), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables order by all"
        ).fetchall()
    assert tables == [(mart.schema, mart.name) for mart in MARTS]
    files = sorted(str(path.relative_to(current)) for path in current.glob("parquet/*/*"))
    assert files == [f"parquet/{mart.schema}/{mart.name}.parquet" for mart in MARTS]


def test_older_tools_can_open_the_database(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    publish(tmp_path)
    file = tmp_path / "published" / "current" / "marts.duckdb"
    with duckdb.connect(str(file), read_only=True) as connection:
        (tags,) = connection.execute("select tags from duckdb_databases() where path is not null").fetchone()
    assert tags["storage_version"].startswith("v1.4.0")
    # Bytes 12 to 19 of a DuckDB file are the version of its storage: 67 is what 1.4.0 reads and writes.
    assert int.from_bytes(file.read_bytes()[12:20], "little") <= 67
    assert duckdb.execute(
        f"select distinct compression from parquet_metadata('{file.parent}/parquet/*/*')"
    ).fetchall() == [("ZSTD",)]


def test_the_database_answers_by_both_its_names(tmp_path: Path, warehouse) -> None:
    """A database called marts with a schema marts would take marts.mart_movies for ambiguous."""
    with warehouse() as connection:
        build(connection, 1)
    publish(tmp_path)
    for name in ("netflix", "marts"):
        with duckdb.connect(str(tmp_path / "published" / "current" / f"{name}.duckdb"), read_only=True) as connection:
            assert connection.execute("select distinct content from marts.mart_movies").fetchall() == [(1,)]


def test_consumers_cannot_change_what_is_published(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    publish(tmp_path)
    files = files_of_current(tmp_path)
    assert len(files) == 2 + len(MARTS)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}


def test_the_newest_three_versions_stay_and_open_readers_keep_theirs(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    publish(tmp_path)
    file = tmp_path / "published" / "current" / "netflix.duckdb"
    published = []
    with duckdb.connect(str(file), read_only=True) as reader:
        for number in range(2, 6):
            with warehouse() as connection:
                build(connection, number)
            published.append(publish(tmp_path).publication.version)
            rows = reader.execute("select distinct content from marts.mart_movies").fetchall()
            assert rows == [(1,)]
    assert versions(tmp_path) == published[-3:]
    assert seen(tmp_path) == {5}


def test_a_refused_publication_removes_no_version_and_a_stray_file_is_no_matter(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    first = publish(tmp_path)
    (tmp_path / "published" / "versions" / ".DS_Store").write_bytes(b"of a file manager")
    (tmp_path / "published" / "current").unlink()
    with warehouse() as connection:
        finish_build(connection, 2, "observations", "another")
        finish_build(connection, 3, "models", "yet another", has_passed=False, problem="core/x: broken")
    with pytest.raises(NotServableError):
        publish(tmp_path)
    assert versions(tmp_path) == [".DS_Store", first.publication.version]
    with warehouse() as connection:
        build(connection, 4)
    assert publish(tmp_path).is_new
    assert seen(tmp_path) == {4}


def test_readers_see_one_whole_version_at_every_moment_and_never_a_lock(tmp_path: Path, warehouse) -> None:
    """While a writer holds the warehouse and versions come and go."""
    with warehouse() as connection:
        build(connection, 1)
    publish(tmp_path)
    ended, looks, faults = Event(), [], []

    def look() -> None:
        while not ended.is_set():
            try:
                looks.append(seen(tmp_path))
            except Exception as error:  # whatever a consumer meets
                faults.append(error)

    reader = Thread(target=look)
    reader.start()
    try:
        for number in range(2, 8):
            with warehouse() as connection:
                build(connection, number)
                count = len(looks)
                while len(looks) < count + 2 and reader.is_alive() and not faults:
                    pass
            publish(tmp_path)
    finally:
        ended.set()
        reader.join()
    assert faults == []
    assert all(len(content) == 1 for content in looks)
    numbers = [min(content) for content in looks]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) >= 6


def test_the_warehouse_held_by_another_process_is_waited_for_and_then_named(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    holder = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "warehouse.duckdb")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "held\n"
        with pytest.raises(WarehouseError, match=f"is held by process {process.pid}"):
            publish(tmp_path)
        assert publisher(tmp_path).published() is None
        waiting = Thread(target=lambda: publisher(tmp_path, wait_seconds=30).publish(MARTS))
        waiting.start()
        process.stdin.close()
        waiting.join()
    assert seen(tmp_path) == {1}


@pytest.fixture(scope="module")
def four_builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with as many versions as are kept, and one build more."""
    home = tmp_path_factory.mktemp("four_builds")
    for number in range(1, 5):
        with DuckDBWarehouse(home / "warehouse.duckdb") as connection:
            build(connection, number)
        if number < 4:
            publish(home)
    return home


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_consumers_have_the_old_version_or_the_new_one(
    four_builds: Path, tmp_path: Path, point: str, nth: int
) -> None:
    home = tmp_path / "home"
    shutil.copytree(four_builds, home, symlinks=True)
    command = [sys.executable, "-m", "netflix_assets_tests.warehouse.publishing", str(home), point, str(nth)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    is_dead = nth == 1 or point in _PASSED_TWICE
    assert done.returncode == (-signal.SIGKILL if is_dead else 0), done.stderr
    is_before_the_switch = list(POINTS).index(point) < list(POINTS).index("the link switched")
    assert seen(home) == ({3} if is_dead and is_before_the_switch else {4})

    with DuckDBWarehouse(home / "warehouse.duckdb") as connection:
        build(connection, 5)
    version = publish(home).publication.version
    assert seen(home) == {5}
    assert sorted(path.name for path in (home / "published").iterdir()) == ["current", "versions"]
    assert len(versions(home)) == 3
    assert versions(home)[-1] == version
    assert all((home / "published" / "versions" / each / "manifest.json").exists() for each in versions(home))


_PASSED_TWICE = ("a table copied", "a parquet file written", "a link made", "a file of an old version removed")
