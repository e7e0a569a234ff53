"""The landing sensor: a run is asked for when the bucket differs from what the published tables were made from.

It touches the bucket and Dagster's own storage, never the warehouse. Does not belong here: how often a failed request
is repeated (``demand.py``).
"""

import hashlib
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.defs import published as publish
from netflix_assets.defs.dbt.project import project_state
from netflix_assets.defs.jobs import EVERYTHING, brought_by
from netflix_assets.defs.landing.assets import landing_key
from netflix_assets.defs.landing.cursor import Asked, Decision, decide
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.raw import assets as raw
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.defs.retention import RETENTION
from netflix_assets.defs.runs import reap, under_way
from netflix_assets.settings import PACKAGE, Settings
from netflix_assets.storage.events import EventQueueError, receive_events
from netflix_assets.storage.objects import ListedStore
from netflix_assets.warehouse.loads import fingerprint_of_loads

LANDING_SENSOR = "landing"
INTERVAL_S = 30
EVENTS_INTERVAL_S = 10  # where a tick is one short request to a queue
COMPARISON_S = 900  # from one look at everything to the next where events tell of files: so late a lost one is at most
_RUNS_LOOKED_AT = 50  # of those that succeeded last
_MESSAGES_NAMED = 5

_NO_LOADS = fingerprint_of_loads(())

LEVEL = "what is published is level with the bucket"


@dataclass(frozen=True)
class Behind:
    """A dataset of which consumers do not see what the bucket has.

    ``wanted`` is the state of the bucket's listing; ``is_loaded``: it is loaded, and only to be built from.
    """

    dataset: Dataset
    wanted: str
    is_loaded: bool

    @property
    def needs(self) -> dg.AssetKey:
        """The first asset that a run must materialize to change that."""
        return PUBLISHED_KEY if self.is_loaded else raw_key(self.dataset)


@dataclass(frozen=True)
class Standing:
    """A source against the bucket: the datasets that are behind, the required ones that have never arrived."""

    late: Sequence[Behind]
    awaited: Sequence[Dataset]


def landing_sensor(settings: Settings, sources: Sequence[Source]) -> dg.SensorDefinition:
    """One sensor for all sources: what is behind at one moment is ONE run, whoever it came from.

    Where a queue tells of files, the same sensor looks only at what it tells of, and at everything now and then: with
    one memory of what was asked for, and no tick beside another, an event and a listing cannot ask for the same twice.
    """
    has_events = settings.events_queue_url is not None

    @dg.sensor(
        name=LANDING_SENSOR,
        job_name=EVERYTHING,
        minimum_interval_seconds=EVENTS_INTERVAL_S if has_events else INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for a run when the files in the bucket differ from what is published. A source begins when "
        "its required datasets have arrived once; a run that fails is asked for again, three times in all.",
    )
    def look(context: dg.SensorEvaluationContext, bucket: LandingBucket) -> dg.SensorResult | dg.SkipReason:
        instance, now = context.instance, time.time()
        for run_id in reap(instance):
            context.log.warning(f"run {run_id} is reported as failed: its process is gone")
        asked = Asked.from_cursor(context.cursor, now)
        heard = _heard(context, bucket, asked, {source.source for source in sources})
        if heard is not None and not heard and now < asked.look_at:
            return dg.SkipReason(f"no event of a file; everything is compared in {asked.look_at - now:.0f} s")
        in_full = heard is None or now >= asked.look_at
        with bucket.open() as store:
            standings = {
                source.source: standing(source, store, instance)
                for source in sources
                if in_full or (heard and source.source in heard)
            }
        asked = replace(asked, heard={**asked.heard, **(heard or {})})
        late = [each for found in standings.values() if not found.awaited for each in found.late]
        decision = _decide(standings, late, asked, now, instance, sources, settings)
        look_at = now + (COMPARISON_S if not late or decision.asked.parked else INTERVAL_S)
        if not in_full:
            look_at = min(look_at, asked.look_at)
        return dg.SensorResult(
            run_requests=[] if decision.reason else [_request(decision.asked, late)],
            skip_reason=decision.reason or None,
            cursor=replace(decision.asked, look_at=look_at).to_cursor(),
        )

    return look


def _heard(
    context: dg.SensorEvaluationContext, bucket: LandingBucket, asked: Asked, sources: Set[str]
) -> Mapping[str, int] | None:
    """The sources that events tell of; None where all are to be looked at: there is no queue, or it does not answer."""
    queue = bucket.events()
    if queue is None:
        return None
    try:
        news = receive_events(queue, asked.heard, bucket.bucket, bucket.prefix, sources)
    except EventQueueError as error:
        context.log.warning(f"{error}. Until then everything is compared at each tick")
        return None
    if news.unreadable:
        some = ", ".join(news.unreadable[:_MESSAGES_NAMED])
        context.log.warning(
            f"{len(news.unreadable)} messages in {bucket.events_queue} are no events of S3 and are left to the queue's "
            f"redrive policy: {some}"
        )
    return news.newest


def _decide(
    standings: Mapping[str, Standing],
    late: Sequence[Behind],
    asked: Asked,
    now: float,
    instance: dg.DagsterInstance,
    sources: Sequence[Source],
    settings: Settings,
) -> Decision:
    """What to remember, and why nothing is asked for, if so; ``late``: what is behind of sources that may begin."""
    waits = [
        f"{name} waits for the first file of {', '.join(dataset.id for dataset in found.awaited)}"
        for name, found in standings.items()
        if found.awaited
    ]
    if not late:
        # A source of which nothing at all has come yet is no news beside one that is loaded.
        return Decision(asked, "; ".join([LEVEL, *waits] if len(waits) < len(standings) else waits))
    if any(under_way(instance, {each.needs for each in late}, brought_by(sources))):
        return Decision(asked, "; ".join(["a run that brings these datasets level is under way", *waits]))
    decision = decide(
        asked,
        {each.dataset.id: each.wanted for each in late},
        basis(settings),
        now,
        has_succeeded_since=_has_succeeded_since(asked.at, instance),
    )
    return replace(decision, reason="; ".join([decision.reason, *waits])) if decision.reason else decision


def _request(asked: Asked, late: Sequence[Behind]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=asked.run_key,
        tags={
            "netflix/source": ", ".join(dict.fromkeys(each.dataset.source for each in late)),
            "netflix/behind": ", ".join(each.dataset.id for each in late),
            "netflix/attempt": str(asked.attempt),
        },
    )


def behind(source: Source, store: ListedStore, instance: dg.DagsterInstance) -> Sequence[Behind]:
    """The datasets of a source of which consumers do not see what the bucket has."""
    return standing(source, store, instance).late


def standing(source: Source, store: ListedStore, instance: dg.DagsterInstance) -> Standing:
    """How what is published stands against the bucket, by one listing of a source."""
    listings = store.listings(source)
    events = instance.get_latest_materialization_events([*map(raw_key, source.datasets), PUBLISHED_KEY])
    served = _metadata(events.get(PUBLISHED_KEY)).get(publish.LOADS)
    late = []
    for dataset in source.datasets:
        loaded = _metadata(events.get(raw_key(dataset)))
        is_loaded = loaded.get(raw.FINGERPRINT) == listings[dataset.id].fingerprint
        if not (is_loaded and _is_served(dataset, loaded, served)):
            late.append(Behind(dataset, listings[dataset.id].fingerprint, is_loaded))
    awaited = [
        dataset
        for dataset in source.datasets
        if not dataset.optional and not listings[dataset.id].objects and not _has_arrived(instance, dataset)
    ]
    return Standing(late, awaited)


def _is_served(dataset: Dataset, loaded: Mapping[str, Any], served: Mapping[str, str] | None) -> bool:
    """Whether the published build was made from just the loads that made up the raw table when it was brought level.

    How the runs have ended that did so is no matter: one that only loads leaves this false, one whose build fails too.
    """
    return served is not None and loaded.get(raw.LOADS) == served.get(dataset.id, _NO_LOADS)


def _metadata(event: dg.EventLogEntry | None) -> Mapping[str, Any]:
    if event is None or event.asset_materialization is None:
        return {}
    return {name: each.value for name, each in event.asset_materialization.metadata.items()}


def _has_arrived(instance: dg.DagsterInstance, dataset: Dataset) -> bool:
    """Whether an object of the dataset was ever loaded: that is an event on its landing asset."""
    return instance.get_latest_materialization_event(landing_key(dataset)) is not None


def _has_succeeded_since(moment: float, instance: dg.DagsterInstance) -> bool:
    """Whether a run of the graph has succeeded after a moment, other than those that this sensor has asked for.

    A run of its own that succeeds and leaves the tables behind (files that change all the time) is an attempt.
    """
    succeeded = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]), limit=_RUNS_LOOKED_AT)
    return any(
        (record.end_time or 0) > moment
        and record.dagster_run.job_name != RETENTION
        and record.dagster_run.tags.get("dagster/sensor_name") != LANDING_SENSOR
        for record in succeeded
    )


def basis(settings: Settings) -> str:
    """A digest of what a run's outcome follows from beside the files: contracts, code and settings, but for secrets."""
    digest = hashlib.blake2b(settings.model_dump_json().encode(), digest_size=8)
    digest.update(project_state(settings).encode())
    package = PACKAGE
    for path in sorted([*package.rglob("*.py"), *settings.contracts.glob("*.yaml")]):
        digest.update(f"\0{path}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
