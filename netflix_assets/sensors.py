"""The landing sensor: a run is asked for when the bucket differs from what the raw tables were made from.

It touches the bucket and Dagster's own storage, never the warehouse. Does not belong here: how often a failed request
is repeated (``demand.py``).
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from netflix_assets.contract import Dataset, Source
from netflix_assets.dbt_project import project_state
from netflix_assets.demand import Asked, decide
from netflix_assets.ingest.objects import ListedStore
from netflix_assets.jobs import EVERYTHING, loaded_by
from netflix_assets.landing import landing_key
from netflix_assets.raw import FINGERPRINT, raw_key
from netflix_assets.resources import LandingBucket
from netflix_assets.retention import RETENTION
from netflix_assets.runs import reap, under_way
from netflix_assets.settings import Settings

LANDING_SENSOR = "landing"
INTERVAL_S = 30
_RUNS_LOOKED_AT = 50  # of those that succeeded last

LEVEL = "the raw tables are level with the bucket"


@dataclass(frozen=True)
class Behind:
    """A dataset whose raw table is not level with the bucket; ``wanted`` is the state of the bucket's listing."""

    dataset: Dataset
    wanted: str


@dataclass(frozen=True)
class Standing:
    """A source against the bucket: the datasets that are behind, the required ones that have never arrived.

    ``listed``: dataset -> fingerprint of its listing, for all of them: a run that failed half way leaves more of them
    behind than it was asked for, and is the same attempt at the same files all the same.
    """

    listed: Mapping[str, str]
    late: Sequence[Behind]
    awaited: Sequence[Dataset]


def landing_sensor(settings: Settings, sources: Sequence[Source]) -> dg.SensorDefinition:
    """One sensor for all sources: what is behind at one moment is ONE run, whoever it came from."""

    @dg.sensor(
        name=LANDING_SENSOR,
        job_name=EVERYTHING,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for a run when the files in the bucket differ from what is loaded. A source begins when its "
        "required datasets have arrived once; a run that fails is asked for again, three times in all.",
    )
    def look(context: dg.SensorEvaluationContext, bucket: LandingBucket) -> dg.SensorResult | dg.SkipReason:
        instance = context.instance
        for run_id in reap(instance):
            context.log.warning(f"run {run_id} is reported as failed: its process is gone")
        with bucket.open() as store:
            standings = {source.source: standing(source, store, instance) for source in sources}
        late = [each for found in standings.values() if not found.awaited for each in found.late]
        waits = [
            f"{name} waits for the first file of {', '.join(dataset.id for dataset in found.awaited)}"
            for name, found in standings.items()
            if found.awaited
        ]
        if not late:
            # A source of which nothing at all has come yet is no news beside one that is loaded.
            return dg.SkipReason("; ".join([LEVEL, *waits] if len(waits) < len(standings) else waits))
        if any(under_way(instance, {raw_key(each.dataset) for each in late}, loaded_by(sources))):
            return dg.SkipReason("; ".join(["a run that loads these datasets is under way", *waits]))
        now = time.time()
        asked = Asked.from_cursor(context.cursor, now)
        decision = decide(
            asked,
            {name: state for found in standings.values() if not found.awaited for name, state in found.listed.items()},
            basis(settings),
            now,
            has_succeeded_since=_has_succeeded_since(asked.at, instance),
        )
        cursor = decision.asked.to_cursor()
        if decision.reason:
            return dg.SensorResult(skip_reason="; ".join([decision.reason, *waits]), cursor=cursor)
        return dg.SensorResult(run_requests=[_request(decision.asked, late)], cursor=cursor)

    return look


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
    """The datasets of a source for which no successful run has brought the raw table level with the bucket."""
    return standing(source, store, instance).late


def standing(source: Source, store: ListedStore, instance: dg.DagsterInstance) -> Standing:
    """How the raw tables of a source stand against the bucket, by one listing."""
    listings = store.listings(source)
    late = [
        Behind(dataset, listings[dataset.id].fingerprint)
        for dataset in source.datasets
        if _loaded_fingerprint(instance, dataset) != listings[dataset.id].fingerprint
    ]
    awaited = [
        dataset
        for dataset in source.datasets
        if not dataset.optional and not listings[dataset.id].objects and not _has_arrived(instance, dataset)
    ]
    return Standing({name: listing.fingerprint for name, listing in listings.items()}, late, awaited)


def _has_arrived(instance: dg.DagsterInstance, dataset: Dataset) -> bool:
    """Whether an object of the dataset was ever loaded: that is an event on its landing asset."""
    return instance.get_latest_materialization_event(landing_key(dataset)) is not None


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
    package = Path(__file__).parent
    for path in sorted([*package.rglob("*.py"), *settings.contracts.glob("*.yaml")]):
        digest.update(f"\0{path}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
