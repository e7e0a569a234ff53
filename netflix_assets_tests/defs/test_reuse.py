"""What a run builds, reuses and reports when something has changed, and when nothing has.

The tests of this module run in order in one home, because each full run takes seconds.
"""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from netflix_assets.definitions import build_defs
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.dev.samples import generate
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.settings.environment import for_dagster
from netflix_assets.warehouse.node_states import NodeStates
from netflix_assets_tests.conftest import landing_key
from netflix_assets_tests.defs.project_copy import Project, project_copy
from netflix_assets_tests.demo import COMMAND, Demo
from netflix_assets_tests.waiting import until

pytestmark = pytest.mark.long

Event = dg.DagsterEventType


@pytest.fixture(scope="module")
def project(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project_copy(demo, tmp_path_factory.mktemp("reuse")) as found:
        yield found


@pytest.fixture(scope="module")
def first_run(project: Project) -> RunOutcome:
    outcome = project.run()
    assert outcome.success, outcome.errors
    return outcome


def built(project: Project, outcome: RunOutcome) -> set[str]:
    """The names of the models, seeds and snapshots that a run's first invocation of dbt built."""
    assert outcome.success, outcome.errors
    attempts = project.attempts(outcome.run_id)
    assert len(attempts) <= 1
    return {node.rpartition(".")[2] for attempt in attempts for node in attempt}


def run_tests(project: Project, outcome: RunOutcome) -> set[str]:
    """The names of the tests that both invocations ran."""
    rows = project.query(f"select test_name from ops.test_results where run_id = '{outcome.run_id}'")
    return {name for (name,) in rows}


def tables(project: Project) -> dict[str, tuple[Any, ...]]:
    """Rows, and a sum of their hashes, of every table of dbt that does not describe runs."""
    nodes = project.manifest()["nodes"].values()
    names = [
        f"{node['schema']}.{node['alias']}"
        for node in nodes
        if node["resource_type"] in ("model", "seed")
        and node["config"]["materialized"] != "ephemeral"
        and "run_dependent" not in node["tags"]
    ]
    return {
        name: project.query(
            "select count(*), coalesce(sum(hash(t)::hugeint), 0) from "
            f"(select columns(lambda name: name <> '_load_id') from {name}) as t"
        )[0]
        for name in names
    }


def descendants(project: Project, name: str) -> set[str]:
    return {node.rpartition(".")[2] for node in project.descendants(name)}


def metadata(project: Project, run_id: str, asset: str) -> dict[str, Any]:
    """The metadata of the asset's materialization in a run."""
    (found,) = [
        event.event_specific_data.materialization.metadata
        for event in project.events(run_id, Event.ASSET_MATERIALIZATION)
        if event.asset_key.to_user_string() == asset
    ]
    return {name: value.value for name, value in found.items()}


def assert_as_a_full_refresh_leaves(project: Project) -> None:
    found = tables(project)
    assert project.run(full_refresh=True).success
    assert found == tables(project)


def test_a_run_without_news_builds_nothing_and_reports_everything(project: Project, first_run: RunOutcome) -> None:
    before = tables(project)
    (builds,) = project.query("select count(*) from ops.builds")
    published = (project.settings.published_folder / "current").resolve()
    outcome = project.run()

    assert outcome.success, outcome.errors
    assert project.query("select count(*) from ops.builds") == [builds]
    assert Counter(outcome.materialized) == Counter(first_run.materialized)
    assert (outcome.passed_checks, outcome.failed_checks) == (first_run.passed_checks, ())
    assert outcome.reused | outcome.awaited == set(outcome.materialized)
    assert first_run.reused == frozenset()
    assert tables(project) == before
    assert (project.settings.published_folder / "current").resolve() == published
    reported = metadata(project, outcome.run_id, "core/fct_ratings")
    assert (reported["reused"], reported["built_by"]) == (True, first_run.run_id)
    assert reported["dagster/row_count"] == before["core.fct_ratings"][0]
    checks = [
        each.event_specific_data
        for each in project.events(outcome.run_id, Event.ASSET_CHECK_EVALUATION)
        if each.event_specific_data.asset_key.path[0] == "core"
    ]
    assert checks
    assert all(check.metadata["built_by"].value == first_run.run_id for check in checks)


def test_a_page_is_drawn_again_when_its_file_is_gone_or_its_home_was_copied(
    project: Project, first_run: RunOutcome, tmp_path: Path
) -> None:
    page = project.settings.dashboards_folder / "index.html"
    before = page.read_bytes()
    page.unlink()
    outcome = project.run()
    assert page.read_bytes() == before
    assert {name for name in outcome.materialized if name.startswith("dashboards/")} - outcome.reused == {
        "dashboards/overview"
    }

    shutil.copytree(
        project.settings.home, tmp_path / "copy", symlinks=True, ignore=shutil.ignore_patterns("dashboards")
    )
    copied = Project(project.settings.model_copy(update={"home": tmp_path / "copy"}))
    outcome = copied.run()
    assert not any(name.startswith("dashboards/") for name in outcome.reused)
    assert (tmp_path / "copy" / "dashboards" / "index.html").is_file()


@pytest.mark.usefixtures("first_run")
def test_a_new_file_of_one_dataset_touches_nothing_that_comes_from_others(project: Project) -> None:
    samples = generate(project.settings.home / "more", scale=0.05, seed=2)
    titles = next(path for path in samples if "titles" in path.name)
    with landing_bucket(project.settings).open() as store:
        store.put(landing_key(titles), titles)
    outcome = project.run()

    names = built(project, outcome)
    assert names <= descendants(project, "stg_netflix__titles")
    assert {"dim_netflix_titles", "mart_overview"} <= names
    assert "fct_ratings" not in names
    assert "unique_combination_fct_ratings_user_id__movie_id" not in run_tests(project, outcome)


@pytest.mark.usefixtures("first_run")
def test_a_changed_model_is_built_with_what_reads_it_and_nothing_else(project: Project) -> None:
    (path,) = project.settings.dbt_project.glob("models/**/dim_genres.sql")
    path.write_text(path.read_text() + "-- changed\n")
    assert built(project, project.run()) == descendants(project, "dim_genres")
    assert built(project, project.run()) == set()


@pytest.mark.usefixtures("first_run")
def test_an_incremental_model_starts_from_scratch_when_its_code_changes(project: Project) -> None:
    """Also when only a view that it reads changes, or a macro: its rows would come from two versions otherwise."""
    (view,) = project.settings.dbt_project.glob("models/**/stg_movielens__ratings.sql")
    text = view.read_text()
    assert "rating," in text
    view.write_text(re.sub(r"(\s)rating,", r"\1cast(5.5 - rating as decimal(2, 1)) as rating,", text, count=1))
    before = project.query("select count(*), sum(rating) from core.fct_ratings")[0]
    assert "fct_ratings" in built(project, project.run())
    count, total = project.query("select count(*), sum(rating) from core.fct_ratings")[0]
    assert (count, float(total)) == (before[0], 5.5 * before[0] - float(before[1]))

    project.restore()
    project.run()
    assert project.query("select count(*), sum(rating) from core.fct_ratings")[0] == before


@pytest.mark.usefixtures("first_run")
def test_a_changed_macro_and_variable_change_what_uses_them(project: Project) -> None:
    macro = project.settings.dbt_project / "macros" / "as_of_date.sql"
    macro.write_text(macro.read_text().replace("{{ day }} <= cast(", "{{ day }} <  cast("))
    names = built(project, project.run())
    assert "mart_rating_trends" in names
    assert not names & {"fct_ratings", "dim_movies", "dim_netflix_titles"}

    settings = project.settings.dbt_project / "dbt_project.yml"
    text = settings.read_text()
    settings.write_text(re.sub(r"(consistency_min_ratings: )\d+", r"\g<1>7", text))
    assert settings.read_text() != text
    assert built(project, project.run()) == descendants(project, "mart_rating_consistency")
    project.restore()
    project.run()


@pytest.mark.usefixtures("first_run")
def test_a_test_that_fails_is_run_again_and_what_it_stopped_is_built(project: Project) -> None:
    (path,) = project.settings.dbt_project.glob("models/**/dim_genres.sql")
    path.write_text(path.read_text() + "-- changed again\n")
    broken = project.settings.dbt_project / "tests" / "broken.sql"
    broken.write_text("select * from {{ ref('dim_genres') }}\n")
    published = (project.settings.published_folder / "current").resolve()
    failed = project.run()
    assert not failed.success
    assert (project.settings.published_folder / "current").resolve() == published

    again = project.run()
    assert not again.success, "a failed test was taken for one that passed"
    broken.write_text("select * from {{ ref('dim_genres') }} where false\n")
    mended = project.run()
    assert built(project, mended) == descendants(project, "dim_genres") - {"dim_genres"}
    assert "broken" in run_tests(project, mended)
    assert (project.settings.published_folder / "current").resolve() != published
    project.restore()
    project.run()


@pytest.mark.usefixtures("first_run")
def test_what_somebody_names_is_built_and_nothing_else(project: Project) -> None:
    outcome = project.run(select="core/dim_genres")
    assert built(project, outcome) == {"dim_genres"}
    assert "unique_dim_genres_genre" in run_tests(project, outcome)
    everything = {node.rpartition(".")[2] for node in _all_nodes(project)}
    assert built(project, project.run(full_refresh=True)) == everything


@pytest.mark.usefixtures("first_run")
def test_only_the_named_check_is_run(project: Project) -> None:
    name = "unique_dim_genres_genre"
    with open_instance(project.settings) as instance:
        check = dg.AssetCheckKey(dg.AssetKey(["core", "dim_genres"]), name)
        job = build_defs(project.settings).resolve_job_def("everything")
        with landing_bucket(project.settings).open():
            result = job.get_subset(asset_selection=set(), asset_check_selection={check}).execute_in_process(
                instance=instance
            )
    assert result.success
    assert [each.check_name for each in result.get_asset_check_evaluations()] == [name]
    assert project.query(f"select test_name from ops.test_results where run_id = '{result.run_id}'") == [(name,)]
    assert project.query(f"select * from ops.node_runs where run_id = '{result.run_id}'") == []


@pytest.mark.usefixtures("first_run")
def test_a_table_that_somebody_dropped_is_built_again_with_what_reads_it(project: Project) -> None:
    with warehouse(project.settings).open("transformer") as connection:
        connection.execute("drop table core.dim_genres")
    assert built(project, project.run()) == descendants(project, "dim_genres")


@pytest.mark.usefixtures("first_run")
def test_after_dbt_was_run_by_hand_everything_is_built(project: Project) -> None:
    project.dbt("run", "--select", "dim_genres")
    assert built(project, project.run()) == {node.rpartition(".")[2] for node in _all_nodes(project)}


@pytest.mark.usefixtures("first_run")
def test_a_run_that_is_killed_leaves_nothing_that_the_next_takes_for_built(project: Project) -> None:
    (path,) = project.settings.dbt_project.glob("models/**/stg_movielens__movies.sql")
    path.write_text(path.read_text() + "-- killed\n")
    runs = project.settings.dbt_runs_folder
    before = set(runs.iterdir())
    process = subprocess.Popen(
        [COMMAND, "run"], env=for_dagster(project.settings), stdout=subprocess.DEVNULL, start_new_session=True
    )
    until(lambda: _models_built(set(runs.iterdir()) - before) > 1 or process.poll() is not None, seconds=1800)
    assert process.poll() is None, "the run ended before it was killed"
    _kill_group(process)

    with warehouse(project.settings).open("transformer") as connection:
        states = NodeStates(connection).all()
    wanted = descendants(project, "stg_movielens__movies")
    assert {name.rpartition(".")[2] for name, state in states.items() if state.content} & wanted == set()
    assert built(project, project.run()) == wanted
    assert_as_a_full_refresh_leaves(project)


def _models_built(runs: Iterable[Path]) -> int:
    """How many models dbt says in its logs that it has built."""
    logs = [log.read_text() for run in runs for log in run.glob("models/dbt.log")]
    return sum(log.count('"name": "LogModelResult"') for log in logs)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _all_nodes(project: Project) -> set[str]:
    return {
        unique_id
        for unique_id, node in project.manifest()["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot") and node["config"]["materialized"] != "ephemeral"
    }
