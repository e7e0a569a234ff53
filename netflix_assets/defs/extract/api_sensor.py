"""One sensor per dataset of an API: requests the periods that are ready and that the bucket does not have."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.defs.extract.api_assets import response_asset_key
from netflix_assets.defs.extract.database_sensor import IN_PROGRESS
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.extract.api.periods import recent_periods
from netflix_assets.extract.api.run import missing_periods, why_unused
from netflix_assets.settings import Settings

INTERVAL_S = 60
RETRY_S = 900  # a period that is still missing is requested again after this


def api_job(dataset: Dataset) -> str:
    """The job that requests a dataset from its API."""
    return f"request_{dataset.source}_{dataset.name}"


def api_jobs(sources: Sequence[Source]) -> list[object]:
    """One job per dataset, because the periods of two may differ and a job has one kind."""
    return [
        dg.define_asset_job(
            api_job(dataset),
            selection=dg.AssetSelection.assets(response_asset_key(dataset)),
            description=f"Requests {dataset.id} from its API. The sensor `landing` does the rest.",
        )
        for source in sources
        for dataset in source.requested
    ]


def range_tags(names: Sequence[str]) -> dict[str, str]:
    """The tags of a run for the periods from the first of these names to the last. Names sort by time."""
    return {"dagster/asset_partition_range_start": min(names), "dagster/asset_partition_range_end": max(names)}


def api_sensors(settings: Settings, sources: Sequence[Source]) -> list[dg.SensorDefinition]:
    """One sensor per dataset. It lists the bucket only when another period is ready, and every quarter of an hour."""
    return [_sensor(source, dataset, settings) for source in sources for dataset in source.requested]


def _sensor(source: Source, dataset: Dataset, settings: Settings) -> dg.SensorDefinition:
    job = api_job(dataset)

    @dg.sensor(
        name=job,
        job_name=job,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Requests {dataset.id} for the periods that are ready and missing.",
    )
    def request_missing(context: dg.SensorEvaluationContext, bucket: LandingBucket) -> dg.SensorResult | dg.SkipReason:
        if reason := why_unused(source, settings):
            return dg.SkipReason(reason)
        if context.instance.get_runs(dg.RunsFilter(job_name=job, statuses=IN_PROGRESS), limit=1):
            return dg.SkipReason("a request is in progress")
        periods = recent_periods(dataset.requested, datetime.now(UTC))
        newest, now = max((each.name for each in periods), default=""), time.time()
        seen, at = read_api_cursor(context.cursor)
        if newest == seen and 0 <= now - at < RETRY_S:
            return dg.SkipReason("no other period is ready")
        with bucket.open() as store:
            missing = [each.name for each in missing_periods(dataset, periods, store)]
        cursor = json.dumps([newest, now])
        if not missing:
            return dg.SensorResult(skip_reason="no period is missing", cursor=cursor)
        return dg.SensorResult(run_requests=[dg.RunRequest(tags=range_tags(missing))], cursor=cursor)

    return request_missing


def read_api_cursor(text: str | None) -> tuple[str, float]:
    """The newest period at the last look, and when that was, in seconds since 1970."""
    try:
        newest, at = json.loads(text or "")
        return str(newest), float(at)
    except (ValueError, TypeError):
        return "", 0.0
