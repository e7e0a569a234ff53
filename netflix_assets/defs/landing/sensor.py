"""The landing sensor: requests a run when the bucket differs from the files the published tables were built from.

It reads the bucket and Dagster's own storage, never the warehouse, so an idle tick wakes nothing.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.defs.dbt.project import project_state
from netflix_assets.defs.jobs import EVERYTHING, synced_by
from netflix_assets.defs.landing.assets import landing_key
from netflix_assets.defs.landing.cursor import Cursor, Decision, decide
from netflix_assets.defs.published import LOADS as PUBLISHED_LOADS
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.raw.assets import FINGERPRINT, raw_key
from netflix_assets.defs.raw.assets import LOADS as RAW_LOADS
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.defs.retention import RETENTION
from netflix_assets.defs.runs import reap, runs_in_progress
from netflix_assets.settings import PACKAGE, Settings
from netflix_assets.storage.events import EventQueueError, receive_events
from netflix_assets.storage.objects import ListedStore, Listing
from netflix_assets.warehouse.loads import fingerprint_of_loads

LANDING_SENSOR = "landing"
INTERVAL_S = 30
EVENTS_INTERVAL_S = 10  # with a queue, where a tick is one short request
FULL_CHECK_S = 900  # with a queue, between two checks of everything: the longest that a lost event delays a file
_RECENT_RUNS = 50  # successful runs to look through
_MESSAGES_SHOWN = 5

_NO_LOADS = fingerprint_of_loads(())

UP_TO_DATE = "published tables are up to date"


@dataclass(frozen=True)
class StaleDataset:
    """A dataset whose published tables lack files that are in the bucket.

    ``fingerprint``: the state of the bucket's listing. ``is_loaded``: the files are loaded but not yet published.
    """

    dataset: Dataset
    fingerprint: str
    is_loaded: bool

    @property
    def needs(self) -> dg.AssetKey:
        """The first asset that a run must materialize to change that."""
        return PUBLISHED_KEY if self.is_loaded else raw_key(self.dataset)


@dataclass(frozen=True)
class SourceStatus:
    """A source compared with the bucket: its stale datasets, and required datasets that have never arrived.

    ``is_in_use``: false for a database of which nothing has been extracted.
    """

    stale: Sequence[StaleDataset]
    awaited: Sequence[Dataset]
    is_in_use: bool = True


def landing_sensor(settings: Settings, sources: Sequence[Source]) -> dg.SensorDefinition:
    """One sensor for all sources: everything stale at one moment becomes ONE run.

    With an event queue the same sensor checks only the sources that events name, and everything every 15 minutes.
    Because there is one cursor and one tick at a time, an event and a listing cannot request the same run twice.
    """
    has_events = settings.events_queue_url is not None

    @dg.sensor(
        name=LANDING_SENSOR,
        job_name=EVERYTHING,
        minimum_interval_seconds=EVENTS_INTERVAL_S if has_events else INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests a run when the files in the bucket differ from the published ones. A source starts once "
        "each required dataset has arrived. A failed run is requested again, up to three attempts.",
    )
    def check_bucket(context: dg.SensorEvaluationContext, bucket: LandingBucket) -> dg.SensorResult | dg.SkipReason:
        instance, now = context.instance, time.time()
        for run_id in reap(instance):
            context.log.warning(f"run {run_id} is reported as failed: its process is gone")
        cursor = Cursor.from_text(context.cursor, now)
        received = _received_events(context, bucket, cursor, {source.source for source in sources})
        # Due, or further away than any is planned: the clock was set back.
        is_full_check = received is None or not 0 < cursor.full_check_at - now <= FULL_CHECK_S
        if not is_full_check and not received:
            return dg.SkipReason(f"no new file events; full check in {cursor.full_check_at - now:.0f} s")
        with bucket.open() as store:
            statuses = {
                source.source: status
                for source in sources
                if (is_full_check or (received and source.source in received))
                and (status := source_status(source, store, instance)).is_in_use
            }
        cursor = replace(cursor, received={**cursor.received, **(received or {})})
        stale = [each for status in statuses.values() if not status.awaited for each in status.stale]
        decision = _decide(statuses, stale, cursor, now, instance, sources, settings)
        full_check_at = now + (FULL_CHECK_S if not stale or decision.cursor.exhausted else INTERVAL_S)
        if not is_full_check:
            full_check_at = min(full_check_at, cursor.full_check_at)
        return dg.SensorResult(
            run_requests=[] if decision.skip_reason else [_run_request(decision.cursor, stale)],
            skip_reason=decision.skip_reason or None,
            cursor=replace(decision.cursor, full_check_at=full_check_at).to_text(),
        )

    return check_bucket


def _received_events(
    context: dg.SensorEvaluationContext, bucket: LandingBucket, cursor: Cursor, sources: Set[str]
) -> Mapping[str, int] | None:
    """The sources that events name. None to check all sources: there is no queue, or it does not answer."""
    queue = bucket.events()
    if queue is None:
        return None
    try:
        received = receive_events(queue, cursor.received, bucket.bucket, bucket.prefix, sources)
    except EventQueueError as error:
        bucket.reconnect_events()
        context.log.warning(f"{error}. Checking all sources at each tick until the queue answers")
        return None
    if received.unreadable:
        some = ", ".join(received.unreadable[:_MESSAGES_SHOWN])
        context.log.warning(
            f"{len(received.unreadable)} messages in {bucket.events_queue} are not S3 events and are left to the "
            f"queue's redrive policy: {some}"
        )
    return received.newest


def _decide(
    statuses: Mapping[str, SourceStatus],
    stale: Sequence[StaleDataset],
    cursor: Cursor,
    now: float,
    instance: dg.DagsterInstance,
    sources: Sequence[Source],
    settings: Settings,
) -> Decision:
    """The cursor to store, and the reason when no run is requested; ``stale``: of sources that may start."""
    waiting = [
        f"waiting for the first {', '.join(dataset.id for dataset in status.awaited)} file"
        for status in statuses.values()
        if status.awaited
    ]
    if not stale:
        # Do not mention a source without any file if another is loaded.
        return Decision(cursor, "; ".join([UP_TO_DATE, *waiting] if len(waiting) < len(statuses) else waiting))
    if any(runs_in_progress(instance, {each.needs for each in stale}, synced_by(sources))):
        return Decision(cursor, "; ".join(["a run that syncs these datasets is in progress", *waiting]))
    decision = decide(
        cursor,
        {each.dataset.id: each.fingerprint for each in stale},
        basis(settings),
        now,
        has_succeeded_since=_has_succeeded_since(cursor.requested_at, instance),
    )
    if not decision.skip_reason:
        return decision
    return replace(decision, skip_reason="; ".join([decision.skip_reason, *waiting]))


def _run_request(cursor: Cursor, stale: Sequence[StaleDataset]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=cursor.run_key,
        tags={
            "netflix/source": ", ".join(dict.fromkeys(each.dataset.source for each in stale)),
            "netflix/stale": ", ".join(each.dataset.id for each in stale),
            "netflix/attempt": str(cursor.attempt),
        },
    )


def source_status(source: Source, store: ListedStore, instance: dg.DagsterInstance) -> SourceStatus:
    """Compare a source's published tables with the bucket, by one listing."""
    listings = store.listings(source)
    if not _is_in_use(source, listings, instance):
        return SourceStatus((), (), is_in_use=False)
    events = instance.get_latest_materialization_events([*map(raw_key, source.datasets), PUBLISHED_KEY])
    published = _metadata(events.get(PUBLISHED_KEY)).get(PUBLISHED_LOADS)
    stale = []
    for dataset in source.datasets:
        loaded = _metadata(events.get(raw_key(dataset)))
        is_loaded = loaded.get(FINGERPRINT) == listings[dataset.id].fingerprint
        if not (is_loaded and _is_published(dataset, loaded, published)):
            stale.append(StaleDataset(dataset, listings[dataset.id].fingerprint, is_loaded))
    awaited = [
        dataset
        for dataset in source.datasets
        if not dataset.optional and not listings[dataset.id].objects and not _has_arrived(instance, dataset)
    ]
    return SourceStatus(stale, awaited)


def _is_in_use(source: Source, listings: Mapping[str, Listing], instance: dg.DagsterInstance) -> bool:
    """Whether to wait for a source: for required files always, for anything else once something has arrived."""
    return any(
        not (dataset.is_extracted or dataset.optional)
        or listings[dataset.id].objects
        or _has_arrived(instance, dataset)
        for dataset in source.datasets
    )


def _is_published(dataset: Dataset, loaded: Mapping[str, Any], published: Mapping[str, str] | None) -> bool:
    """Whether the published build comes from exactly the loads that made up the raw table at its last sync.

    The status of runs does not matter: a run that only loads, or whose build fails, leaves this false.
    """
    return published is not None and loaded.get(RAW_LOADS) == published.get(dataset.id, _NO_LOADS)


def _metadata(event: dg.EventLogEntry | None) -> Mapping[str, Any]:
    if event is None or event.asset_materialization is None:
        return {}
    return {name: each.value for name, each in event.asset_materialization.metadata.items()}


def _has_arrived(instance: dg.DagsterInstance, dataset: Dataset) -> bool:
    """Whether an object of the dataset was ever loaded, which leaves an event on its landing asset."""
    return instance.get_latest_materialization_event(landing_key(dataset)) is not None


def _has_succeeded_since(moment: float, instance: dg.DagsterInstance) -> bool:
    """Whether a run of the graph that this sensor did not request has succeeded since a moment.

    A run that it did request, and that leaves tables stale although it succeeded (files keep changing), is an attempt.
    """
    succeeded = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]), limit=_RECENT_RUNS)
    return any(
        (record.end_time or 0) > moment
        and record.dagster_run.job_name != RETENTION
        and record.dagster_run.tags.get("dagster/sensor_name") != LANDING_SENSOR
        for record in succeeded
    )


def basis(settings: Settings) -> str:
    """A digest of everything but files that decides how a run ends: contracts, code, and settings without secrets."""
    digest = hashlib.blake2b(settings.model_dump_json().encode(), digest_size=8)
    digest.update(project_state(settings).encode())
    for path in sorted([*PACKAGE.rglob("*.py"), *settings.contracts.glob("*.yaml")]):
        digest.update(f"\0{path}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
