"""Retention: remove Dagster's old runs and ticks, dbt's old target folders, and superseded loads.

Loads are only purged in datasets whose contract has ``keep_versions``; without one the warehouse is not opened.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.resources import warehouse
from netflix_assets.defs.runs import remove_run_lock
from netflix_assets.settings import Settings
from netflix_assets.warehouse.purging import last_applied_build, purge_loads

RETENTION = "retention"

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_AT_ONCE = 500


@dataclass(frozen=True)
class Removed:
    """The number of runs, dbt folders and superseded loads that were removed."""

    runs: int
    dbt_folders: int
    loads: int = 0


def retention_job(settings: Settings) -> dg.JobDefinition:
    """The job that removes whatever is older than the settings allow."""

    @dg.op(name="remove_old", description=_DESCRIPTION)
    def remove(context: dg.OpExecutionContext) -> None:
        removed = remove_old(settings, context.instance, datetime.now(UTC))
        context.log.info(
            f"removed {removed.runs} runs, {removed.dbt_folders} dbt folders and the rows of {removed.loads} "
            "superseded loads"
        )
        context.add_output_metadata(asdict(removed))

    @dg.job(
        name=RETENTION,
        description=f"Removes runs after {settings.keep_runs_days:g} days (except those with an asset's newest "
        f"materialization), ticks after {settings.keep_ticks_days:g} days, dbt's target folders after "
        f"{settings.keep_builds_days:g} days, and the rows of superseded loads that contracts no longer keep.",
    )
    def retention() -> None:
        remove()

    return retention


_DESCRIPTION = "Removes old runs with their logs, old ticks, dbt's old target folders and superseded loads."


def remove_old(settings: Settings, instance: dg.DagsterInstance, now: datetime) -> Removed:
    """Remove whatever is older than the settings allow. ``now`` has a time zone."""
    return Removed(
        runs=_remove_history(settings, instance, now),
        dbt_folders=_remove_dbt_folders(settings, now - timedelta(days=settings.keep_builds_days)),
        loads=_purge_loads(settings),
    )


def _remove_history(settings: Settings, instance: dg.DagsterInstance, now: datetime) -> int:
    """Remove old runs and ticks. Dagster+ keeps its own history and refuses to delete from it."""
    if settings.dagster_plus.deployment_name:
        return 0
    _remove_ticks(instance, now - timedelta(days=settings.keep_ticks_days))
    return _remove_runs(settings, instance, now - timedelta(days=settings.keep_runs_days))


def _purge_loads(settings: Settings) -> int:
    """Purge superseded loads. A branch reads the raw tables of its environment and leaves them alone."""
    datasets = [dataset for dataset in all_datasets(settings.sources()) if dataset.keep_versions is not None]
    resource = warehouse(settings)
    if not datasets or settings.schema_prefix or not resource.exists():
        return 0
    with resource.open("reader", asset=RETENTION) as connection:
        applied = last_applied_build(connection)
    if applied is None:
        return 0
    with resource.open(asset=RETENTION) as connection:
        for dataset in datasets:
            connection.prepare(dataset)
        return sum(len(purge_loads(dataset, connection, applied)) for dataset in datasets)


def _remove_runs(settings: Settings, instance: dg.DagsterInstance, before: datetime) -> int:
    keep = set(_latest_materialization_runs(instance))
    # Collect ids first: removing runs while paging would shift the pages.
    old: list[str] = []
    cursor = None
    while True:
        page = instance.get_run_records(
            dg.RunsFilter(statuses=_ENDED, created_before=before), limit=_RUNS_AT_ONCE, cursor=cursor
        )
        old += [record.dagster_run.run_id for record in page if record.dagster_run.run_id not in keep]
        if len(page) < _RUNS_AT_ONCE:
            break
        cursor = page[-1].dagster_run.run_id
    for run_id in old:
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        remove_run_lock(instance, run_id)
        # Each run's events are in a SQLite file, which Dagster empties but does not remove.
        for file in (settings.dagster_home / "history" / "runs").glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
    return len(old)


def _latest_materialization_runs(instance: dg.DagsterInstance) -> Iterator[str]:
    """The runs of the newest materializations.

    The landing sensor compares the bucket with those of raw assets, and reads from landing assets whether a dataset has
    ever arrived.
    """
    for event in instance.get_latest_materialization_events(instance.all_asset_keys()).values():
        if event is not None:
            yield event.run_id


def _remove_ticks(instance: dg.DagsterInstance, before: datetime) -> None:
    # Dagster removes the ticks of running sensors (dagster.yaml), but not of stopped or deleted ones.
    for state in instance.all_instigator_state():
        instance.purge_ticks(state.instigator_origin_id, state.selector_id, before.timestamp())


def _remove_dbt_folders(settings: Settings, before: datetime) -> int:
    old = [
        folder
        for folder in settings.dbt_runs_folder.glob("*")
        if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < before
    ]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)
