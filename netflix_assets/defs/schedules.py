"""The schedules."""

from collections.abc import Sequence

import dagster as dg

from netflix_assets.contracts.model import Source, all_datasets
from netflix_assets.defs.jobs import EVERYTHING, INGESTION, synced_by
from netflix_assets.defs.retention import RETENTION
from netflix_assets.defs.runs import reap, runs_in_progress
from netflix_assets.settings import Settings

DAILY_AT = "0 5 * * *"  # UTC
TIDY_AT = "30 3 * * *"


def schedules(settings: Settings, sources: Sequence[Source]) -> list[dg.ScheduleDefinition]:
    """The daily run of everything, and the daily retention job.

    On Dagster+, which keeps its own history, the retention job is scheduled only if a contract has ``keep_versions``.
    """
    covered = synced_by(sources)

    @dg.schedule(
        name="daily",
        job_name=EVERYTHING,
        cron_schedule=DAILY_AT,
        execution_timezone="UTC",
        # In production, checks, freshness and date-dependent marts stay current on days without files, and files that
        # the sensor gave up on get another try. Elsewhere each run costs something and nobody is waiting: switch it on
        # in the UI if you want it.
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if settings.env == "production" else dg.DefaultScheduleStatus.STOPPED
        ),
        description="Runs everything daily, with or without new files. Skipped while a loading run is in progress.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        reap(context.instance)
        if any(runs_in_progress(context.instance, covered[INGESTION], covered)):
            return dg.SkipReason("a loading run is in progress")
        return dg.RunRequest()

    # A laptop's disk fills up too, so this one runs everywhere.
    tidy = dg.ScheduleDefinition(
        name="tidy",
        job_name=RETENTION,
        cron_schedule=TIDY_AT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes old runs, ticks, dbt target folders and superseded loads.",
    )
    has_loads_to_purge = any(dataset.keep_versions for dataset in all_datasets(sources))
    return [daily, tidy] if has_loads_to_purge or not settings.dagster_plus.deployment_name else [daily]
