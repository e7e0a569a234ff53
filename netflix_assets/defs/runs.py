"""The runs that are under way: what they bring level, and whether their process still lives.

A run whose process was killed stays "started" in Dagster's storage, and whatever waits for it would wait until the
maximum runtime is over. So a run says where it goes on (``netflix/host``) and as which process (``netflix/pid``), and
whoever is about to wait looks whether that process is still there. A run of another machine, or of another container,
is left alone: from here nothing can be said about it, and the maximum runtime of dagster.yaml is its limit.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import dagster as dg

from netflix_assets.processes import is_alive

HOST = "netflix/host"  # tag: the machine, and on it the space that process ids are unique in
PID = "netflix/pid"  # tag: the process
_GRPC = ".dagster/grpc_info"  # tag of Dagster's: the code server that a launched run was given to

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
    """The queued and running runs that bring any of the wanted assets level.

    ``synced_by``: what each job brings level (``jobs.synced_by``); of another job's run it is what was selected.
    """
    for record in instance.get_run_records(dg.RunsFilter(statuses=[QUEUED, *HAS_PROCESS])):
        run = record.dagster_run
        brought = synced_by.get(run.job_name, wanted)
        if run.asset_selection is not None:
            brought = brought & run.asset_selection
        if brought & wanted:
            yield run


def reap(instance: dg.DagsterInstance) -> list[str]:
    """Report the runs whose process is gone as failed, with the reason. Returns their ids."""
    reaped = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(HAS_PROCESS))):
        reason = what_ended(record.dagster_run, instance)
        # Read again: a run that ended by itself has said so before its process ended.
        run = instance.get_run_by_id(record.dagster_run.run_id)
        if reason is None or run is None or run.is_finished:
            continue
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, reason)
        else:
            instance.report_run_failed(run, reason)
        reaped.append(run.run_id)
    return reaped


def what_ended(run: dg.DagsterRun, instance: dg.DagsterInstance) -> str | None:
    """Why the run cannot be going on any more; None when it may be."""
    if run.tags.get(HOST) != this_host():
        return None
    process = _process_of(run, instance)
    if process is None:
        return None
    pid, seen_at = process
    if is_alive(pid, seen_at):
        return None
    return (
        f"the process of the run (pid {pid} on {socket.gethostname()}) is gone: it was killed, or the machine went down"
    )


def tags_of_this_process() -> dict[str, str]:
    """The tags of a run that goes on in this process."""
    return {HOST: this_host(), PID: str(os.getpid())}


def this_host() -> str:
    """The machine, and the process ids' namespace where there are several (containers)."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()


def _process_of(run: dg.DagsterRun, instance: dg.DagsterInstance) -> tuple[int, float] | None:
    """The run's process, and a moment (Unix time) at which it was there; None when it has not said so yet."""
    if PID in run.tags:
        record = instance.get_run_record_by_id(run.run_id)
        return (int(run.tags[PID]), record.start_time or record.create_timestamp.timestamp()) if record else None
    # It has not said so yet. Where the code server is on this machine the log has its process; one that is spoken to
    # by network may be anywhere.
    if "socket" not in json.loads(run.tags.get(_GRPC, "{}")):
        return None
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None:
            return int(str(pid.value)), entry.timestamp
    return None
