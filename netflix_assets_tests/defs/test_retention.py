"""What the job `retention` removes and keeps, and that the daily run waits for a run that loads."""

import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from netflix_assets.contracts.loading import dataset_by_id
from netflix_assets.definitions import build_defs
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.defs.retention import Removed, remove_old
from netflix_assets.defs.runs import hold_run_lock, pid_host
from netflix_assets.ingest.sync import sync
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.retention import remove_what_is_old
from netflix_assets.settings import DagsterPlusSettings, Settings, read_settings
from netflix_assets.warehouse.builds import Build, Builds
from netflix_assets_tests.demo import Demo

KEPT = dg.AssetKey("kept")
DAY_S = 86_400


@dg.asset(key=KEPT)
def table() -> None:
    print("a line for the compute log")


@pytest.fixture
def settings(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    return read_settings(home=demo.parsed_in(tmp_path), keep_runs_days=30, keep_ticks_days=10, keep_builds_days=5)


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as opened:
        yield opened


def files_of(settings: Settings, run_id: str) -> set[str]:
    return {path.name for path in settings.dagster_home.rglob(f"{run_id}*")}


def test_old_runs_are_removed_except_those_that_describe_current_data(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    old, newest = (dg.materialize([table], instance=instance).run_id for _ in range(2))
    in_progress = instance.create_run_for_job(
        dg.define_asset_job("x").resolve(asset_graph=dg.Definitions([table]).resolve_asset_graph()),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert files_of(settings, old) > {f"{old}.db"}
    (settings.dagster_home / "run-locks").mkdir()
    (settings.dagster_home / "run-locks" / old).touch()  # as a killed process leaves it
    now = datetime.now(UTC)

    assert remove_old(settings, instance, now + timedelta(days=29)).runs == 0
    assert remove_old(settings, instance, now + timedelta(days=31)).runs == 1

    assert {record.dagster_run.run_id for record in instance.get_run_records()} == {newest, in_progress.run_id}
    assert files_of(settings, old) == set()
    (remaining,) = instance.fetch_materializations(KEPT, limit=10).records
    assert remaining.run_id == newest
    event = instance.get_latest_materialization_event(KEPT)
    assert event is not None
    assert event.run_id == newest
    assert f"{newest}.db" in files_of(settings, newest)


def test_dagster_plus_keeps_its_history(settings: Settings, instance: dg.DagsterInstance) -> None:
    for _ in range(2):
        dg.materialize([table], instance=instance)
    plus = settings.model_copy(update={"dagster_plus": DagsterPlusSettings(deployment_name="prod")})
    later = datetime.now(UTC) + timedelta(days=31)
    assert remove_old(plus, instance, later).runs == 0
    assert len(instance.get_run_records()) == 2
    assert remove_old(settings, instance, later).runs == 1


def test_old_ticks_are_removed_for_stopped_sensors_too(settings: Settings, instance: dg.DagsterInstance) -> None:
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="shop"), "shop")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "landing")
    data = SensorInstigatorData(sensor_type=None)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.STOPPED, data)
    instance.add_instigator_state(state)
    now = time.time()
    for age in (11, 9):
        instance.create_tick(
            TickData(
                state.instigator_origin_id,
                "landing",
                InstigatorType.SENSOR,
                TickStatus.SKIPPED,
                now - age * DAY_S,
                selector_id=state.selector_id,
            )
        )
    remove_old(settings, instance, datetime.fromtimestamp(now, UTC))
    (remaining,) = instance.get_ticks(state.instigator_origin_id, state.selector_id)
    assert remaining.timestamp == pytest.approx(now - 9 * DAY_S)


def test_old_dbt_folders_are_removed(settings: Settings, instance: dg.DagsterInstance) -> None:
    runs = settings.home / "dbt" / "runs"
    now = time.time()
    for name, age in (("old", 6), ("new", 4)):
        (runs / name / "models").mkdir(parents=True)
        (runs / name / "models" / "run_results.json").write_text("{}")
        os.utime(runs / name, (now - age * DAY_S,) * 2)
    assert remove_old(settings, instance, datetime.fromtimestamp(now, UTC)) == Removed(runs=0, dbt_folders=1)
    assert [path.name for path in runs.iterdir()] == ["new"]


def test_superseded_loads_are_purged_if_a_contract_says_so(settings: Settings, tmp_path: Path) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(settings.contracts, contracts, ignore=shutil.ignore_patterns("*.py"))
    text = (contracts / "movielens.yaml").read_text()
    (contracts / "movielens.yaml").write_text(text.replace("mode: append\n", "mode: append\n    keep_versions: 1\n"))
    keeping = settings.model_copy(update={"contracts": contracts})
    tags = dataset_by_id(keeping.sources(), "movielens/tags")
    with landing_bucket(settings).open() as store, warehouse(settings).open() as connection:
        for tag in ("first", "second"):
            (tmp_path / "tags.csv").write_text(f"userId,movieId,tag,timestamp\n1,1,{tag},1\n")
            store.put("movielens/tags.csv", tmp_path / "tags.csv")
            sync(tags, store, connection, "run", work_folder=tmp_path / "work")
        Builds(connection).prepare()
        now = datetime.now(UTC)
        inputs = connection.last_loads()
        done = Build("build", "run", "", now, now, is_whole=True, has_passed=True, inputs=inputs)
        Builds(connection).finish(done, [], [], {})

    assert remove_what_is_old(settings).loads == 0  # all versions are kept
    assert remove_what_is_old(keeping.model_copy(update={"schema_prefix": "pr_1_"})).loads == 0
    assert remove_what_is_old(keeping).loads == 1
    with warehouse(settings).open("reader") as connection:
        assert connection.execute("select tag from raw.movielens_tags") == [("second",)]


def test_the_job_removes_what_is_old(settings: Settings, instance: dg.DagsterInstance) -> None:
    folder = settings.home / "dbt" / "runs" / "old"
    folder.mkdir(parents=True)
    os.utime(folder, (0, 0))
    done = build_defs(settings).resolve_job_def("retention").execute_in_process(instance=instance)
    assert done.success
    assert not folder.exists()


def test_the_daily_run_waits_for_a_loading_run_but_not_for_a_dead_one(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    defs = build_defs(settings)
    (daily,) = (each for each in defs.schedules or () if each.name == "daily")

    def tick() -> list[dg.RunRequest]:
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=datetime.now(UTC))
        return list(daily.evaluate_tick(context).run_requests or ())

    assert len(tick()) == 1
    run = instance.create_run_for_job(defs.resolve_job_def("everything"), status=dg.DagsterRunStatus.STARTED)
    with hold_run_lock(instance, run.run_id):
        assert tick() == []
    (settings.dagster_home / "run-locks" / run.run_id).write_text(pid_host())  # as a killed process leaves it
    assert len(tick()) == 1
