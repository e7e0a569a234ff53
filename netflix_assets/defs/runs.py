"""Runs in progress: what they sync, and whether the process that executes them is still there.

A run whose process was killed stays "started" in Dagster's storage, and whatever waits for it would wait until the
maximum runtime of dagster.yaml. So the process of a run holds a lock on ``$DAGSTER_HOME/run-locks/<run id>`` while it
executes. The kernel releases the lock when the process ends. A lock that can be taken belongs to a dead run, whatever
clocks and process ids say. Containers of one machine share its kernel, so a new container can test the lock of the
one that it replaces. Locks of another machine are left alone: a network file system may not pass them on.
"""

import fcntl
import json
import socket
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import psutil

from netflix_assets.storage.locks import is_held

HOST = "netflix/host"  # tag: where the run was launched, as ``pid_host`` says it
_PID = "netflix/pid"  # tag of runs recorded before there were locks: the process
_GRPC = ".dagster/grpc_info"  # Dagster's tag: the code server that a run was launched on

QUEUED = dg.DagsterRunStatus.QUEUED
HAS_PROCESS = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def runs_in_progress(
    instance: dg.DagsterInstance, wanted: Set[dg.AssetKey], synced_by: Mapping[str, Set[dg.AssetKey]]
) -> Iterator[dg.DagsterRun]:
    """The queued and running runs that sync any of the wanted assets.

    ``synced_by``: the assets that each job syncs (``jobs.synced_by``). A run of another job syncs its selection.
    """
    for record in instance.get_run_records(dg.RunsFilter(statuses=[QUEUED, *HAS_PROCESS])):
        run = record.dagster_run
        synced = synced_by.get(run.job_name, wanted)
        if run.asset_selection is not None:
            synced = synced & run.asset_selection
        if synced & wanted:
            yield run


@contextmanager
def hold_run_lock(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Mark this process as the one that executes the run, for the length of the block."""
    path = _lock_of(instance, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Written under the lock: whoever finds the file empty knows that it is not locked yet.
        lock.truncate(0)
        lock.write(lock_host())
        lock.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def reap(instance: dg.DagsterInstance) -> list[str]:
    """Report runs whose process is gone as failed, with the reason. Returns their ids."""
    reaped = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(HAS_PROCESS))):
        reason = why_dead(record.dagster_run, instance)
        # Read again: a run that ended by itself was recorded as ended before its process was gone.
        run = instance.get_run_by_id(record.dagster_run.run_id)
        if reason is None or run is None or run.is_finished:
            continue
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, reason)
        else:
            instance.report_run_failed(run, reason)
        reaped.append(run.run_id)
    _sweep_locks(instance)
    return reaped


def why_dead(run: dg.DagsterRun, instance: dg.DagsterInstance) -> str | None:
    """Why the run cannot be going on any more; None if it may be."""
    lock = _lock_of(instance, run.run_id)
    with suppress(FileNotFoundError):
        if host := lock.read_text(encoding="utf-8"):
            dead = _can_test(host) and not is_held(lock)
            return f"the process of the run is gone from {host.split()[0]}: {_CAUSES}" if dead else None
    # Not executing yet, or recorded before there were locks.
    if run.tags.get(HOST) == pid_host() and (pid := _pid_of(run, instance)) and not _is_running(pid):
        return f"the process of the run (pid {pid} on {_MACHINE}) is gone: {_CAUSES}"
    return None


def remove_run_lock(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove the lock file that a killed run left behind."""
    _lock_of(instance, run_id).unlink(missing_ok=True)


def pid_host() -> str:
    """Where a process id means one process: the machine, and its process id namespace (containers have their own)."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{_MACHINE} {namespace}".strip()


def lock_host() -> str:
    """Where a lock can be tested: the machine, and this start of its kernel where the system tells (Linux)."""
    boot = _BOOT_ID.read_text(encoding="utf-8").strip() if _BOOT_ID.exists() else ""
    return f"{_MACHINE} {boot}".strip()


def _can_test(host: str) -> bool:
    """Whether a lock taken at ``host`` can be tested from here.

    The same kernel knows all its locks, under whatever name a container takes them. The same name with another start
    of the kernel is this machine before it went down.
    """
    return not set(host.split()).isdisjoint(lock_host().split())


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE = socket.gethostname()
_CAUSES = "it was killed, or the machine went down"


def _lock_of(instance: dg.DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "run-locks" / run_id


def _sweep_locks(instance: dg.DagsterInstance) -> None:
    """Remove what killed runs left behind, once they are reported as ended or removed."""
    for lock in Path(instance.root_directory, "run-locks").glob("*"):
        run = instance.get_run_by_id(lock.name)
        with suppress(FileNotFoundError):
            # A command creates its run after the lock file, and an empty file is about to be locked.
            stale = run.is_finished if run else lock.read_text(encoding="utf-8") != ""
            if stale and not is_held(lock):
                lock.unlink()


def _pid_of(run: dg.DagsterRun, instance: dg.DagsterInstance) -> int | None:
    """The process of a run without a lock; None if it is not known or not on this machine."""
    if _PID in run.tags:
        return int(run.tags[_PID])
    # A code server on this machine notes the process that it starts; one reached by network may be anywhere.
    if "socket" in json.loads(run.tags.get(_GRPC, "{}")):
        for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            event = entry.dagster_event
            pid = event.engine_event_data.metadata.get("pid") if event else None
            if pid is not None:
                return int(str(pid.value))
    return None


def _is_running(pid: int) -> bool:
    # Start times are not compared: a clock step would make a living run look dead. A run that has not begun and whose
    # pid another process has by now ends by the start timeout of dagster.yaml.
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
