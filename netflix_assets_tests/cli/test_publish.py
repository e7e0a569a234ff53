"""``diff`` and ``publish`` around one real run: it is kept while a version is pinned, compared, and served.

The tests run in order and build on each other, because a run takes a minute.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import read_settings
from netflix_assets_tests.cli import persons
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.cli.persons import OTHER, PERSON
from netflix_assets_tests.demo import Demo

pytestmark = pytest.mark.long


@dataclass
class Home:
    """A home whose first version is pinned before the second is built."""

    path: Path
    first: str

    def done(self, *arguments: str) -> str:
        done = run(self.path, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        return json.loads(self.done("status", "--json"))["published"]

    def versions(self) -> dict[str, str]:
        """Version -> pinned, served or nothing, newest first, as the command lists them."""
        lines = [line.split() for line in self.done("publish", "--list").splitlines()[1:]]
        return {line[0]: line[-1] if line[-1] in ("pinned", "served") else "" for line in lines}

    def new_ratings(self) -> int:
        """The ratings of the new persons that a consumer reads."""
        file = (self.path / "published" / "current" / "netflix.duckdb").resolve()
        with duckdb.connect(str(file), read_only=True) as connection:
            query = f"select count(*) from core.fct_ratings where user_id in ({PERSON}, {OTHER})"
            return connection.execute(query).fetchall()[0][0]

    def materialization(self, *key: str) -> dict[str, Any]:
        with open_instance(read_settings(home=self.path)) as instance:
            event = instance.get_latest_materialization_event(dg.AssetKey(key))
        return {name: each.value for name, each in event.asset_materialization.metadata.items()}

    def stale(self) -> list[str]:
        return persons.stale(self.path)


@pytest.fixture(scope="module")
def built(two_versions: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = two_versions.copied_to(tmp_path_factory.mktemp("publish"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        yield Home(home, first=(home / "published" / "current").resolve().name)


def test_a_run_keeps_its_version_and_consumers_see_the_pinned_one(built: Home) -> None:
    second, first = built.versions()
    assert built.versions() == {second: "", first: "pinned"}
    assert first == built.first
    assert built.new_ratings() == 0
    status = built.status()
    assert (status["version"], status["is_latest"]) == (first, False)
    assert status["pinned_at"] is not None
    assert "netflix-assets publish --latest" in status["problem"]
    assert "pinned since " in built.done("status")
    published = built.materialization("published", "marts")
    assert (published["version"], published["pinned_version"]) == (second, first)
    assert built.materialization("dashboards", "overview")["version"] == first


def test_a_pin_requests_no_run(built: Home) -> None:
    assert built.stale() == []


def test_the_publication_says_what_it_changes(built: Home) -> None:
    published = built.materialization("published", "marts")
    assert "| `core.fct_ratings` | 2,959 | 2 | 0 | 0 |" in published["changes"]
    assert published["rows_added"] > 1
    assert "core.dim_netflix_titles" not in published["changes"]
    assert "mart_pipeline_runs" not in published["changes"]


def test_only_tables_of_ratings_and_of_runs_are_written(built: Home) -> None:
    second, first = (built.path / "published" / "versions" / version for version in built.versions())
    files = {file.relative_to(second / "parquet"): file for file in second.glob("parquet/*/*")}
    shared = {str(name) for name, file in files.items() if file.samefile(first / "parquet" / name)}
    assert {"core/dim_netflix_titles.parquet", "core/bridge_title_credits.parquet"} <= shared
    assert not shared & {"core/fct_ratings.parquet", "marts/mart_movie_ratings.parquet"}
    published = built.materialization("published", "marts")
    assert 0 < published["tables_written"] <= len(files)


def test_diff_shows_exactly_the_new_ratings(built: Home) -> None:
    found = json.loads(built.done("diff", "--json"))
    tables = {each["name"]: each for each in found["tables"]}
    ratings = tables["core.fct_ratings"]
    assert (ratings["state"], ratings["added"], ratings["removed"], ratings["changed"]) == ("different", 2, 0, 0)
    assert ratings["key"] == ["user_id", "movie_id"]
    assert ratings["examples_added"] == [{"user_id": str(each), "movie_id": "1"} for each in (PERSON, OTHER)]
    assert (tables["core.dim_users"]["added"], tables["core.dim_users"]["removed"]) == (2, 0)
    movie = tables["marts.mart_movie_ratings"]
    assert (movie["added"], movie["examples_added"]) == (1, [{"movie_id": "1"}])  # nobody had rated it
    assert list(movie["columns"]) == ["engagement_percentile", "is_charted"]
    assert all(each["before"] != each["after"] for each in movie["examples_changed"])
    assert all(tables[name]["state"] == "same" for name in tables if "title" in name or "genome" in name)
    assert "marts.mart_pipeline_runs" in found["left_out"]
    assert not set(found["left_out"]) & set(tables)
    assert (found["differs"], found["problem"]) == (True, None)
    assert {(each["table"], each["before"], each["after"], each["failures"]) for each in found["checks"]} == {
        (name, "pass", "warn", failures)  # the sample files have no such film
        for name, failures in (
            ("core.fct_ratings", 2),
            ("core.fct_rating_versions", 2),
            ("core.fct_tags", 2),
            ("marts.mart_movie_ratings", 1),
        )
    }


def test_diff_is_printed_for_people_and_for_pull_requests(built: Home) -> None:
    text = built.done("diff")
    assert f"core.fct_ratings: added: user_id='{PERSON}', movie_id='1'" in text
    assert text.splitlines()[-1].startswith(f"the last build against published version {built.first}: ")
    markdown = built.done("diff", "--markdown")
    assert markdown.startswith("### Data: ")
    assert "| `core.fct_ratings` | 2,959 | 2 | 0 | 0 |" in markdown
    assert "nothing differs in " in built.done("diff", "--version", built.first)


def test_the_newest_version_is_served_after_the_pin(built: Home) -> None:
    built.done("publish", "--latest")
    second, first = built.versions()
    assert built.versions() == {second: "served", first: ""}
    assert built.new_ratings() == 2
    status = built.status()
    assert (status["version"], status["is_latest"], status["pinned_at"]) == (second, True, None)
    assert built.materialization("dashboards", "overview")["version"] == second
    assert built.stale() == []
    assert "nothing differs in " in built.done("diff")


def test_a_rollback_serves_the_version_before_whole(built: Home) -> None:
    printed = built.done("publish", "--version", built.first)
    assert f"consumers see version {built.first}" in printed
    assert built.new_ratings() == 0
    current = built.path / "published" / "current"
    tables = json.loads((current / "manifest.json").read_text())["tables"]
    with duckdb.connect(str((current / "netflix.duckdb").resolve()), read_only=True) as connection:
        assert {name: connection.table(name).count("*").fetchall()[0][0] for name in tables} == tables
    assert built.materialization("dashboards", "overview")["version"] == built.first
    assert built.stale() == []
    with open_instance(read_settings(home=built.path)) as instance:
        (record,) = instance.fetch_observations(PUBLISHED_KEY, limit=1).records
    assert record.asset_observation.metadata["pinned_version"].value == built.first


def test_unknown_versions_and_contradictions_are_wrong_use(built: Home) -> None:
    for arguments, message in (
        (("publish", "--version", "x"), "version 'x' is not kept"),
        (("diff", "--version", "x"), "version 'x' is not kept"),
        (("publish",), "give one of --list, --version and --latest"),
        (("publish", "--list", "--latest"), "give one of"),
        (("diff", "--schema-prefix", "Robert'"), "NETFLIX_SCHEMA_PREFIX"),
    ):
        done = run(built.path, *arguments)
        assert done.returncode == 2, arguments
        assert message in done.stderr


def test_a_branch_without_tables_has_nothing_to_compare(built: Home) -> None:
    done = run(built.path, "diff", "--schema-prefix", "pr_1_")
    assert done.returncode == 1
    assert "there is nothing in pr_1_core and pr_1_marts" in done.stderr
    done = run(built.path, "publish", "--latest", NETFLIX_SCHEMA_PREFIX="pr_1_")
    assert done.returncode == 2
    assert "branches do not publish" in done.stderr
