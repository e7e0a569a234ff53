"""A backup of a home in use restores to a home that goes on from there."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from netflix_assets_tests.cli.command import run
from netflix_assets_tests.warehouse.duckdb.test_version import build_and_publish, contents
from netflix_assets_tests.warehouse.publishing import STORED

# Writes what a run and an upload write, without pause, until it is killed.
WRITER = """
import pathlib, sqlite3, sys, duckdb
home = pathlib.Path(sys.argv[1])
history = sqlite3.connect(home / "dagster" / "busy.db", isolation_level=None)
history.execute("create table if not exists events (id integer)")
for number in range(10**9):
    history.execute("insert into events values (?)", (number,))
    while True:
        try:
            with duckdb.connect(str(home / "warehouse.duckdb")) as warehouse:
                warehouse.execute("create table if not exists ops.busy (id integer)")
                warehouse.execute("insert into ops.busy select range from range(1000)")
            break
        except duckdb.IOException:
            pass
    print(number, flush=True)
"""


def status(home: Path) -> dict:
    return json.loads(run(home, "status", "--json").stdout)


@pytest.mark.long  # a run in a restored home
def test_a_home_in_use_is_backed_up_and_restored(loaded: Path, tmp_path: Path) -> None:
    before, folder, restored = status(loaded), tmp_path / "backup", tmp_path / "restored"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(loaded)], stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert [writer.stdout.readline() for _ in range(3)][-1] == "2\n"
            done = run(loaded, "backup", str(folder))
            written = int(writer.stdout.readline())  # it goes on
        finally:
            writer.kill()
    assert (done.returncode, done.stderr) == (0, "")
    assert f"netflix-assets restore {folder}" in done.stdout
    done = run(restored, "restore", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    after = status(restored)
    assert after["datasets"] == before["datasets"]
    assert after["published"]["version"] == before["published"]["version"]
    with duckdb.connect(str(restored / "warehouse.duckdb"), read_only=True) as warehouse:
        [(busy,)] = warehouse.execute("select count(*) from ops.busy").fetchall()
        assert busy % 1000 == 0  # whole transactions only
    assert busy > 0
    assert written >= 3
    with closing(sqlite3.connect(restored / "dagster" / "busy.db")) as history:
        assert history.execute("pragma integrity_check").fetchall() == [("ok",)]
    assert (restored / "published" / "current").resolve().is_relative_to(restored)
    done = run(restored, "run", "--select", 'key:"raw/movielens/tags"')
    assert done.returncode == 0, done.stderr
    assert status(restored)["datasets"] == before["datasets"]  # nothing was loaded again


def test_files_that_versions_share_are_shared_in_the_backup_and_in_the_restored_home(tmp_path: Path) -> None:
    home, folder, restored = (tmp_path / name for name in ("home", "backup", "restored"))
    build_and_publish(home, 1)
    build_and_publish(home, 2, unchanged=STORED)
    assert run(home, "backup", str(folder)).returncode == 0
    assert run(restored, "restore", str(folder)).returncode == 0
    for place in (home, folder, restored):
        files = list(place.glob("published/versions/*/parquet/core/fct_ratings.parquet"))
        assert (len(files), len({file.stat().st_ino for file in files})) == (2, 1)
        assert contents((place / "published" / "current").resolve()) == {
            "fct_ratings": {1}, "mart_by_hour": {2}, "mart_movies": {1}
        }  # fmt: skip


def test_refusals(loaded: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    done = run(loaded, "backup", str(tmp_path / "there"))
    assert (done.returncode, done.stderr) == (
        2,
        f"netflix-assets: {tmp_path / 'there'} already exists. Choose another name\n",
    )
    done = run(tmp_path / "empty", "backup", str(tmp_path / "new"))
    assert done.returncode == 2
    assert "has no warehouse yet; nothing to back up" in done.stderr
    done = run(tmp_path / "other", "restore", str(tmp_path / "there"))
    assert (done.returncode, done.stderr) == (
        2, f"netflix-assets: {tmp_path / 'there'} is not a backup: it has no warehouse.duckdb\n"
    )  # fmt: skip
    done = run(loaded, "restore", str(loaded))
    assert done.returncode == 2
    assert "Remove it first with netflix-assets reset, or restore into another NETFLIX_HOME" in done.stderr
    assert not (tmp_path / "new").exists()
