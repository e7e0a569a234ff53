"""kill -9 of dbt during a snapshot leaves the history as before or as after, never half of it.

A process takes a snapshot and is killed at a named point. The warehouse must then contain the history from before or
after the snapshot, with at most one current version of each key and no duplicate version. One more snapshot must give
the result of an undisturbed one. `make test-long` kills at each point once, --cases at each point of each snapshot.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

from netflix_assets_tests.forks import FORKS
from netflix_assets_tests.proof.arrivals import MOVIES, TAGS, Put
from netflix_assets_tests.proof.quick_dbt import QuickDbt
from netflix_assets_tests.proof.test_shuffles import Place, place

KILLED = -9
KEYS = {"snap_movies": ("movie_id",), "snap_tags": ("user_id", "movie_id", "tag")}
BEFORE = [MOVIES[0][0], *(versions[0] for versions in TAGS)]
# Films are removed, added and changed; tags change their time, are removed and added.
AFTER = [MOVIES[2][-1], *(versions[1] for versions in TAGS if len(versions) > 1)]

# Point -> the first word of the writing statement after which the process is killed.
POINTS = {
    "staged": "create",
    "old versions ended": "update",
    "new versions written": "insert",
    "committed": "commit",
}


def snapshot_and_die(dbt: QuickDbt, home: Path, name: str, point: str) -> None:
    """Take the snapshot ``name`` in this process and die at the point."""
    original = DuckDBCursorWrapper.execute
    written = []

    def execute(self: DuckDBCursorWrapper, sql: str, bindings: object = None) -> object:
        result = None
        for statement in _statements(sql):
            result = original(self, statement, bindings)
            verb = statement.split(maxsplit=1)[0].lower()
            written.extend([verb] if name in statement else [])
            # dbt also commits before it writes anything.
            if verb == POINTS[point] and (name in statement or (verb == "commit" and "insert" in written)):
                os.kill(os.getpid(), signal.SIGKILL)
        return result

    DuckDBCursorWrapper.execute = execute
    dbt.build(home, "--select", name)


def _statements(sql: str) -> Iterator[str]:
    """The statements of a SQL text without dbt's comment; dbt sends a snapshot's update and insert as one text."""
    for statement in sql.rpartition("*/")[2].split(";\n"):
        if statement.strip():
            yield statement.strip()


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> QuickDbt:
    return QuickDbt(tmp_path_factory.mktemp("quick_dbt"))


@pytest.fixture(scope="module")
def killed(dbt: QuickDbt) -> Callable[[Place, str, str], int | None]:
    """Take a snapshot in a separate process that dies at a point. Returns its exit code."""

    def kill(at: Place, name: str, point: str) -> int | None:
        process = FORKS.Process(target=snapshot_and_die, args=(dbt, at.home, name, point))
        process.start()
        process.join()
        return process.exitcode

    return kill


def arrive(at: Place, puts: list[Put]) -> None:
    """Load the files and build what the snapshots read."""
    for put in puts:
        at.put(put)
    at.sync()
    at.dbt.build(at.home, "--select", *(f"+{name}" for name in KEYS), "--exclude", *KEYS)


def history(at: Place, name: str) -> list[str]:
    """The versions in the snapshot and whether they are current, without times. Asserts that none is duplicated."""
    key = ", ".join(KEYS[name])
    with at.warehouse() as warehouse:
        if not warehouse.execute("select 1 from duckdb_tables() where table_name = ?", [name]):
            return []
        duplicates = warehouse.execute(
            f"""
            select {key} from snapshots.{name} group by all having count(*) filter (dbt_valid_to is null) > 1
            union all
            select {key} from snapshots.{name} group by {key}, dbt_valid_from having count(*) > 1
            union all
            select {key} from snapshots.{name} group by {key}, dbt_scd_id having count(*) > 1
            """
        )
        rows = warehouse.execute(
            f"""
            select * exclude (dbt_scd_id, dbt_updated_at, dbt_valid_from, dbt_valid_to), dbt_valid_to is null
            from snapshots.{name}
            """
        )
    assert duplicates == []
    return sorted(map(repr, rows))


def test_a_killed_snapshot_is_consistent_and_the_next_one_completes_it(bucket, tmp_path, dbt, killed, cases):
    with place(bucket, tmp_path, "undisturbed", dbt) as at:
        arrive(at, BEFORE)
        dbt.build(at.home, "--select", *KEYS)
        before = {name: history(at, name) for name in KEYS}
        arrive(at, AFTER)
        for _ in range(2):  # the second snapshot has nothing to do
            dbt.build(at.home, "--select", *KEYS)
            after = {name: history(at, name) for name in KEYS}
            assert {name: len(after[name]) - len(before[name]) for name in KEYS} == {"snap_movies": 6, "snap_tags": 4}
    with place(bucket, tmp_path, "killed", dbt) as at:
        arrive(at, BEFORE)
        for name in KEYS if cases(0) else ["snap_tags"]:  # the first snapshot creates the table
            assert killed(at, name, "staged") == KILLED
            assert history(at, name) == []
        dbt.build(at.home, "--select", *KEYS)
        assert {name: history(at, name) for name in KEYS} == before
        arrive(at, AFTER)
        for number, point in enumerate(POINTS):
            for name in KEYS if cases(0) else [list(KEYS)[number % 2]]:
                assert killed(at, name, point) == KILLED
                assert history(at, name) == (after if point == "committed" else before)[name]
        for _ in range(2):
            dbt.build(at.home, "--select", *KEYS)
            assert {name: history(at, name) for name in KEYS} == after
