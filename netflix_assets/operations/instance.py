"""Dagster's storage under $NETFLIX_HOME, and a run of the graph in this process, as the commands need them."""

import contextlib
import hashlib
import io
import os
import re
import shutil
import uuid
import warnings
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import dagster as dg
from sqlalchemy.exc import DBAPIError

from netflix_assets.defs.jobs import EVERYTHING
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.defs.runs import hold_run_lock, reap
from netflix_assets.settings import Settings
from netflix_assets.warehouse.transient import cause_of

# SHA-256 of every dagster.yaml that this package has come with but for the one it has now; a changed one goes in here.
SHIPPED_BEFORE = frozenset({
    "37f6cfe237161c510a360a15301a50790258bf66f954396e2e8ef2a1dc67606b",
    "1bb028798f3445c03f969018d74b771c8b6d059c60a9a2af6d283ac04fa820b4",
    "4ca0385d59de245b4ae608c308db166108c65f95bbbc5db15520f746c54da9b6",
    "2a6eedc00886b4d53dda1daa39fd1d9aa0a77a8e98805f80be1704945fa1efb8",
})  # fmt: skip
# The run launcher has moved: those say `module: netflix_assets.runs`.
_LAUNCHER_BEFORE = re.compile(r"""(\bmodule:\s*["']?)netflix_assets\.runs\b""")
_LAUNCHER_NOW = r"\1netflix_assets.defs.dagster_internals"
_POLL_S = 0.3


class StorageError(OSError):
    """Dagster's storage cannot be read or written, because the disk is full for one."""


class SelectionError(ValueError):
    """A selection of assets that is not valid or empty."""


@contextlib.contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Dagster's storage. Raises: StorageError when what is done with it meets a disk that is full or broken."""
    home = prepare_dagster_home(settings)
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    except DBAPIError as error:
        where = f"Dagster's storage (settings: {home / 'dagster.yaml'})"
        raise StorageError(f"{where}: {error.orig}; is there room on its disk?") from error


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended: its id, whether it succeeded, what it built and checked, the errors of failed steps.

    ``told``: what the checks that failed or warn say, by their names; ``refused``: (raw asset, what was refused and
    why) of the datasets with refused objects in the bucket; ``warnings``: (raw asset, what is odd about an object that
    was loaded).
    """

    run_id: str
    success: bool
    materialized: tuple[str, ...]
    failed_checks: tuple[str, ...]
    warned_checks: tuple[str, ...]
    passed_checks: int
    told: Mapping[str, str]
    errors: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]


def prepare_dagster_home(settings: Settings) -> Path:
    """Make $DAGSTER_HOME with its dagster.yaml, and say it to this process and its children.

    The file of an earlier version of this package is replaced, unless somebody has changed it. In a changed one, only
    the module of the run launcher is updated if it has moved since.
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    ours, theirs = Path(__file__).with_name("dagster.yaml"), home / "dagster.yaml"
    if not theirs.exists() or _digest(theirs) in SHIPPED_BEFORE:
        shutil.copyfile(ours, theirs)
    elif _LAUNCHER_BEFORE.search(changed := theirs.read_text(encoding="utf-8")):
        theirs.write_text(_LAUNCHER_BEFORE.sub(_LAUNCHER_NOW, changed), encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def run_graph(
    settings: Settings,
    defs: dg.Definitions,
    *,
    select: str | None = None,
    full_refresh: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> RunOutcome:
    """One Dagster run of the whole graph, or of a selection, in this process; the UI shows it like any other.

    ``select`` is Dagster's asset selection syntax. Raises: SelectionError when it selects nothing that can run;
    KeyboardInterrupt when the run was interrupted, which Dagster makes a failure of the step.
    """
    job = defs.resolve_job_def(EVERYTHING)
    selection = None if select is None else _selected(defs, select)
    run_config: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    if full_refresh:
        run_config["ops"] = {"dbt_models": {"config": {"full_refresh": True}}}
    run_id = str(uuid.uuid4())
    # The bucket stays open for the whole run, so that a local S3 is started once and not for each step. dagster-dbt
    # prints all that dbt prints; it stands in the run's log.
    with (
        landing_bucket(settings).open(),
        open_instance(settings) as instance,
        _followed(instance, run_id, progress),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        reap(instance)
        with hold_run_lock(instance, run_id):  # execute_in_process does not use the executor of the definitions
            result = job.execute_in_process(
                instance=instance,
                run_id=run_id,
                run_config=run_config,
                asset_selection=selection,
                raise_on_error=False,
            )
        if any(event.is_step_failure and _interrupted(event.step_failure_data.error) for event in result.all_events):
            raise KeyboardInterrupt
        built = set(result.job_def.asset_layer.executable_asset_keys)
        return outcome_of(result.run_id, result.success, result.all_events, built)


def _interrupted(error: Any) -> bool:
    while error is not None:
        if error.cls_name in (dg.DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__):
            return True
        error = error.cause
    return False


def _selected(defs: dg.Definitions, select: str) -> list[dg.AssetKey]:
    graph = defs.resolve_asset_graph()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # of the library about itself, for group:
            chosen = dg.AssetSelection.from_string(select).resolve(graph)
    except (dg.DagsterError, ValueError) as error:
        raise SelectionError(f"--select {select!r}: {error}") from error
    runnable = sorted(chosen & graph.executable_asset_keys)
    if not runnable:
        raise SelectionError(
            f"--select {select!r} selects nothing that can run; examples: raw/movielens/ratings, "
            "'key:\"raw/movielens/ratings\"+', group:marts"
        )
    return runnable


@contextlib.contextmanager
def _followed(instance: dg.DagsterInstance, run_id: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Report what the run logs while it goes on, from its event log."""
    ended = Event()

    def follow() -> None:
        cursor = None
        while not ended.wait(_POLL_S):
            page = instance.get_records_for_run(run_id, cursor=cursor)
            cursor = page.cursor
            for record in page.records:
                entry = record.event_log_entry
                if entry.dagster_event is None or entry.dagster_event.event_type_value == "STEP_START":
                    progress(entry.user_message)

    thread = Thread(target=follow, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def outcome_of(
    run_id: str, success: bool, events: Sequence[dg.DagsterEvent], built: Container[dg.AssetKey]
) -> RunOutcome:
    """How a run has ended, by its events. ``built``: what runs build; arrivals on landing assets are no such work."""
    checks = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    failed = [check for check in checks if not check.passed]
    errors = [
        f"{str(event.step_key).replace('__', '/')}: {cause_of(event.step_failure_data.error)}"  # an asset's key
        for event in events
        if event.is_step_failure
    ]
    return RunOutcome(
        run_id=run_id,
        success=success,
        materialized=tuple(
            event.asset_key.to_user_string()
            for event in events
            if event.is_step_materialization and event.asset_key and event.asset_key in built
        ),
        failed_checks=tuple(_name(check) for check in failed if check.severity == dg.AssetCheckSeverity.ERROR),
        warned_checks=tuple(_name(check) for check in failed if check.severity == dg.AssetCheckSeverity.WARN),
        passed_checks=len(checks) - len(failed),
        told={_name(check): (check.description or "").partition("\n")[0] for check in failed},
        errors=tuple(errors),
        refused=tuple(_refused(events)),
        warnings=tuple(_warnings(events)),
    )


def _refused(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, str]]:
    for asset, metadata in _materialized(events):
        if "objects_refused" in metadata and metadata["objects_refused"].value:
            for line in str(metadata["refused"].value).splitlines():
                yield asset, line.removeprefix("- ")


def _warnings(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, str]]:
    for asset, metadata in _materialized(events):
        if "warnings" in metadata:
            for line in str(metadata["warnings"].value).splitlines():
                yield asset, line.removeprefix("- ")


def _materialized(events: Sequence[dg.DagsterEvent]) -> Iterator[tuple[str, Mapping[str, dg.MetadataValue[Any]]]]:
    for event in events:
        if event.is_step_materialization and event.asset_key:
            yield event.asset_key.to_user_string(), event.step_materialization_data.materialization.metadata


def _name(check: dg.AssetCheckEvaluation) -> str:
    return f"{check.asset_key.to_user_string()}: {check.check_name}"
