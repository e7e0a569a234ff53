"""A run whose process is gone is reported as failed, and no other; the lock file of a run goes with it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from netflix_assets.defs.runs import HOST, hold_run_lock, lock_host, pid_host, reap, remove_run_lock
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import read_settings
from netflix_assets_tests.forks import FORKS
from netflix_assets_tests.waiting import until

PID = "netflix/pid"  # tag of runs recorded before there were locks
HOLD = """
import sys
import dagster as dg
from netflix_assets.defs.runs import hold_run_lock
with dg.DagsterInstance.get() as instance, hold_run_lock(instance, sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@dg.job
def nothing() -> None:
    pass


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(read_settings(home=tmp_path)) as opened:
        yield opened


def begin(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED, **tags: str
) -> dg.DagsterRun:
    return instance.create_run_for_job(nothing, status=status, tags=tags)


def lock_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Path:
    return Path(instance.root_directory) / "run-locks" / run.run_id


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    return instance.get_run_by_id(run.run_id).status.value


# A process id namespace and a host name, as a container has them. Their first process takes the others with it.
CONTAINER = (
    "unshare", "--user", "--map-root-user", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child",
    "sh", "-c", 'hostname code && exec "$@"', "sh",
)  # fmt: skip
HAS_CONTAINERS = shutil.which("unshare") and subprocess.run([*CONTAINER, "true"], check=False).returncode == 0


def hold(dagster_home: str, run_id: str, held: Connection) -> None:
    os.environ["DAGSTER_HOME"] = dagster_home
    with dg.DagsterInstance.get() as instance, hold_run_lock(instance, run_id):
        held.send("held")
        time.sleep(3600)


@contextmanager
def executed_by_another_process(run: dg.DagsterRun) -> Iterator[BaseProcess]:
    here, there = FORKS.Pipe()
    worker = FORKS.Process(target=hold, args=(os.environ["DAGSTER_HOME"], run.run_id, there), daemon=True)
    worker.start()
    try:
        assert here.recv() == "held"
        yield worker
    finally:
        worker.kill()
        worker.join()


@contextmanager
def executed_in_a_container(run: dg.DagsterRun) -> Iterator[subprocess.Popen[str]]:
    command = [*CONTAINER, sys.executable, "-c", HOLD, run.run_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout.readline() == "held\n"
            yield worker
        finally:
            worker.kill()


def ended_process() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_a_run_is_reported_when_its_process_was_killed_and_not_before(instance: dg.DagsterInstance) -> None:
    run = begin(instance)
    with executed_by_another_process(run) as worker:
        assert reap(instance) == []
        worker.kill()
        worker.join()
        assert reap(instance) == [run.run_id]
    assert status(instance, run) == "FAILURE"
    (event,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert "the process of the run is gone" in event.dagster_event.message
    assert "it was killed, or the machine went down" in event.dagster_event.message
    assert not lock_of(instance, run).exists()
    assert reap(instance) == []


@pytest.mark.parametrize("moved_s", [-86_400, 86_400])
def test_the_clock_does_not_matter(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, moved_s: int) -> None:
    alive, dead = begin(instance), begin(instance, **{HOST: pid_host(), PID: str(os.getpid())})
    with executed_by_another_process(dead):
        pass
    with executed_by_another_process(alive):
        now = time.time() + moved_s
        monkeypatch.setattr(time, "time", lambda: now)
        for run in (alive, dead):
            os.utime(lock_of(instance, run), (now, now))
        assert reap(instance) == [dead.run_id]


def test_a_run_that_is_being_canceled_is_canceled_when_its_process_is_gone(instance: dg.DagsterInstance) -> None:
    run = begin(instance, dg.DagsterRunStatus.CANCELING)
    with executed_by_another_process(run):
        pass
    assert reap(instance) == [run.run_id]
    assert status(instance, run) == "CANCELED"


def test_two_homes_do_not_see_each_others_runs(
    instance: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with open_instance(read_settings(home=tmp_path_factory.mktemp("other"))) as other:
        here, there = begin(instance), begin(other)
        with hold_run_lock(instance, here.run_id), hold_run_lock(other, there.run_id):
            assert (reap(instance), reap(other)) == ([], [])
        with executed_by_another_process(there):  # by DAGSTER_HOME the other home's
            assert (reap(instance), reap(other)) == ([], [])
        assert (reap(instance), reap(other)) == ([], [there.run_id])


@pytest.mark.skipif(not HAS_CONTAINERS, reason="this system does not let its users create namespaces")
def test_a_run_in_a_container_that_was_killed_is_reported_from_another(instance: dg.DagsterInstance) -> None:
    run = begin(instance)
    with executed_in_a_container(run) as container:
        assert lock_of(instance, run).read_text().split()[0] == "code"
        assert reap(instance) == []
        container.kill()
        container.wait()
        assert until(lambda: reap(instance)) == [run.run_id]
    (event,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert "the process of the run is gone from code" in event.dagster_event.message


HERE, BOOT = socket.gethostname(), Path("/proc/sys/kernel/random/boot_id")


@pytest.mark.parametrize(
    ("locked_at", "is_reaped"),
    [
        pytest.param(f"{HERE} earlier-boot", True, id="this machine, before it went down"),
        pytest.param(f"{HERE} pid:[4026531836]", True, id="as the version before wrote it"),
        pytest.param("elsewhere another-boot", False, id="another machine"),
        pytest.param("elsewhere", False, id="another machine that does not tell its boot"),
    ],
)
@pytest.mark.parametrize("tells_boot", [True, False])
def test_a_lock_is_tested_where_it_can_be(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, locked_at: str, is_reaped: bool, tells_boot: bool
) -> None:
    if not tells_boot:  # macOS
        monkeypatch.setattr("netflix_assets.defs.runs._BOOT_ID", Path("/proc/not/there"))
    run = begin(instance)
    with executed_by_another_process(run):
        lock_of(instance, run).write_text(locked_at)
        assert reap(instance) == []
    assert reap(instance) == ([run.run_id] if is_reaped else [])
    assert lock_of(instance, run).exists() is not is_reaped


def test_containers_of_one_machine_test_each_others_locks(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not BOOT.exists():
        pytest.skip("no kernel that containers share")
    run = begin(instance)
    with executed_by_another_process(run):
        monkeypatch.setattr("netflix_assets.defs.runs._MACHINE", "the-new-container")
        assert reap(instance) == []
    assert reap(instance) == [run.run_id]


def test_a_lock_file_that_is_not_locked_yet_is_left_alone(instance: dg.DagsterInstance) -> None:
    run = begin(instance)
    for path in (lock_of(instance, run), lock_of(instance, run).with_name("of a command that creates its run later")):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert reap(instance) == []
    assert len(list(lock_of(instance, run).parent.iterdir())) == 2


def test_the_lock_file_goes_with_the_block_also_when_it_fails(instance: dg.DagsterInstance) -> None:
    run = begin(instance)

    def fail_inside() -> None:
        with hold_run_lock(instance, run.run_id):
            assert lock_of(instance, run).read_text() == lock_host()
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    assert not lock_of(instance, run).exists()
    remove_run_lock(instance, run.run_id)


def test_lock_files_of_ended_and_removed_runs_are_swept(instance: dg.DagsterInstance) -> None:
    ended, removed, held = begin(instance), begin(instance), begin(instance)
    for run in (ended, removed):
        with executed_by_another_process(run):
            pass
    instance.report_run_failed(ended)  # as Dagster's run monitoring does
    instance.delete_run(removed.run_id)
    with executed_by_another_process(held):
        instance.report_run_failed(held)  # a hanging run that was given up
        assert reap(instance) == []
        assert [path.name for path in lock_of(instance, held).parent.iterdir()] == [held.run_id]


def test_runs_recorded_before_there_were_locks_are_reported_by_their_process_id(instance: dg.DagsterInstance) -> None:
    gone, here = str(ended_process()), pid_host()
    dead = begin(instance, **{HOST: here, PID: gone})
    begin(instance, **{HOST: here, PID: str(os.getpid())})
    begin(instance, **{HOST: "another machine", PID: gone})
    begin(instance)
    assert reap(instance) == [dead.run_id]
    (event,) = instance.all_logs(dead.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert f"(pid {gone} on " in event.dagster_event.message


def test_a_zombie_is_gone(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        run = begin(instance, **{HOST: pid_host(), PID: str(process.pid)})
        assert reap(instance) == [run.run_id]


@pytest.mark.parametrize(
    ("server", "tags", "is_reaped"),
    [
        ({"host": "localhost", "socket": "/tmp/x"}, {HOST: pid_host()}, True),  # noqa: S108
        ({"host": "localhost", "socket": "/tmp/x"}, {HOST: "another machine"}, False),  # noqa: S108
        ({"host": "10.0.0.7", "port": 4000}, {HOST: pid_host()}, False),
    ],
)
def test_a_run_killed_before_it_executes_is_reported_where_its_code_server_is_on_this_machine(
    instance: dg.DagsterInstance, server: dict[str, object], tags: dict[str, str], is_reaped: bool
) -> None:
    run = begin(instance, dg.DagsterRunStatus.STARTING, **tags, **{".dagster/grpc_info": json.dumps(server)})
    assert reap(instance) == []
    metadata = {"pid": dg.MetadataValue.text(str(ended_process()))}
    data = EngineEventData(metadata=metadata)
    instance.report_engine_event("Started process for run", run, engine_event_data=data)
    assert reap(instance) == ([run.run_id] if is_reaped else [])
