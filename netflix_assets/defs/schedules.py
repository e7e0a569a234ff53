"""The schedules: what runs by the clock.

Does not belong here: what runs because a file has arrived (``sensors.py``).
"""

from collections.abc import Sequence

import dagster as dg

from netflix_assets.contracts.model import Source
from netflix_assets.defs.jobs import EVERYTHING, INGESTION, synced_by
from netflix_assets.defs.retention import RETENTION
from netflix_assets.defs.runs import reap, runs_in_progress
from netflix_assets.settings import Settings

DAILY_AT = "0 5 * * *"  # UTC
TIDY_AT = "30 3 * * *"


def schedules(settings: Settings, sources: Sequence[Source]) -> list[dg.ScheduleDefinition]:
    """The daily run of everything, and the daily tidying up."""
    covered = synced_by(sources)

    @dg.schedule(
        name="daily",
        job_name=EVERYTHING,
        cron_schedule=DAILY_AT,
        execution_timezone="UTC",
        # In production the marts are to be of today also on days without a file (checks, freshness, what depends on the
        # date), and a state of the bucket that the sensor has given up on gets another try. On a laptop, and where each
        # run is paid for and nobody looks, it is for who wants it: the switch is in the UI.
        default_status=(
            dg.DefaultScheduleStatus.RUNNING if settings.env == "production" else dg.DefaultScheduleStatus.STOPPED
        ),
        description="Everything, once a day, whether files have arrived or not; not while a run that loads goes on.",
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        reap(context.instance)
        if any(runs_in_progress(context.instance, covered[INGESTION], covered)):
            return dg.SkipReason("a run that loads is under way")
        return dg.RunRequest()

    # A laptop's disk fills up too, so this one runs everywhere.
    tidy = dg.ScheduleDefinition(
        name="tidy",
        job_name=RETENTION,
        cron_schedule=TIDY_AT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes old runs, ticks and folders of dbt.",
    )
    return [daily, tidy]
