"""Freshness by the time of the data: objects, loads, builds and published tables."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from netflix_assets.contracts.model import Freshness, all_datasets
from netflix_assets.definitions import build_defs
from netflix_assets.defs.freshness import FRESH, freshness_checks, freshness_result, strictest
from netflix_assets.defs.landing.assets import landing_key
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.dev.samples import generate
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import Settings, read_settings
from netflix_assets_tests import conftest
from netflix_assets_tests.demo import SCALE, Demo, outcome_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
WEEKLY = Freshness(warn_after_days=7, fail_after_days=35)
KEY = dg.AssetKey(["marts", "x"])


@pytest.mark.parametrize(
    ("days", "passed", "description"),
    [
        (None, True, "nothing has arrived yet"),
        (0, True, "0.0 days old"),
        (-1, True, "0.0 days old"),
        (7, True, "7.0 days old"),
        (7.5, False, "7.5 days old; late after 7 days"),
        (36, False, "36.0 days old; late after 7 days, overdue after 35"),
    ],
)
def test_late_data_warns(days: float | None, passed: bool, description: str) -> None:
    newest = None if days is None else NOON - timedelta(days=days)
    result = freshness_result(KEY, newest, WEEKLY, NOON)
    assert (result.passed, result.severity, result.description) == (passed, dg.AssetCheckSeverity.WARN, description)


def test_an_asset_of_several_datasets_takes_the_strictest_policy() -> None:
    datasets = {dataset.id: dataset for dataset in all_datasets(read_settings().sources())}
    movies, ratings = datasets["movielens/movies"], datasets["movielens/ratings"]
    assert movies.freshness.warn_after_days > ratings.freshness.warn_after_days
    assert strictest([movies, ratings]) == ratings.freshness
    assert strictest([movies]) == movies.freshness
    eager = Freshness(warn_after_days=1, fail_after_days=2)
    optional = movies.model_copy(update={"optional": True, "freshness": eager})
    assert strictest([movies, optional]) == movies.freshness
    assert strictest([optional]) == eager


def test_tables_of_databases_make_nothing_late_that_files_make_too() -> None:
    datasets = {dataset.id: dataset for dataset in all_datasets(read_settings().sources())}
    titles, orders = datasets["netflix/titles"], datasets["shop/orders"]
    assert orders.freshness.warn_after_days < titles.freshness.warn_after_days
    assert strictest([titles, orders]) == titles.freshness
    assert strictest([orders, datasets["shop/products"]]) == orders.freshness


def test_an_hourly_api_makes_nothing_late_that_is_made_without_it_too() -> None:
    datasets = {dataset.id: dataset for dataset in all_datasets(read_settings().sources())}
    orders, hourly, daily = (datasets[name] for name in ("shop/orders", "openexchangerates/rates", "frankfurter/rates"))
    assert hourly.freshness.warn_after_days < orders.freshness.warn_after_days < daily.freshness.warn_after_days
    assert strictest([orders, hourly, daily]) == orders.freshness
    assert strictest([hourly, daily]) == daily.freshness


@pytest.fixture(scope="module")
def settings(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        home = demo.parsed_in(tmp_path_factory.mktemp("freshness"))
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        yield read_settings(home=home, settle_seconds=0.2)


@pytest.fixture(scope="module")
def defs(settings: Settings) -> dg.Definitions:
    return build_defs(settings)


def test_freshness_policies_follow_the_contracts(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    windows = {
        key.to_user_string(): (policy.warn_window.to_timedelta().days, policy.fail_window.to_timedelta().days)
        for key in graph.get_all_asset_keys()
        if (policy := graph.get(key).freshness_policy_or_from_metadata)
    }
    assert {key.split("/")[0] for key in windows} == {"postgres", "api", "s3", "raw", "marts", "published"}
    assert windows["s3/movielens/movies"] == windows["raw/movielens/movies"] == (35, 100)
    assert windows["marts/mart_movie_releases"] == windows["marts/mart_movie_ratings"] == (7, 35)
    datasets = {dataset.id: dataset.freshness for dataset in all_datasets(read_settings().sources())}
    assert windows["marts/mart_content_mix"][0] == datasets["netflix/titles"].warn_after_days
    assert windows["published/marts"] == windows["marts/mart_pipeline_runs"]  # built from every dataset
    every = all_datasets(read_settings().sources())
    of_files = [dataset.freshness for dataset in every if not dataset.is_extracted and not dataset.optional]
    assert windows["published/marts"][0] == min(each.warn_after_days for each in of_files)
    assert windows["marts/mart_weekly_sales"][0] == datasets["shop/orders"].warn_after_days
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys if key.name == FRESH}
    # Of a table of a database: the policy is on the table and looks at extracts, the check on their objects.
    extracted = [dataset for dataset in all_datasets(read_settings().sources()) if dataset.extract is not None]
    assert checked - windows.keys() == {f"s3/{dataset.id}" for dataset in extracted}
    assert {key.split("/")[0] for key in windows.keys() - checked} == {"postgres", "api", "raw"}
    assert {key for key in windows.keys() - checked if key.startswith("raw")} == {
        f"raw/{each.id}" for each in extracted
    }


def evaluate(settings: Settings, defs: dg.Definitions, now: datetime) -> dict[str, dg.AssetCheckEvaluation]:
    """Run only the freshness checks, at a given time."""
    datasets = all_datasets(settings.sources())
    built = [spec for each in defs.assets or () if isinstance(each, dg.AssetsDefinition) for spec in each.specs]
    checks = freshness_checks(
        datasets,
        {dataset.id: landing_key(dataset) for dataset in datasets},
        {dataset.id: raw_key(dataset) for dataset in datasets},
        [spec for spec in built if spec.key.path[0] == "marts"],
        PUBLISHED_KEY,
        settings,
        now=lambda: now,
    )
    job = dg.Definitions(
        asset_checks=checks,
        assets=[spec for each in defs.assets or () if isinstance(each, dg.AssetSpec) for spec in [each]],
        jobs=[dg.define_asset_job("freshness", selection=dg.AssetSelection.checks(*checks))],
        resources={"bucket": landing_bucket(settings), "warehouse": warehouse(settings)},
    ).resolve_job_def("freshness")
    with open_instance(settings) as instance:
        result = job.execute_in_process(instance=instance)
    return {each.asset_key.to_user_string(): each for each in result.get_asset_check_evaluations()}


def test_nothing_is_late_before_the_first_file(settings: Settings, defs: dg.Definitions) -> None:
    results = evaluate(settings, defs, datetime.now(UTC))
    assert len(results) > 40
    assert {each.description for each in results.values()} == {"nothing has arrived yet"}
    assert not settings.warehouse_file.exists()


def test_awaited_datasets_are_never_late(settings: Settings, defs: dg.Definitions) -> None:
    with landing_bucket(settings).open() as store:
        for path in generate(settings.home / "samples", scale=SCALE):
            if path.stem != "credits":
                store.put(conftest.landing_key(path), path)
    assert run_graph(settings, defs, select='key:"raw/movielens/*" or key:"raw/netflix/*"').success
    results = evaluate(settings, defs, datetime.now(UTC) + timedelta(days=1000))
    late = {key for key, each in results.items() if not each.passed}
    of_files = [each.id for each in all_datasets(settings.sources()) if each.source in ("movielens", "netflix")]
    landed = {f"{layer}/{each}" for each in of_files for layer in ("s3", "raw")}
    assert late == landed - {"s3/netflix/credits", "raw/netflix/credits"}


@pytest.fixture
def full_home(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home after a full run."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return read_settings(home=demo.copied_to(tmp_path))


def test_the_samples_are_fresh_on_the_day_they_land(demo: Demo, full_home: Settings, defs: dg.Definitions) -> None:
    outcome = outcome_of(demo, full_home, defs)
    assert outcome.success, outcome.errors
    assert [check for check in outcome.warned_checks if check.endswith(FRESH)] == []


@pytest.mark.parametrize(("days", "late"), [(6, 0), (8, 20), (1000, 30)])
def test_the_samples_become_late(full_home: Settings, defs: dg.Definitions, days: int, late: int) -> None:
    results = evaluate(full_home, defs, datetime.now(UTC) + timedelta(days=days))
    names = {key for key, each in results.items() if not each.passed}
    assert len(names) >= late
    assert bool(names) == bool(late)
    for key in ("s3/movielens/ratings", "raw/movielens/ratings", "marts/mart_movie_ratings", "published/marts"):
        assert (key in names) == bool(late), key
        assert abs(results[key].metadata["age_days"].value - days) < 0.1
    assert ("raw/movielens/movies" in names) == (days > 35)
    assert {each.severity for each in results.values()} == {dg.AssetCheckSeverity.WARN}


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


# New York's clocks go forward at 07:00 UTC (there is no 02:30) and back at 06:00 UTC (01:30 comes twice).
@pytest.mark.parametrize("now", [datetime(2026, 3, 8, 7, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)])
def test_ages_are_right_while_the_machines_clock_changes(
    full_home: Settings, defs: dg.Definitions, in_new_york: None, now: datetime
) -> None:
    an_hour_ago = [(now - timedelta(hours=1)).replace(tzinfo=None)]
    with duckdb.connect(str(full_home.warehouse_file)) as connection:
        connection.execute("update ops.loads set loaded_at = ?", an_hour_ago)
        connection.execute("update ops.node_runs set started_at = ?", an_hour_ago)
        connection.execute("update ops.builds set started_at = ?, confirmed_at = null", an_hour_ago)
    results = evaluate(full_home, defs, now)
    ages = {
        key: each.metadata["age_days"].value
        for key, each in results.items()
        if key.startswith(("raw", "marts")) and "age_days" in each.metadata
    }
    assert len(ages) > 30
    assert set(ages.values()) == {round(1 / 24, 3)}


def test_the_age_of_an_object_counts_from_its_upload(full_home: Settings, defs: dg.Definitions) -> None:
    """Landing freshness comes from the bucket alone: a new object is fresh before it is loaded."""
    path: Any = next(full_home.s3_folder.glob("landing/movielens/ratings*.csv"))
    again: Path = path.with_name("ratings-again.csv")
    shutil.copyfile(path, again)
    results = evaluate(full_home, defs, datetime.now(UTC))
    newest = results["s3/movielens/ratings"].metadata["newest"].value
    assert newest == pytest.approx(again.stat().st_mtime, abs=2)
    assert results["raw/movielens/ratings"].metadata["newest"].value < newest
