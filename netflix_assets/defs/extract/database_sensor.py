"""One sensor per database: requests an extract of the tables that are due, by the cadence in their contracts."""

import json
import time
from collections.abc import Mapping, Sequence

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.defs.extract.database_assets import by_database, table_key
from netflix_assets.settings import Settings
from netflix_assets.settings.named import variable_of

INTERVAL_S = 30


def extract_job(database: str) -> str:
    """The job that extracts a database."""
    return f"extract_{database}"


def extract_jobs(sources: Sequence[Source]) -> list[object]:
    """One job per database."""
    return [
        dg.define_asset_job(
            extract_job(database),
            selection=dg.AssetSelection.assets(*map(table_key, datasets)),
            description=f"Extracts the database {database} into the bucket. The sensor `landing` does the rest.",
        )
        for database, datasets in by_database(sources).items()
    ]


def extract_sensors(settings: Settings, sources: Sequence[Source]) -> list[dg.SensorDefinition]:
    """One sensor per database. It reads nothing but its own cursor and the runs in progress."""
    return [_sensor(database, datasets, settings) for database, datasets in by_database(sources).items()]


def _sensor(database: str, datasets: Sequence[Dataset], settings: Settings) -> dg.SensorDefinition:
    job = extract_job(database)

    @dg.sensor(
        name=job,
        job_name=job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Requests an extract of the tables of {database} that are due.",
    )
    def request_extract(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if database not in settings.databases:
            return dg.SkipReason(f"the database has no address: {variable_of('databases', database)} is not set")
        if context.instance.get_runs(dg.RunsFilter(job_name=job, statuses=IN_PROGRESS), limit=1):
            return dg.SkipReason("an extract is in progress")
        now, requested = time.time(), read_cursor(context.cursor)
        due = [dataset for dataset in datasets if is_due(dataset, requested, now)]
        if not due:
            return dg.SkipReason("no table is due")
        cursor = {**requested, **{dataset.id: now for dataset in due}}
        known = {dataset.id for dataset in datasets}
        request = dg.RunRequest(asset_selection=[table_key(dataset) for dataset in due])
        return dg.SensorResult(
            run_requests=[request], cursor=json.dumps({name: at for name, at in cursor.items() if name in known})
        )

    return request_extract


IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def read_cursor(text: str | None) -> Mapping[str, float]:
    """When each dataset was last requested, in seconds since 1970; nothing for a cursor of another version."""
    try:
        found = json.loads(text or "{}")
        return {str(name): float(at) for name, at in found.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def is_due(dataset: Dataset, requested: Mapping[str, float], now: float) -> bool:
    """Whether a dataset's table is extracted again: its time has come, or the clock was set back."""
    since = now - requested.get(dataset.id, 0)
    return since < 0 or since >= dataset.extraction.every_minutes * 60 - INTERVAL_S / 2
