"""The sensors: when a run is asked for. They touch the bucket and Dagster's own storage, never the warehouse."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from netflix_assets.contract import Dataset, Source
from netflix_assets.ingest.objects import ObjectStore, fingerprint, objects_of
from netflix_assets.jobs import EVERYTHING
from netflix_assets.raw import FINGERPRINT, raw_key
from netflix_assets.resources import LandingBucket

MAX_ATTEMPTS = 3
INTERVAL_S = 30

_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def landing_sensors(sources: Sequence[Source]) -> list[dg.SensorDefinition]:
    """One sensor per source: asks for ONE run when the bucket differs from what the raw tables were made from."""
    return [_landing_sensor(source) for source in sources]


def _landing_sensor(source: Source) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{source.source}_landing",
        job_name=EVERYTHING,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Asks for a run when the files of {source.source} in the bucket differ from what is loaded.",
    )
    def look(context: dg.SensorEvaluationContext, bucket: LandingBucket) -> Iterator[dg.RunRequest | dg.SkipReason]:
        with bucket.open() as store:
            late = behind(source, store, context.instance)
        awaited = [each.dataset.id for each in late if each.is_awaited]
        if not late:
            yield dg.SkipReason("the raw tables are level with the bucket")
        elif awaited:
            yield dg.SkipReason(f"waiting for the first file of {', '.join(awaited)}")
        elif context.instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY), limit=1):
            yield dg.SkipReason("a run is under way; it is asked again when that has ended")
        else:
            yield _request(context, source, late)

    return look


@dataclass(frozen=True)
class Behind:
    """A dataset whose raw table is not level with the bucket; ``wanted`` is the state of the bucket's listing."""

    dataset: Dataset
    wanted: str
    is_awaited: bool


def behind(source: Source, store: ObjectStore, instance: dg.DagsterInstance) -> list[Behind]:
    """The datasets of a source for which no successful run has brought the raw table level with the bucket."""
    late = []
    for dataset in source.datasets:
        listing = objects_of(dataset, store)
        wanted = fingerprint(listing)
        if _loaded_fingerprint(instance, dataset) != wanted:
            late.append(Behind(dataset, wanted, is_awaited=not listing and not dataset.optional))
    return late


def _request(
    context: dg.SensorEvaluationContext, source: Source, late: Sequence[Behind]
) -> dg.RunRequest | dg.SkipReason:
    """A run for this state of the bucket, unless it has been tried often enough.

    The cursor is the last state that was asked for, how often, and a counter that makes every run_key new: Dagster
    skips a key it has seen, but content that returns to an earlier state must be asked for again.
    """
    state = {each.dataset.id: each.wanted for each in late}
    asked = json.loads(context.cursor) if context.cursor else {"state": {}, "attempt": 0, "count": 0}
    attempt = asked["attempt"] + 1 if asked["state"] == state else 1
    names = ", ".join(state)
    if attempt > MAX_ATTEMPTS:
        return dg.SkipReason(f"{names}: {MAX_ATTEMPTS} runs failed for this state of the bucket; not asked again")
    count = asked["count"] + 1
    context.update_cursor(json.dumps({"state": state, "attempt": attempt, "count": count}))
    return dg.RunRequest(
        run_key=f"{source.source}-{count}",
        tags={"netflix/source": source.source, "netflix/behind": names, "netflix/attempt": str(attempt)},
    )


def _loaded_fingerprint(instance: dg.DagsterInstance, dataset: Dataset) -> str | None:
    """The state of the bucket that a successful run has brought the raw table level with."""
    event = instance.get_latest_materialization_event(raw_key(dataset))
    if event is None or event.asset_materialization is None:
        return None
    run = instance.get_run_by_id(event.run_id)
    if run is None or not run.is_success:
        return None
    state = event.asset_materialization.metadata.get(FINGERPRINT)
    return str(state.value) if state else None
