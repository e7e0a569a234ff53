"""Publishing from DuckDB: what consumers find in `published/current`, even while tables change or a publisher dies."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import duckdb
import pytest

from netflix_assets.contracts.visibility import Showable
from netflix_assets.warehouse.builds import NotServableError
from netflix_assets.warehouse.diff import compare
from netflix_assets.warehouse.duckdb.publisher import Attached
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.publishing import (
    Built,
    Published,
    PublishingError,
    ServedTable,
    VersionNotKeptError,
    problem_of,
)
from netflix_assets_tests.warehouse.publishing import (
    MARTS,
    POINTS,
    begin_build,
    build,
    finish_build,
    publish_in_a_process,
    publisher,
)


@pytest.fixture
def warehouse(tmp_path: Path) -> Callable[[], DuckDBWarehouse]:
    """Open the test's warehouse. Building and publishing take turns: only one process may hold it."""
    return lambda: DuckDBWarehouse(tmp_path / "warehouse.duckdb", wait_seconds=0)


def publish(home: Path) -> Published:
    return publisher(home).publish(MARTS)


def visible_builds(home: Path) -> set[int]:
    """The build numbers that a consumer reads from the database and the files. More than one means a mixed version."""
    current = (home / "published" / "current").resolve()
    manifest = json.loads((current / "manifest.json").read_text())
    numbers = set()
    with duckdb.connect(str(current / "netflix.duckdb"), read_only=True) as connection:
        for mart in MARTS:
            file = current / "parquet" / mart.schema / f"{mart.name}.parquet"
            for source in (mart.full_name, f"'{file}'"):
                rows = connection.execute(f"select distinct content, count(*) over () from {source}").fetchall()
                assert len(rows) == 1, f"{source}: {rows}"
                content, count = rows[0]
                assert count == 10 * content == manifest["tables"][mart.full_name]
                numbers.add(content)
    return numbers


def versions(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "published" / "versions").iterdir())


def files_of_current(home: Path) -> list[Path]:
    paths = (home / "published" / "current").resolve().rglob("*")
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_a_complete_passed_build_becomes_a_version(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    outcome = publish(tmp_path)
    assert outcome.is_new
    assert visible_builds(tmp_path) == {1}
    assert versions(tmp_path) == [outcome.publication.version]
    assert outcome.publication.version.endswith("Z-run00001")
    assert (tmp_path / "published" / "current").readlink() == Path("versions", outcome.publication.version)
    assert publisher(tmp_path).published() == outcome.publication
    assert outcome.size == sum(path.stat().st_size for path in files_of_current(tmp_path))
    with warehouse() as connection:
        assert problem_of(connection, outcome.publication) is None


def test_a_build_is_published_only_once(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    first = publish(tmp_path)
    file = tmp_path / "published" / "current" / "marts.duckdb"
    before = file.stat()
    again = publish(tmp_path)
    assert (again.is_new, again.publication) == (False, first.publication)
    assert versions(tmp_path) == [first.publication.version]
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_build_that_only_tested_makes_a_new_version(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    first = publish(tmp_path)
    with warehouse() as connection:
        finish_build(connection, 2, "another")
    second = publish(tmp_path)
    assert second.is_new
    assert second.publication.invocation_id == "another"
    assert second.publication.tables == first.publication.tables
    assert len(versions(tmp_path)) == 2


def test_the_manifest_lists_the_objects_current_at_the_start_of_the_build(tmp_path: Path, warehouse) -> None:
    loads = {  # load id -> current, superseded by, removed at; the build read loads up to 5
        1: (False, 3, None),  # overwritten before the build
        2: (False, 6, None),  # overwritten after the build
        3: (True, None, None),
        4: (False, None, datetime(2024, 4, 30)),  # removed before the build
        5: (False, None, datetime(2024, 5, 2)),  # removed after the build
        6: (True, None, None),  # loaded after the build
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
    ("make_unservable", "reason"),
    [
        (lambda it: build(it, 2, has_passed=False, problem="test unique_x: Got 3 results"), "unique_x: Got 3 results"),
        (lambda it: build(it, 2, is_whole=False), "not all"),
        (lambda it: begin_build(it, 2), "has not ended"),
        (lambda it: begin_build(it, 2, run_id=" "), "has not ended"),
        (lambda it: it.execute("drop table ops.builds"), "nothing has been built"),
        (lambda it: it.execute("delete from ops.builds"), "no build has been recorded"),
    ],
)
def test_a_partial_or_failed_build_changes_nothing(tmp_path: Path, warehouse, make_unservable, reason: str) -> None:
    with warehouse() as connection:
        build(connection, 1)
    first = publish(tmp_path)
    before = contents(tmp_path / "published")
    with warehouse() as connection:
        make_unservable(connection)
    with pytest.raises(NotServableError, match=reason):
        publish(tmp_path)
    assert contents(tmp_path / "published") == before
    with warehouse() as connection:
        assert reason in str(problem_of(connection, first.publication))


def contents(folder: Path) -> dict[str, bytes | str]:
    """The content of every file and the target of every link in a folder."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_publishing_before_the_first_build_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NotServableError, match="nothing has been built yet"):
        publish(tmp_path)
    assert publisher(tmp_path).published() is None
    assert list(tmp_path.iterdir()) == []


def test_a_missing_table_is_named_and_no_partial_version_is_left(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    with pytest.raises(PublishingError, match=r"not built yet: marts\.mart_new"):
        publisher(tmp_path).publish([*MARTS, ServedTable("marts", "mart_new")])
    assert not (tmp_path / "published").exists()


def test_tables_of_removed_models_are_not_published(tmp_path: Path, warehouse) -> None:
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
    # Bytes 12 to 19 of a DuckDB file hold its storage version: 67 is the one that DuckDB 1.4.0 reads and writes.
    assert int.from_bytes(file.read_bytes()[12:20], "little") <= 67
    assert duckdb.execute(
        f"select distinct compression from parquet_metadata('{file.parent}/parquet/*/*')"
    ).fetchall() == [("ZSTD",)]


def test_the_database_can_be_opened_under_both_names(tmp_path: Path, warehouse) -> None:
    """In a database named marts with a schema marts, the name marts.mart_movies would be ambiguous."""
    with warehouse() as connection:
        build(connection, 1)
    publish(tmp_path)
    for name in ("netflix", "marts"):
        with duckdb.connect(str(tmp_path / "published" / "current" / f"{name}.duckdb"), read_only=True) as connection:
            assert connection.execute("select distinct content from marts.mart_movies").fetchall() == [(1,)]


def test_published_files_are_read_only(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    publish(tmp_path)
    files = files_of_current(tmp_path)
    assert len(files) == 2 + len(MARTS)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}


def test_three_versions_are_kept_and_open_readers_keep_their_own(tmp_path: Path, warehouse) -> None:
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
    assert visible_builds(tmp_path) == {5}


def test_a_refused_publication_keeps_every_version_and_stray_files_are_ignored(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        build(connection, 1)
    first = publish(tmp_path)
    (tmp_path / "published" / "versions" / ".DS_Store").write_bytes(b"of a file manager")
    (tmp_path / "published" / "current").unlink()
    with warehouse() as connection:
        finish_build(connection, 2, "another")
        finish_build(connection, 3, "yet another", has_passed=False, problem="core/x: broken")
    with pytest.raises(NotServableError):
        publish(tmp_path)
    assert versions(tmp_path) == [".DS_Store", first.publication.version]
    with warehouse() as connection:
        build(connection, 4)
    assert publish(tmp_path).is_new
    assert visible_builds(tmp_path) == {4}


def test_readers_always_see_one_complete_version_and_never_a_lock(tmp_path: Path, warehouse) -> None:
    """While a writer holds the warehouse and versions are added and removed."""
    with warehouse() as connection:
        build(connection, 1)
    publish(tmp_path)
    ended, reads, faults = Event(), [], []

    def read_repeatedly() -> None:
        while not ended.is_set():
            try:
                reads.append(visible_builds(tmp_path))
            except Exception as error:  # any error that a consumer could see
                faults.append(error)

    reader = Thread(target=read_repeatedly)
    reader.start()
    try:
        for number in range(2, 8):
            with warehouse() as connection:
                build(connection, number)
                count = len(reads)
                while len(reads) < count + 2 and reader.is_alive() and not faults:
                    pass
            publish(tmp_path)
    finally:
        ended.set()
        reader.join()
    assert faults == []
    assert all(len(content) == 1 for content in reads)
    numbers = [min(content) for content in reads]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) >= 6


def test_publishing_waits_for_a_locked_warehouse_and_then_names_the_holder(tmp_path: Path, warehouse) -> None:
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
    assert visible_builds(tmp_path) == {1}


@pytest.fixture(scope="module")
def four_builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the maximum number of versions, and one more build."""
    home = tmp_path_factory.mktemp("four_builds")
    for number in range(1, 5):
        with DuckDBWarehouse(home / "warehouse.duckdb") as connection:
            build(connection, number)
        if number < 4:
            publish(home)
    return home


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_a_publisher_killed_at_any_point_leaves_the_old_or_the_new_version(
    four_builds: Path, tmp_path: Path, point: str, nth: int
) -> None:
    home = tmp_path / "home"
    shutil.copytree(four_builds, home, symlinks=True)
    is_killed = nth == 1 or point in _REACHED_TWICE
    assert publish_in_a_process(home, point, nth) == (-signal.SIGKILL if is_killed else 0)
    is_before_the_switch = list(POINTS).index(point) < list(POINTS).index("the link switched")
    assert visible_builds(home) == ({3} if is_killed and is_before_the_switch else {4})

    with DuckDBWarehouse(home / "warehouse.duckdb") as connection:
        build(connection, 5)
    version = publish(home).publication.version
    assert visible_builds(home) == {5}
    assert sorted(path.name for path in (home / "published").iterdir()) == ["current", "versions"]
    assert len(versions(home)) == 3
    assert versions(home)[-1] == version
    assert all((home / "published" / "versions" / each / "manifest.json").exists() for each in versions(home))


_REACHED_TWICE = ("a table copied", "a parquet file written", "a link made", "a file of an old version removed")


@pytest.fixture
def three_versions(tmp_path: Path, warehouse) -> list[str]:
    """The names of the versions of builds 1 to 3, oldest first."""
    for number in (1, 2, 3):
        with warehouse() as connection:
            build(connection, number)
        publish(tmp_path)
    return versions(tmp_path)


def test_a_pinned_version_is_served_whole_until_it_is_unpinned(tmp_path: Path, warehouse, three_versions) -> None:
    first, second, third = three_versions
    pinned = publisher(tmp_path).pin(first)
    assert visible_builds(tmp_path) == {1}
    assert (tmp_path / "published" / "current").readlink() == Path("pinned")
    shown = publisher(tmp_path).published()
    assert shown.version == pinned.version == first
    assert abs(shown.pinned_at - pinned.pinned_at).total_seconds() < 5
    with warehouse() as connection:
        assert "this version is pinned" in str(problem_of(connection, shown))

    publisher(tmp_path).pin(second)
    assert visible_builds(tmp_path) == {2}

    assert publisher(tmp_path).unpin().version == third
    assert visible_builds(tmp_path) == {3}
    assert publisher(tmp_path).published().pinned_at is None
    assert sorted(path.name for path in (tmp_path / "published").iterdir()) == ["current", "versions"]
    with warehouse() as connection:
        assert problem_of(connection, publisher(tmp_path).published()) is None


def test_builds_are_kept_but_not_served_while_a_version_is_pinned(tmp_path: Path, warehouse, three_versions) -> None:
    publisher(tmp_path).pin(three_versions[0])
    for number in (4, 5):
        with warehouse() as connection:
            build(connection, number)
        outcome = publish(tmp_path)
        assert outcome.is_new
        assert outcome.pinned.version == outcome.previous.version == three_versions[0]
        assert visible_builds(tmp_path) == {1}
        again = publish(tmp_path)
        assert (again.is_new, again.publication.version) == (False, outcome.publication.version)
    assert publisher(tmp_path).versions()[0].version == outcome.publication.version
    assert len(versions(tmp_path)) == 3
    assert versions(tmp_path)[0] == three_versions[0]

    publisher(tmp_path).unpin()
    assert visible_builds(tmp_path) == {5}


def test_only_a_kept_and_complete_version_is_served(tmp_path: Path, three_versions) -> None:
    before = contents(tmp_path / "published")
    with pytest.raises(VersionNotKeptError, match=r"version '\.\./x' is not kept"):
        publisher(tmp_path).pin("../x")
    assert contents(tmp_path / "published") == before
    file = tmp_path / "published" / "versions" / three_versions[0] / "netflix.duckdb"
    file.chmod(0o644)
    with duckdb.connect(str(file)) as connection:
        connection.execute("delete from core.fct_ratings where number = 3")
    with pytest.raises(PublishingError, match=r"is not complete: core\.fct_ratings has 9 of its 10 rows"):
        publisher(tmp_path).pin(three_versions[0])
    assert visible_builds(tmp_path) == {3}


@pytest.mark.parametrize("nth", [1, 2])
def test_pinning_killed_at_any_switch_leaves_one_whole_version(tmp_path: Path, three_versions, nth: int) -> None:
    script = (
        "import sys; from pathlib import Path; from netflix_assets_tests.warehouse import publishing as it; "
        "kills = iter(range(1, 9)); "
        "it.POINTS['the link switched'](lambda: next(kills) == int(sys.argv[2]) and it.os.kill(it.os.getpid(), 9)); "
        "it.publisher(Path(sys.argv[1])).pin(sys.argv[3])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path), str(nth), three_versions[0]], check=False)
    assert done.returncode == -signal.SIGKILL
    assert visible_builds(tmp_path) == ({3} if nth == 1 else {1})
    assert (publisher(tmp_path).published().pinned_at is not None) == (nth == 2)
    publisher(tmp_path).unpin()
    assert visible_builds(tmp_path) == {3}
    assert sorted(path.name for path in (tmp_path / "published").iterdir()) == ["current", "versions"]


def test_versions_and_built_tables_are_compared(tmp_path: Path, warehouse, three_versions) -> None:
    with warehouse() as connection:
        build(connection, 4)
        connection.execute("create schema pr_1_marts")
        connection.execute("create table pr_1_marts.mart_movies as select number, 3 as content from marts.mart_movies")
    third, second, _ = publisher(tmp_path).versions()
    marts = [replace(mart, key=("number",)) for mart in MARTS]
    found = []
    for candidate in (second, Built(), Built("pr_1_")):
        with publisher(tmp_path).comparing(third, candidate) as sides:
            tables = compare(sides.warehouse, sides.before, sides.after, marts, Showable(None))
            found.append({each.name: (each.state, each.added, each.removed, each.changed) for each in tables})
    names = [mart.full_name for mart in MARTS]
    version, built, branch = found
    assert version == dict.fromkeys(names, ("different", 0, 10, 20))
    assert built == dict.fromkeys(names, ("different", 10, 0, 30))
    unbuilt = dict.fromkeys(names, ("not built", 0, 0, 0))
    assert branch == {**unbuilt, "marts.mart_movies": ("different", 10, 0, 0)}


# ---------------------------------------------------------------- persons


def test_all_versions_but_the_served_one_are_forgotten(tmp_path: Path, warehouse, three_versions) -> None:
    with duckdb.connect(str(tmp_path / "published" / "versions" / versions(tmp_path)[0] / "netflix.duckdb")) as reader:
        forgotten = publisher(tmp_path).forget_others()
        assert len(forgotten) == 2
        assert reader.execute("select count(*) > 0 from marts.mart_movies").fetchall() == [(True,)]
    assert versions(tmp_path) == [(tmp_path / "published" / "current").resolve().name]
    assert visible_builds(tmp_path) == {3}
    with warehouse() as connection:
        build(connection, 4)
    assert publish(tmp_path).is_new


def test_persons_are_counted_in_tables_and_files_of_every_version(tmp_path: Path, warehouse) -> None:
    served = [*MARTS, ServedTable("core", "dim_users")]
    for number, user in ((1, 7), (2, 8)):
        with warehouse() as connection:
            build(connection, number)
            connection.execute(
                f"create or replace table core.dim_users as select {user} as user_id, 7 as other_user_id"
            )
        publisher(tmp_path).publish(served)
    counts = publisher(tmp_path).person_counts(["user_id"], "8")
    assert [(name.split("/", 3)[3], rows) for name, rows in counts.items()] == [
        ("netflix.duckdb/core.dim_users", 1), ("parquet/core/dim_users.parquet", 1)
    ]  # fmt: skip
    assert len(publisher(tmp_path).person_counts(["user_id"], "7")) == 4
    assert publisher(tmp_path).person_counts(["user_id"], "9") == {}


def test_what_does_not_fit_into_memory_spills_before_anything_is_published(tmp_path: Path, warehouse) -> None:
    with warehouse() as connection:
        file = connection.file
    spilled = tmp_path / "new" / "tmp"
    with Attached({"warehouse": file}, spilled, 0) as attached:
        attached.execute("set memory_limit = '100MB'")
        attached.execute("create temp table sorted as select * from range(12_000_000) as numbers(n) order by hash(n)")
        assert any(path.stat().st_size for path in spilled.rglob("*.tmp"))
        assert attached.query("select count(*) from sorted")[1] == [(12_000_000,)]
    assert not list(spilled.iterdir())
