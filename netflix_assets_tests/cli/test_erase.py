"""``erase``: one person goes from every table and file, consumers read on, and nothing brings the person back.

The tests run in order and build on each other, because a run takes a minute. The person has written a text that nobody
else has (``persons.py``), so that a search of bytes finds what a query does not.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from netflix_assets.operations.byte_search import files_with
from netflix_assets_tests.cli import persons
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.cli.persons import CANARY, OTHER, PERSON, TAGS
from netflix_assets_tests.demo import Demo

pytestmark = pytest.mark.long


@dataclass
class Home:
    path: Path
    pinned: str = ""

    def done(self, *arguments: str) -> str:
        done = run(self.path, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def query(self, statement: str) -> list[tuple]:
        with duckdb.connect(str(self.path / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(statement).fetchall()

    def with_canary(self) -> list[str]:
        """The files that have the canary, but for what the bucket holds."""
        skipped = [self.path / name for name in ("s3", "s3-cache")]
        return [str(path.relative_to(self.path)) for path in files_with(self.path, [CANARY], skipped)]

    def versions(self) -> int:
        return len(list((self.path / "published" / "versions").iterdir()))


@pytest.fixture(scope="module")
def built(two_versions: Demo, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that knows the person by two versions of a file, a reject and a published version."""
    return Home(two_versions.copied_to(tmp_path_factory.mktemp("erase")))


def test_a_dry_run_shows_where_the_person_is_and_changes_nothing(built: Home) -> None:
    assert "warehouse.duckdb" in built.with_canary()  # else the search would prove nothing
    before = built.query("select * from ops.loads order by all")
    shown = built.done("erase", "--user", str(PERSON), "--dry-run")
    rows = {line.rsplit(maxsplit=1)[0]: int(line.rsplit(maxsplit=1)[1]) for line in shown.splitlines()[1:]}
    assert rows["raw.movielens_tags"] == 2
    assert rows["raw.movielens_ratings"] == 1
    assert rows["ops.rejected_rows of movielens/tags"] == 1
    assert rows["core.fct_tags"] == rows["snapshots.snap_tags"] == rows["core.dim_users"] == 1
    assert any(name.startswith("published/versions/") and name.endswith(".parquet") for name in rows)
    assert built.query("select * from ops.loads order by all") == before
    assert built.query("select count(*) from ops.erasures") == [(0,)]


def test_the_person_is_erased_and_consumers_read_on(built: Home) -> None:
    built.pinned = built.done("publish", "--list").splitlines()[1].split()[0]
    built.done("publish", "--version", built.pinned)  # what consumers see has the person and must not stay pinned
    reader = duckdb.connect(str((built.path / "published/current/netflix.duckdb").resolve()), read_only=True)
    printed = built.done("erase", "--user", f" {PERSON}", "--yes")
    assert reader.execute("select count(*) > 0 from core.fct_ratings").fetchall() == [(True,)]  # an open file stays
    reader.close()
    assert f"user {PERSON} is erased" in printed
    assert "movielens/tags-person.csv in the bucket still holds erased persons" in printed
    assert built.with_canary() == []
    assert built.versions() == 1
    assert (built.path / "published" / "current").resolve().name != built.pinned
    shown = built.done("erase", "--user", str(PERSON), "--dry-run")
    assert f"user {PERSON} is in no table and no file" in shown


def test_others_stay_and_every_record_is_accounted_for(built: Home) -> None:
    assert built.query(f"select count(*) from core.fct_ratings where user_id = {OTHER}") == [(1,)]
    assert built.query(f"select tag from core.fct_tags where user_id = {OTHER}") == [("funny enough",)]
    assert built.query("select rows_in, rows_loaded, rows_rejected, rows_erased from ops.loads "
                       "where object_key = 'movielens/tags-person.csv' order by load_id") == [
        (1, 0, 0, 1), (4, 1, 1, 2)
    ]  # fmt: skip
    status = json.loads(built.done("status", "--json"))
    assert status["published"]["is_latest"]
    assert {each["state"] for each in status["datasets"]} <= {"loaded", "awaited"}


def test_a_new_version_and_a_rebuild_do_not_bring_the_person_back(built: Home) -> None:
    later = f"{TAGS}{PERSON},1,{CANARY},1700000001\n{OTHER},1,funny enough,1700000001\n"
    persons.land(built.path, "tags-person.csv", later)
    persons.land(built.path, "tags-late.csv", f"{TAGS}{PERSON},1,{CANARY},1700000002\n")
    built.done("rebuild", "movielens/tags")
    built.done("run", "--select", "raw/movielens/tags")
    assert built.query(f"select count(*) from raw.movielens_tags where user_id = {PERSON}") == [(0,)]
    assert built.query("select sum(rows_erased) from ops.loads where dataset = 'movielens/tags'") == [(2,)]
    assert built.with_canary() == []


@pytest.mark.parametrize(("user", "message"), [("abc", "is not a user"), ("-1", "is not a user")])
def test_what_is_no_id_is_refused(home: Path, user: str, message: str) -> None:
    done = run(home, "erase", "--user", user, "--dry-run")
    assert done.returncode == 2
    assert message in done.stderr
