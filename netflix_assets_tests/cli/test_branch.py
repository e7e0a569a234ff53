"""``branch``: a pull request builds what it changes beside copies of the rest, and leaves nothing behind.

The tests run in order and build on each other, because a build takes half a minute.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import duckdb
import pytest

from netflix_assets.settings import REPO
from netflix_assets_tests.cli.command import run

pytestmark = pytest.mark.long

PREFIX = "pr_7_"
MODEL = Path("models", "marts", "movies", "mart_ratings_by_genre_year.sql")
THRESHOLD = ">= {{ var('genre_year_min_ratings') }} as has_enough_ratings"
CHILD, NODE = "marts/mart_ratings_by_genre_decade", "marts/mart_ratings_by_genre_year"


@dataclass
class PullRequest:
    """A copy of the dbt project that changes something, and the home of the environment that it belongs to."""

    home: Path
    project: Path

    def change(self, file: Path, before: str, after: str) -> None:
        text = (REPO / "dbt" / file).read_text()
        assert before in text
        (self.project / file).write_text(text.replace(before, after))

    def command(self, *arguments: str) -> CompletedProcess[str]:
        variables = {"NETFLIX_SCHEMA_PREFIX": PREFIX, "NETFLIX_DBT_PROJECT": str(self.project)}
        return run(self.home, *arguments, **variables)

    def build(self) -> CompletedProcess[str]:
        return self.command("branch", "build", "--base", str(REPO / "dbt"))

    def diff(self) -> dict[str, Any]:
        done = self.command("diff", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def query(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / "warehouse.duckdb"), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def schemas(self) -> list[str]:
        return [name for (name,) in self.query("select schema_name from information_schema.schemata order by 1")]

    def rest(self) -> list[tuple[Any, ...]]:
        """Every table outside the branch with its rows. The home is the same for all branches, and they change none."""
        tables = self.query(f"""
            select schema_name || '.' || table_name, estimated_size from duckdb_tables()
            where not starts_with(schema_name, '{PREFIX}') and schema_name <> 'ops'
        """)
        return sorted(tables)


@pytest.fixture(scope="module")
def pull_request(home: Path, tmp_path_factory: pytest.TempPathFactory) -> PullRequest:
    project = tmp_path_factory.mktemp("branch") / "dbt"
    shutil.copytree(REPO / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    return PullRequest(home, project)


def built(done: CompletedProcess[str]) -> list[str]:
    return done.stdout.splitlines()[-1].removeprefix(f"built in {PREFIX}*: ").split(", ")


def test_only_what_changed_and_what_depends_on_it_is_built(pull_request: PullRequest) -> None:
    before = pull_request.rest()
    pull_request.change(MODEL, THRESHOLD, THRESHOLD.replace(">=", ">= 2 *"))
    done = pull_request.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert built(done) == [CHILD, NODE]
    nodes = pull_request.query(f"select layer || '/' || name from ops.node_runs where schema_prefix = '{PREFIX}'")
    assert sorted(name for (name,) in nodes) == [CHILD, NODE]
    assert pull_request.rest() == before


def test_the_diff_shows_exactly_the_change(pull_request: PullRequest) -> None:
    found = pull_request.diff()
    tables = {each["name"]: each for each in found["tables"]}
    assert [name for name, each in tables.items() if each["state"] != "same"] == ["marts.mart_ratings_by_genre_year"]
    table = tables["marts.mart_ratings_by_genre_year"]
    assert (table["added"], table["removed"], list(table["columns"])) == (0, 0, ["has_enough_ratings"])
    ((changed,),) = pull_request.query("""
        select count(*) from marts.mart_ratings_by_genre_year as before
        inner join pr_7_marts.mart_ratings_by_genre_year as after using (genre_key, release_year)
        where before.has_enough_ratings <> after.has_enough_ratings
    """)
    assert table["changed"] == changed > 0
    assert (found["checks"], found["problem"]) == ([], None)


def test_a_push_starts_from_fresh_copies_and_a_failed_test_is_in_the_comment(pull_request: PullRequest) -> None:
    pull_request.change(MODEL, THRESHOLD, f"{THRESHOLD}, false as extra")  # no longer what its contract says
    pull_request.change(Path("dbt_project.yml"), "n_top_tags: 5 ", "n_top_tags: 1 ")
    done = pull_request.build()
    assert done.returncode == 1
    assert {NODE, CHILD, "core/dim_movies_with_tags"} <= set(built(done))  # dbt's state:modified ignores variables
    found = pull_request.diff()
    assert "mart_ratings_by_genre_year" in found["problem"]
    assert "This model has an enforced contract that failed" in found["problem"]
    tables = {each["name"]: each for each in found["tables"]}
    assert tables["marts.mart_ratings_by_genre_year"]["state"] == "same"  # the copy, not what the last push built
    assert set(tables["core.dim_movies_with_tags"]["columns"]) == {"top_tags", "top_genome_tags"}
    assert "Cannot be published: `build of run" in pull_request.command("diff", "--markdown").stdout


def test_a_branch_without_changes_in_dbt_has_copies_only(pull_request: PullRequest) -> None:
    for file in (MODEL, Path("dbt_project.yml")):
        shutil.copy2(REPO / "dbt" / file, pull_request.project / file)
    done = pull_request.build()
    assert done.returncode == 0, done.stderr
    assert "The dbt project does not differ from " in done.stdout
    assert not pull_request.diff()["differs"]


def test_drop_leaves_nothing(pull_request: PullRequest) -> None:
    assert [name for name in pull_request.schemas() if name.startswith(PREFIX)]
    before = pull_request.rest()
    done = pull_request.command("branch", "drop")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dropped 6 schemas: pr_7_core, ")
    assert [name for name in pull_request.schemas() if name.startswith(PREFIX)] == []
    for table in ("builds", "node_runs", "test_results", "failing_rows"):
        assert pull_request.query(f"select count(*) from ops.{table} where schema_prefix <> ''") == [(0,)]
        assert table == "failing_rows" or pull_request.query(f"select count(*) from ops.{table}") > [(0,)]
    assert pull_request.rest() == before
    assert "dropped 0 schemas" in pull_request.command("branch", "drop").stdout


def test_without_a_prefix_nothing_is_built_or_dropped(pull_request: PullRequest) -> None:
    before = pull_request.rest()
    for arguments in (("build", "--base", str(REPO / "dbt")), ("drop",)):
        done = run(pull_request.home, "branch", *arguments)
        assert done.returncode == 2
        assert "Set NETFLIX_SCHEMA_PREFIX" in done.stderr
    assert pull_request.rest() == before
