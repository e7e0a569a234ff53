"""Dagster's storage under $NETFLIX_HOME: its settings follow the package, its events are written fast and not lost."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from netflix_assets import event_log
from netflix_assets import instance as instance_module
from netflix_assets.event_log import EventLog
from netflix_assets.instance import SHIPPED_BEFORE, open_instance, prepare_dagster_home
from netflix_assets.settings import read_settings

SHIPPED = Path(instance_module.__file__).with_name("dagster.yaml")

SAY_AND_DIE = """
import os
import dagster as dg
dg.DagsterInstance.get().report_engine_event("second", job_name="job", run_id="run-1")
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_instance(read_settings(home=tmp_path)) as instance:
        yield instance


def say(instance: dg.DagsterInstance, run_id: str, text: str) -> None:
    instance.report_engine_event(text, job_name="job", run_id=run_id)


def said(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [entry.message for entry in instance.all_logs(run_id)]


def test_an_earlier_dagster_yaml_is_replaced_and_a_changed_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = read_settings(home=tmp_path)
    file = prepare_dagster_home(settings) / "dagster.yaml"
    assert file.read_bytes() == SHIPPED.read_bytes()
    file.write_text("# as an earlier version had it\n")
    monkeypatch.setattr(instance_module, "SHIPPED_BEFORE", {hashlib.sha256(file.read_bytes()).hexdigest()})
    prepare_dagster_home(settings)
    assert file.read_bytes() == SHIPPED.read_bytes()
    file.write_text("# mine\n")
    prepare_dagster_home(settings)
    assert file.read_text() == "# mine\n"


def test_the_dagster_yaml_of_now_is_none_of_before() -> None:
    assert hashlib.sha256(SHIPPED.read_bytes()).hexdigest() not in SHIPPED_BEFORE


def test_events_are_stored_where_dagster_stores_them(opened: dg.DagsterInstance, tmp_path: Path) -> None:
    log = opened.event_log_storage
    assert isinstance(log, EventLog)
    for number in range(3):
        say(opened, "run-1", str(number))
    assert said(opened, "run-1") == ["0", "1", "2"]
    assert (tmp_path / "dagster" / "history" / "runs" / "run-1.db").exists()
    with log.run_connection("run-1") as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 1


def test_only_so_many_files_are_open_and_every_run_can_be_read(
    opened: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "_FILES_OPEN", 3)
    runs = [f"run-{number}" for number in range(4)]
    for run in runs:
        say(opened, run, run)
    assert [said(opened, run) for run in runs] == [[run] for run in runs]
    if (descriptors := Path("/proc/self/fd")).exists():
        names = {each.readlink().name for each in descriptors.iterdir() if each.exists()}
        assert {name for name in names if name.endswith(".db") and name.startswith("run-")} < {
            f"{run}.db" for run in runs
        }


def test_whoever_watches_a_run_is_told_of_events_by_another_process(opened: dg.DagsterInstance) -> None:
    say(opened, "run-1", "first")
    told: list[str] = []
    opened.watch_event_logs("run-1", None, lambda entry, _: told.append(entry.message))
    program = (
        "import dagster as dg\ndg.DagsterInstance.get().report_engine_event('second', job_name='job', run_id='run-1')"
    )
    # Killed at once after: what was stored is there.
    subprocess.run([sys.executable, "-c", f"{program}\nimport os; os.kill(os.getpid(), 9)"], check=False)
    deadline = time.monotonic() + 10
    while "second" not in told:
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    assert said(opened, "run-1") == ["first", "second"]
