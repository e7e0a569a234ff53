"""What consumers see after real runs: a full run, a repeated one, a partial one, one with a failing test, a branch.

The tests of this module run in order and build on each other, because each full run takes seconds.
warehouse/duckdb/test_publisher.py and warehouse/snowflake/test_publisher.py test each moment of publishing.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from netflix_assets.definitions import build_defs
from netflix_assets.defs.landing.sensor import source_status
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.dev.samples import generate
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import REPO, Settings, read_settings
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.conftest import landing_key
from netflix_assets_tests.demo import COMMAND, SCALE, Demo, outcome_of
from netflix_assets_tests.warehouse.duckdb.test_publisher import contents


@dataclass
class Project:
    """A home with a copy of the dbt project that a test can break."""

    settings: Settings
    samples: list[Path]

    def run(self, select: str | None = None) -> RunOutcome:
        return run_graph(self.settings, build_defs(self.settings), select=select)

    def land_late(self, rating: str) -> None:
        file = self.settings.home / "ratings-late.csv"
        file.write_text(f"userId,movieId,rating,timestamp\n{rating}\n")
        with landing_bucket(self.settings).open() as store:
            store.put(landing_key(file), file)

    def contents(self) -> dict[str, bytes | str]:
        return contents(self.settings.published_folder)

    def current(self) -> Path:
        return (self.settings.published_folder / "current").resolve()

    def models(self) -> set[tuple[str, str]]:
        """Schema and name of every table that dbt's manifest wants published."""
        manifest = json.loads(next((self.settings.home / "dbt").glob("target-*/manifest.json")).read_text())
        models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
        return {(node["schema"], node["name"]) for node in models if node["schema"] in ("core", "marts")}

    def materialization(self) -> dg.AssetMaterialization:
        with open_instance(self.settings) as instance:
            (record,) = instance.fetch_materializations(PUBLISHED_KEY, limit=1).records
        assert record.asset_materialization is not None
        return record.asset_materialization

    def command(self, *arguments: str) -> str:
        """The output of the command, run for the same home and dbt project."""
        done = run(self.settings.home, *arguments, NETFLIX_DBT_PROJECT=str(self.settings.dbt_project))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stale_datasets(self) -> list[str]:
        """The datasets that the sensor reports as newer in the bucket than in the published tables."""
        with open_instance(self.settings) as instance, landing_bucket(self.settings).open() as store:
            return [
                each.dataset.id
                for source in self.settings.sources()
                for each in source_status(source, store, instance).stale
            ]

    def status(self) -> dict[str, Any]:
        return json.loads(self.command("status", "--json"))["published"]


@pytest.fixture(scope="module")
def project(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        home = demo.copied_to(tmp_path_factory.mktemp("publish"))
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        dbt = home / "dbt-copy"
        shutil.copytree(REPO / "dbt", dbt, ignore=shutil.ignore_patterns("target", "logs"))
        settings = read_settings(home=home, dbt_project=dbt, settle_seconds=0.2)
        build_defs(settings)  # parses the project
        yield Project(settings, generate(home / "samples", scale=SCALE))


@pytest.fixture(scope="module")
def first(demo: Demo, project: Project) -> RunOutcome:
    return outcome_of(demo, project.settings, build_defs(project.settings))


def test_a_home_without_a_run_has_published_nothing(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path)
    assert Project(settings, []).status() == {
        **dict.fromkeys(("version", "run_id", "built_at", "published_at", "pinned_at")),
        "place": str(settings.published_folder / "current"),
        "is_latest": False,
        "problem": "nothing has been loaded yet. To load, build and publish: netflix-assets run",
    }


def test_a_full_run_publishes_every_core_and_marts_table(first: RunOutcome, project: Project) -> None:
    assert first.success
    assert "published/marts" in first.materialized
    assert project.stale_datasets() == []
    with (
        duckdb.connect(str(project.current() / "netflix.duckdb"), read_only=True) as published,
        duckdb.connect(str(project.settings.warehouse_file), read_only=True) as built,
    ):
        names = published.execute("select table_schema, table_name from information_schema.tables").fetchall()
        assert set(names) == project.models()
        assert len(names) > 20
        for schema, name in names:
            query = f"select * from {schema}.{name} order by all"
            rows = published.execute(query).fetchall()
            assert rows == built.execute(query).fetchall(), name
            file = project.current() / "parquet" / schema / f"{name}.parquet"
            assert published.execute(f"select * from '{file}' order by all").fetchall() == rows, name


def test_the_manifest_lists_the_run_and_its_objects(first: RunOutcome, project: Project) -> None:
    manifest = json.loads((project.current() / "manifest.json").read_text())
    assert manifest["run_id"] == first.run_id
    assert project.current().name.endswith(f"-{first.run_id[:8]}")
    keys = sorted(each["key"] for objects in manifest["datasets"].values() for each in objects)
    assert keys == sorted(landing_key(path) for path in project.samples)

    metadata = project.materialization().metadata
    assert metadata["version"].value == manifest["version"]
    assert metadata["build_run_id"].value == first.run_id
    assert metadata["changed"].value is True
    assert metadata["bytes"].value > 100_000
    assert {row.data["table"]: row.data["rows"] for row in metadata["tables"].records} == manifest["tables"]
    assert "- **movielens/ratings**: 3,000 rows from 10 loads" in metadata["made_from"].value


def test_status_shows_the_published_version(first: RunOutcome, project: Project) -> None:
    status = project.status()
    assert (status["run_id"], status["is_latest"], status["problem"]) == (first.run_id, True, None)
    assert status["version"] == project.current().name
    assert f"published: {status['place']}, built by run {first.run_id[:8]} at " in project.command("status")


def test_publishing_again_changes_nothing_and_reports_it(first: RunOutcome, project: Project) -> None:
    before = project.contents()
    outcome = project.run(select="published/marts")
    assert outcome.success
    assert outcome.materialized == ("published/marts",)
    assert project.contents() == before
    metadata = project.materialization().metadata
    assert (metadata["changed"].value, metadata["tables_written"].value) == (False, 0)
    assert metadata["version"].value == project.current().name
    assert metadata["changes"].value == "none: nothing built since"
    assert project.stale_datasets() == []


def test_rows_lost_after_the_build_are_not_published(first: RunOutcome, project: Project) -> None:
    file, link = project.settings.warehouse_file, project.settings.published_folder / "current"
    target = link.readlink()
    saved = Path(shutil.copy(file, file.with_suffix(".saved")))
    link.unlink()  # as if this build had not been published yet
    with duckdb.connect(str(file)) as built:
        built.execute("delete from core.fct_ratings where user_id % 2 = 0")
        # What dbt reported agrees, as after a build that read only some of the rows.
        built.execute(
            "update ops.node_runs set row_count = (from core.fct_ratings select count(*)) where name = 'fct_ratings'"
        )

    outcome = project.run(select="published/marts")

    assert not outcome.success
    assert "core.fct_ratings has " in outcome.errors[0]
    assert "but raw.movielens_ratings has 2,957 distinct (user_id, movie_id)" in outcome.errors[0]
    assert not link.exists()
    saved.replace(file)
    link.symlink_to(target)


def test_a_partial_build_is_not_published(first: RunOutcome, project: Project) -> None:
    before = project.contents()
    assert project.run(select="core/dim_genres").success
    outcome = project.run(select="published/marts")
    assert not outcome.success
    assert "published/marts" not in outcome.materialized
    (error,) = outcome.errors
    assert "not all" in error
    assert project.contents() == before


@pytest.mark.long
def test_one_mart_materialized_in_the_ui_is_not_published(first: RunOutcome, project: Project) -> None:
    """The page launches Dagster's own job of all assets, with a selection."""
    before = project.contents()
    job = build_defs(project.settings).resolve_implicit_global_asset_job_def()
    mart = dg.AssetKey(["marts", "mart_genre_popularity"])
    with open_instance(project.settings) as instance:
        done = job.execute_in_process(instance=instance, asset_selection=[mart])
        also = job.execute_in_process(instance=instance, asset_selection=[mart, PUBLISHED_KEY], raise_on_error=False)
    assert done.success
    assert {event.asset_key for event in done.get_asset_materialization_events()} == {mart}
    assert [each.passed for each in done.get_asset_check_evaluations()].count(False) == 0
    assert not also.success
    assert project.contents() == before
    status = project.status()
    assert (status["run_id"], status["is_latest"]) == (first.run_id, False)
    assert "not all" in status["problem"]


def test_data_that_is_only_loaded_is_reported_as_unpublished(first: RunOutcome, project: Project) -> None:
    for rating in ("7,7,3.5,1700000000", "7,7,4.5,1700000000"):
        project.land_late(rating)
        assert project.stale_datasets() == ["movielens/ratings"]
        assert project.run(select="raw/movielens/ratings").success
        assert project.stale_datasets() == ["movielens/ratings"]


@pytest.mark.long
def test_a_branch_has_no_sensor_and_its_run_publishes_nothing(first: RunOutcome, project: Project) -> None:
    before = project.contents()  # after the others, because dbt parses the project for the branch and again without it
    settings = project.settings.model_copy(update={"schema_prefix": "branch_1_"})
    defs = build_defs(settings)
    assert not defs.sensors
    outcome = run_graph(settings, defs, select="published/marts")
    assert outcome.success
    assert outcome.materialized == ()
    assert project.contents() == before


@pytest.mark.long
def test_a_failed_test_blocks_publishing_and_status_shows_why(first: RunOutcome, project: Project) -> None:
    project.land_late("7,7,2.5,1700000000")
    before = project.contents()
    broken_test = project.settings.dbt_project / "tests" / "genres_are_never_right.sql"
    broken_test.write_text("select * from {{ ref('dim_genres') }}\n")

    outcome = project.run()

    assert not outcome.success
    assert any("genres_are_never_right" in check for check in outcome.failed_checks), outcome.errors
    assert "published/marts" not in outcome.materialized
    assert project.contents() == before
    status = project.status()
    assert (status["run_id"], status["is_latest"]) == (first.run_id, False)
    assert "genres_are_never_right" in status["problem"]
    assert outcome.run_id[:8] in status["problem"]
    (line,) = [each for each in project.command("status").splitlines() if each.startswith("not published since ")]
    assert "genres_are_never_right" in line

    assert project.stale_datasets() == ["movielens/ratings"]
    alone = project.run(select="published/marts")
    assert not alone.success
    assert "genres_are_never_right" in alone.errors[0]
    assert project.contents() == before


@pytest.mark.long
def test_a_failed_test_names_rows_and_the_command_that_lists_them(first: RunOutcome, project: Project) -> None:
    (project.settings.dbt_project / "tests" / "genres_are_never_right.sql").unlink()
    file = project.settings.dbt_project / "models" / "core" / "dim_genres.yml"
    right = file.read_text()
    file.write_text(right.replace("n_movies: [1, null]", "n_movies: [1, 1]"))

    outcome = project.run()

    (check,) = outcome.failed_checks
    message = outcome.check_messages[check]
    found = re.search(r"values_in_ranges found (.*)\. List the rows: (cd .* && NETFLIX_HOME=.* dbt show .*)", message)
    assert found, message
    named = re.findall(r"\(genre_key='([0-9a-f]{32})', n_movies=([0-9]+)\)", found[1])
    assert len(named) == 5
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        genres = connection.execute("select genre_key, n_movies from core.dim_genres").fetchall()
    assert {(key, int(count)) for key, count in named} <= set(genres)
    (error,) = (each for each in outcome.errors if each.startswith("dbt_models"))
    assert named[0][0] in error
    assert found[2] in error
    assert named[0][0] in project.status()["problem"]

    path = f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"
    shown = subprocess.run(
        ["bash", "-c", found[2]], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert named[0][0][:15] in shown.stdout
    file.write_text(right)


@pytest.mark.long
def test_the_next_full_run_after_the_fix_is_published(first: RunOutcome, project: Project) -> None:
    old = project.current()
    outcome = project.run()
    assert outcome.success
    assert project.current().name.endswith(f"-{outcome.run_id[:8]}")
    assert old.exists()
    assert project.status()["problem"] is None
    assert project.stale_datasets() == []
