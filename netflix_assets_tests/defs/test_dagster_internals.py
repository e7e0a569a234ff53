"""What ``dagster_internals`` relies on without Dagster promising it. Each test says what to do when it breaks."""

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Queue

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from netflix_assets.defs.dagster_internals import (
    EventLogStorage,
    RunLauncher,
    last_result,
    locking_in_process_executor,
)
from netflix_assets.defs.runs import HOST, lock_host, pid_host, why_dead
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import read_settings


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def look_at_lock(context: dg.OpExecutionContext) -> None:
    lock = Path(context.instance.root_directory) / "run-locks" / context.run_id
    assert lock.read_text() == lock_host()
    assert why_dead(context.instance.get_run_by_id(context.run_id), context.instance) is None
    if context.retry_number == 0:
        raise ValueError("the first attempt")
    context.log.info(f"process {os.getpid()}")


@dg.job(executor_def=locking_in_process_executor)
def locked() -> None:
    look_at_lock()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(read_settings(home=tmp_path)) as opened:
        yield opened


def test_the_executor_holds_the_lock_and_retries_locking_in_process_executor(instance: dg.DagsterInstance) -> None:
    """If it breaks: see how ``dg.in_process_executor`` creates its executor and what ``Executor.execute`` receives."""
    with dg.execute_job(dg.reconstructable(locked_job), instance=instance) as result:
        assert result.success
        messages = [entry.user_message for entry in instance.all_logs(result.run_id)]
        assert f"process {os.getpid()}" in messages
        assert [event.event_type_value for event in result.all_events].count("STEP_UP_FOR_RETRY") == 1
    assert list(Path(instance.root_directory, "run-locks").iterdir()) == []


def locked_job() -> dg.JobDefinition:
    return locked


def test_run_monitoring_reports_a_dead_run_by_what_the_launcher_answers(instance: dg.DagsterInstance) -> None:
    """If it breaks: see what ``run_monitoring`` asks of a launcher. Without ours, only ``reap`` finds dead runs."""
    launcher = instance.run_launcher
    assert isinstance(launcher, RunLauncher)
    assert launcher.supports_check_run_worker_health
    alive = instance.create_run_for_job(locked, status=dg.DagsterRunStatus.STARTED)
    assert launcher.check_run_worker_health(alive).status == WorkerStatus.RUNNING
    tags = {HOST: pid_host(), "netflix/pid": str(2**22 + 1)}
    dead = instance.create_run_for_job(locked, status=dg.DagsterRunStatus.STARTED, tags=tags)
    record = instance.get_run_record_by_id(dead.run_id)
    monitor_started_run(instance, None, record, logging.getLogger("test"))
    assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE


def test_the_launcher_records_its_machine(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it breaks: see what ``RunLauncher.launch_run`` receives. Without the tag, only executing runs are reaped."""
    monkeypatch.setattr(dg.DefaultRunLauncher, "launch_run", lambda *_: None)
    run = instance.create_run_for_job(locked)
    instance.launch_run(run.run_id, workspace=None)
    assert instance.get_run_by_id(run.run_id).tags[HOST] == pid_host()


@dg.asset
def a() -> None: ...


@dg.asset_check(asset=a)
def is_there() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


def materialize_a(instance: dg.DagsterInstance) -> str:
    result = dg.materialize([a, is_there], instance=instance)
    assert result.success
    return result.run_id


def event_log(instance: dg.DagsterInstance) -> EventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, EventLogStorage)
    return storage


def folder_of(instance: dg.DagsterInstance) -> Path:
    return Path(instance.root_directory) / "history" / "runs"


def test_dagsters_event_log_reads_the_same_events(instance: dg.DagsterInstance) -> None:
    """If it breaks: compare ``_connect`` and ``__init__`` with Dagster's, or drop ``storage`` from dagster.yaml."""
    run_id = materialize_a(instance)
    events = event_log(instance).get_logs_for_run(run_id)
    assert [event.dagster_event_type for event in events].count(dg.DagsterEventType.ASSET_MATERIALIZATION) == 1
    dagsters = SqliteEventLogStorage(str(folder_of(instance)))
    assert dagsters.get_logs_for_run(run_id) == events
    assert dagsters.all_asset_keys() == [dg.AssetKey("a")]


def test_the_events_that_plan_a_run_are_stored_in_one_batch(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it breaks: see ``DagsterInstance.handle_new_event``. Without batches a run of everything starts 4 s later."""
    batches: list[list[dg.DagsterEventType | None]] = []
    store = SqliteEventLogStorage.store_event_batch

    def noted(storage: SqliteEventLogStorage, events: Sequence[dg.EventLogEntry]) -> None:
        batches.append([event.dagster_event_type for event in events])
        store(storage, events)

    monkeypatch.setattr(SqliteEventLogStorage, "store_event_batch", noted)
    run_id = materialize_a(instance)
    materialized, checked = (
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    )
    assert batches == [[materialized, checked]]
    dagsters = SqliteEventLogStorage(str(folder_of(instance)))
    assert len(dagsters.get_logs_for_run(run_id, of_type={materialized, checked})) == 2
    assert dagsters.get_asset_check_execution_history(dg.AssetCheckKey(dg.AssetKey("a"), "is_there"), limit=9)


def test_a_batch_that_fails_is_stored_event_by_event(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If it breaks: a part of a batch would be stored twice, or a run could not be planned."""
    store, calls = SqliteEventLogStorage.store_event, []

    def fail_once(storage: SqliteEventLogStorage, event: dg.EventLogEntry) -> None:
        store(storage, event)
        calls.append(event)
        if len(calls) == 2:
            raise RuntimeError("in the middle of the batch")

    monkeypatch.setattr(SqliteEventLogStorage, "store_event", fail_once)
    run_id = materialize_a(instance)
    assert "in the middle of the batch" in capsys.readouterr().err
    planned = {dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED}
    assert len(event_log(instance).get_logs_for_run(run_id, of_type=planned)) == 2


def test_the_event_log_tells_watchers_of_another_process(instance: dg.DagsterInstance) -> None:
    """If it breaks: see how Dagster's PostgreSQL storage implements ``watch``. Without it the UI does not go on."""
    first = materialize_a(instance)
    seen: Queue[str] = Queue()
    with dg.DagsterInstance.from_ref(instance.get_ref()) as webserver:
        webserver.watch_event_logs(first, None, lambda event, _: seen.put(event.message))
        expected = [event.message for event in event_log(instance).get_logs_for_run(first)]
        assert [seen.get(timeout=60) for _ in expected] == expected
        run = instance.get_run_by_id(first)
        assert run
        instance.report_engine_event("later", run)
        assert seen.get(timeout=60) == "later"


def test_the_event_log_keeps_few_files_open(instance: dg.DagsterInstance) -> None:
    """If it breaks: a webserver that lives for months would run out of file descriptors."""
    for _ in range(12):
        materialize_a(instance)
    opened = {Path(file.path).stem for file in psutil.Process().open_files() if file.path.endswith(".db")}
    shards = {path.stem for path in folder_of(instance).glob("*.db")}
    assert len(shards) == 13
    assert len(opened & shards) == 8


def test_the_event_log_goes_on_after_its_file_was_removed(instance: dg.DagsterInstance) -> None:
    """If it breaks: ``retention`` removes files of old runs while other processes have them open."""
    run_id = materialize_a(instance)
    for file in folder_of(instance).glob(f"{run_id}*"):
        file.unlink()
    assert event_log(instance).get_logs_for_run(run_id) == []
    run = instance.get_run_by_id(run_id)
    assert run
    instance.report_engine_event("still here", run)
    assert [event.message for event in event_log(instance).get_logs_for_run(run_id)] == ["still here"]


def test_a_check_sees_its_last_result_while_it_is_planned_again(instance: dg.DagsterInstance) -> None:
    """If it breaks: see how Dagster's event log gives the executions of a check."""
    key = dg.AssetCheckKey(dg.AssetKey("counted"), "looks_back")

    @dg.asset
    def counted() -> None:
        pass

    @dg.asset_check(asset=counted)
    def looks_back() -> dg.AssetCheckResult:
        last = last_result(instance, key)
        number = 1 if last is None else last.metadata["number"].value + 1
        return dg.AssetCheckResult(passed=number % 2 == 1, metadata={"number": number})

    for number in (1, 2, 3):
        assert dg.materialize([counted, looks_back], instance=instance).success
        last = last_result(instance, key)
        assert last is not None
        assert (last.passed, last.metadata["number"].value) == (number % 2 == 1, number)
