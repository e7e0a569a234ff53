"""Freshness policies and freshness checks, with windows from the contracts.

A policy (Dagster's FreshnessPolicy) looks at materializations; Dagster's daemon evaluates it without a run. A check
looks at the data: when the newest object was uploaded, the newest load committed, a mart last built, the build
published. Both measure this system's times, not the ratings' own: samples with old ratings are fresh when they land.

A table made from several datasets follows the strictest required one: weekly ratings make a mart late after a week,
even if films change rarely. A table of datasets that have never been loaded is not late, however long ago it was built
empty. Checks warn and never block, because old data is not wrong data.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset, Freshness
from netflix_assets.defs.resources import LandingBucket, WarehouseResource
from netflix_assets.defs.retry import retry_transient
from netflix_assets.settings import Settings
from netflix_assets.storage.objects import ObjectStore, ObjectVersion, objects_of
from netflix_assets.warehouse.builds import Builds

FRESH = "is_fresh"
DATASETS = "datasets"  # in Dagster's metadata of a mart: the datasets it is made from

Clock = Callable[[], datetime]
Newest = Mapping[dg.AssetKey, datetime]


def freshness_policy(freshness: Freshness) -> dg.FreshnessPolicy:
    """The policy for a contract's freshness window."""
    return dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=freshness.fail_after_days),
        warn_window=timedelta(days=freshness.warn_after_days),
    )


def strictest(datasets: Iterable[Dataset]) -> Freshness:
    """The strictest freshness of the required files among these datasets; without such, of the tables of databases.

    Whoever does not use a database or an API would have everything late that could also be made from it. Any of those
    that are optional may be unused: of them alone, the one with the most time counts.
    """
    every = list(datasets)
    required = [each for each in every if not each.optional]
    files = [each for each in required if not each.is_extracted]
    counted = [each.freshness for each in files or required or every]
    choose = min if required else max
    return Freshness(
        warn_after_days=choose(each.warn_after_days for each in counted),
        fail_after_days=choose(each.fail_after_days for each in counted),
    )


def sources_of(unique_id: str, manifest: Mapping[str, Any], datasets: Sequence[Dataset]) -> list[Dataset]:
    """The datasets that a dbt node depends on, by the manifest; all of them for models that describe the runs."""
    known = {dataset.id: dataset for dataset in datasets}
    seen, frontier = set(), {unique_id}
    while frontier:
        seen |= frontier
        parents = {
            parent
            for each in frontier
            if each in manifest["nodes"]
            for parent in manifest["nodes"][each]["depends_on"].get("nodes", ())
        }
        frontier = parents - seen
    names = {"/".join(each.split(".")[2:]) for each in seen if each.startswith("source.")}
    return [known[name] for name in sorted(names & known.keys())] or list(datasets)


def freshness_checks(
    datasets: Sequence[Dataset],
    landing: Mapping[str, dg.AssetKey],
    raw: Mapping[str, dg.AssetKey],
    built: Sequence[dg.AssetSpec],
    published: dg.AssetKey,
    settings: Settings,
    now: Clock = lambda: datetime.now(UTC),
) -> list[dg.AssetChecksDefinition]:
    """The checks of landing assets, raw assets, and built and published tables; one step each.

    ``landing``, ``raw``: dataset id -> asset key. ``built``: dbt's assets; those with a policy are checked.
    ``published``: the asset that consumers see. The first step reads only the bucket and wakes no warehouse.
    """
    by_landing = {landing[dataset.id]: dataset for dataset in datasets}
    # A table of a database that does not change is loaded no more; that it is looked at is seen in the bucket.
    by_raw = {raw[dataset.id]: dataset for dataset in datasets if dataset.extract is None}
    windows = {spec.key: window for spec in built if (window := _window(spec.freshness_policy)) is not None}
    windows[published] = strictest(datasets)
    made_from = {spec.key: spec.metadata[DATASETS] for spec in built if DATASETS in spec.metadata}

    @dg.multi_asset_check(name="landing_freshness", specs=_specs(by_landing, "newest object"), can_subset=True)
    def landing_freshness(
        context: dg.AssetCheckExecutionContext, bucket: LandingBucket
    ) -> Iterator[dg.AssetCheckResult]:
        with retry_transient(context, settings):
            with bucket.open() as store:
                listed = {key: _objects(each, store) for key, each in by_landing.items() if _wanted(key, context)}
            newest = {key: max(each.last_modified for each in found) for key, found in listed.items() if found}
            yield from _results(context, newest, {key: each.freshness for key, each in by_landing.items()}, now())

    @dg.multi_asset_check(name="raw_freshness", specs=_specs(by_raw, "newest load"), can_subset=True)
    def raw_freshness(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        with retry_transient(context, settings):
            newest: Newest = {}
            if warehouse.exists():
                with warehouse.open("reader", run_id=context.run.run_id, asset=FRESH) as connection:
                    loads = connection.newest_loads() if connection.columns(("ops",)) else {}
                newest = {key: loads[each.id] for key, each in by_raw.items() if each.id in loads}
            yield from _results(context, newest, {key: each.freshness for key, each in by_raw.items()}, now())

    @dg.multi_asset_check(name="serving_freshness", specs=_specs(windows, "newest build"), can_subset=True)
    def serving_freshness(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.AssetCheckResult]:
        run_id = context.run.run_id
        with retry_transient(context, settings):
            newest: dict[dg.AssetKey, datetime] = {}
            if warehouse.exists():
                with warehouse.publisher(run_id=run_id, asset=FRESH) as publisher:
                    publication = publisher.published()
                with warehouse.open("reader", run_id=run_id, asset=FRESH) as connection:
                    builds = Builds(connection, settings.schema_prefix)
                    found = builds.newest_runs()
                    confirmed_at = builds.confirmed_at(publication.invocation_id) if publication else None
                    loads = connection.newest_loads() if found else {}
                newest = {
                    key: found[path]
                    for key in windows
                    if (path := (key.path[0], key.path[-1])) in found and not loads.keys().isdisjoint(made_from[key])
                }
                if publication is not None:
                    newest[published] = confirmed_at or publication.built_at
            yield from _results(context, newest, windows, now())

    return [landing_freshness, raw_freshness, serving_freshness]


def _objects(dataset: Dataset, store: ObjectStore) -> list[ObjectVersion]:
    """The dataset's objects; of an extract also its state, which each extract replaces, with or without news."""
    return objects_of(dataset, store) + (store.list(dataset.state_key) if dataset.extract else [])


def _specs(keys: Iterable[dg.AssetKey], what: str) -> list[dg.AssetCheckSpec]:
    description = f"The {what} is within the contract's freshness window. Warns, never blocks."
    return [dg.AssetCheckSpec(FRESH, asset=key, description=description) for key in keys]


def _window(policy: object) -> Freshness | None:
    if not isinstance(policy, dg.FreshnessPolicy):
        return None
    day = timedelta(days=1)
    fail, warn = (getattr(policy, name).to_timedelta() for name in ("fail_window", "warn_window"))
    return Freshness(warn_after_days=warn / day, fail_after_days=fail / day)


def _wanted(key: dg.AssetKey, context: dg.AssetCheckExecutionContext) -> bool:
    return dg.AssetCheckKey(key, FRESH) in context.selected_asset_check_keys


def _results(
    context: dg.AssetCheckExecutionContext, newest: Newest, windows: Mapping[dg.AssetKey, Freshness], now: datetime
) -> Iterator[dg.AssetCheckResult]:
    for key, window in windows.items():
        if _wanted(key, context):
            yield freshness_result(key, newest.get(key), window, now)


def freshness_result(
    key: dg.AssetKey, newest: datetime | None, window: Freshness, now: datetime
) -> dg.AssetCheckResult:
    """Whether the newest is within the window. Passes while there is nothing yet."""
    metadata: dict[str, Any] = dict(window)
    if newest is None:
        text, passed = "nothing has arrived yet", True
    else:
        age = (now - newest) / timedelta(days=1)
        passed = age <= window.warn_after_days
        late = "" if passed else f"; late after {window.warn_after_days:g} days"
        overdue = f", overdue after {window.fail_after_days:g}" if age > window.fail_after_days else ""
        text = f"{max(age, 0):.1f} days old{late}{overdue}"
        metadata |= {"newest": dg.MetadataValue.timestamp(newest), "age_days": round(age, 3)}
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=FRESH,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata=metadata,
    )
