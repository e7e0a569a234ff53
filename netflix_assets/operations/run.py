"""One run of the graph in this process."""

import contextlib
import io
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event, Thread
from typing import Any

import dagster as dg

from netflix_assets.defs.dbt.project import DbtProjectError
from netflix_assets.defs.jobs import EVERYTHING
from netflix_assets.defs.runs import hold_run_lock, reap
from netflix_assets.operations.errors import InputError, OperationError
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome, outcome_of
from netflix_assets.settings import Settings
from netflix_assets.storage.bucket import landing_bucket

_POLL_S = 0.3
_PROGRESS = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.ASSET_MATERIALIZATION)
_PLANNED = (
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
)
_DONE = (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION)


class SelectionError(InputError):
    """An asset selection that is not valid or matches no asset that a run can build."""


def load_definitions(settings: Settings) -> dg.Definitions:
    """The definitions for these settings. Raises: OperationError when dbt cannot read its project."""
    try:
        from netflix_assets.definitions import load_defs  # reads the dbt project

        return load_defs(settings)
    except DbtProjectError as error:
        raise OperationError(str(error)) from error


def run_graph(
    settings: Settings,
    defs: dg.Definitions,
    *,
    select: str | None = None,
    full_refresh: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> RunOutcome:
    """Run the whole graph or a selection of it. The run appears in the UI like any other.

    ``select``: Dagster's asset selection syntax; None selects everything.
    ``full_refresh``: rebuild incremental models from all current rows.
    ``progress``: receives the messages that the run logs and the steps that it starts, with how much of it is done.

    Raises: SelectionError; StorageError; KeyboardInterrupt when the run was interrupted, which Dagster reports as a
    failed step.
    """
    selection = None if select is None else _select(defs, select)
    run_config = {"ops": {"dbt_models": {"config": {"full_refresh": True}}}} if full_refresh else {}
    return execute_job(settings, defs, EVERYTHING, run_config, selection=selection, progress=progress)


def execute_job(
    settings: Settings,
    defs: dg.Definitions,
    job_name: str,
    run_config: Mapping[str, Any],
    *,
    selection: Sequence[dg.AssetKey] | None = None,
    tags: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> RunOutcome:
    """Execute a job in this process. ``selection``: only these assets of it. ``tags``: of the run.

    Raises: StorageError; KeyboardInterrupt when the run was interrupted, which Dagster reports as a failed step.
    """
    job = defs.resolve_job_def(job_name)
    run_id = str(uuid.uuid4())
    # The bucket stays open for the whole run, so that a local S3 starts once and not once per step. dagster-dbt prints
    # everything that dbt prints; the run's log has it too.
    with (
        landing_bucket(settings).open(),
        open_instance(settings) as instance,
        _follow(instance, run_id, progress),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        reap(instance)
        with hold_run_lock(instance, run_id):  # execute_in_process does not use the executor of the definitions
            result = job.execute_in_process(
                instance=instance,
                run_id=run_id,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **run_config},
                asset_selection=selection,
                tags=tags,
                raise_on_error=False,
            )
        events = result.all_events
        if any(event.is_step_failure and _is_interrupt(event.step_failure_data.error) for event in events):
            raise KeyboardInterrupt
        return outcome_of(result.run_id, result.success, events, set(result.job_def.asset_layer.executable_asset_keys))


def _is_interrupt(error: Any) -> bool:
    """Whether an error of a step, or a cause of it, is an interrupt."""
    while error is not None:
        if error.cls_name in (dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__):
            return True
        error = error.cause
    return False


def _select(defs: dg.Definitions, select: str) -> list[dg.AssetKey]:
    graph = defs.resolve_asset_graph()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # Dagster warns about its own `group:` syntax
            selected = dg.AssetSelection.from_string(select).resolve(graph)
    except (dg.DagsterError, ValueError) as error:
        raise SelectionError(f"--select {select!r}: {error}") from error
    runnable = sorted(selected & graph.executable_asset_keys)
    if not runnable:
        raise SelectionError(
            f"--select {select!r} matches no asset that a run can build. Examples: raw/movielens/ratings, "
            "'key:\"raw/movielens/ratings\"+', group:marts"
        )
    return runnable


@contextlib.contextmanager
def _follow(instance: dg.DagsterInstance, run_id: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Report the run's progress from its event log until the block ends."""
    ended = Event()

    def follow() -> None:
        cursor = None
        planned = done = 0
        while not ended.wait(_POLL_S):
            page = instance.get_records_for_run(run_id, cursor=cursor)
            cursor = page.cursor
            for record in page.records:
                entry = record.event_log_entry
                kind = entry.dagster_event.event_type if entry.dagster_event else None
                planned += kind in _PLANNED
                done += kind in _DONE
                if kind is None or kind in _PROGRESS:
                    progress(f"{done:,} of {planned:,} assets and checks done. {entry.user_message}")

    thread = Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
