"""Which objects to load: the difference between the bucket's listing and the ledger. Pure functions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from netflix_assets.contracts.model import Dataset
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.loads import Load, RefusedObject, live_loads


@dataclass(frozen=True)
class Plan:
    """What a run has to do for one dataset.

    ``load``: versions to load, in key order. ``refused``: live versions that were refused before and have not changed.
    ``deleted``: current loads whose object is gone from the bucket. ``standing``: the load that stands in each object's
    place now. ``touched``: the newest object of an overwrite dataset when its bytes, which are loaded, were put again.
    """

    load: tuple[ObjectVersion, ...]
    refused: tuple[RefusedObject, ...]
    deleted: tuple[Load, ...]
    standing: Mapping[str, int]
    touched: ObjectVersion | None = None


def plan_loads(
    dataset: Dataset,
    listing: Sequence[ObjectVersion],
    current: Sequence[Load],
    refused: Collection[RefusedObject],
) -> Plan:
    """Compare what is in the bucket with what is loaded.

    The comparison is by version (key and ETag), never by time or order of names, so no order of arrival, no clock
    and no lost event can hide an object. Where the newest object is the whole table, one that is gone or was refused
    leaves the table as it is: an older object never takes its place.
    """
    live = {listed.version for listed in listing}
    parked = tuple(entry for entry in refused if entry.listed.version in live)
    parked_versions = {entry.listed.version for entry in parked}
    candidates = [listed for listed in listing if listed.version not in parked_versions]
    keys = {listed.key for listed in listing}
    deleted = tuple(load for load in current if not load.is_replay and load.listed.key not in keys)
    standing = live_loads(dataset, current)
    if dataset.mode == "overwrite":
        return Plan(_newest_unless_loaded(candidates, current), parked, deleted, standing, _touched(listing, current))
    loaded = {load.listed.version for load in current}
    load = tuple(listed for listed in candidates if listed.version not in loaded)
    return Plan(load, parked, deleted, standing)


def _touched(listing: Sequence[ObjectVersion], current: Sequence[Load]) -> ObjectVersion | None:
    known = {load.listed.version: load.listed.last_modified for load in current if not load.is_replay}
    return next((each for each in listing if known.get(each.version, each.last_modified) != each.last_modified), None)


def _newest_unless_loaded(candidates: Sequence[ObjectVersion], current: Sequence[Load]) -> tuple[ObjectVersion, ...]:
    newest = max(candidates, key=lambda listed: (listed.last_modified, listed.key), default=None)
    if newest is None:
        return ()
    keys = {listed.key for listed in candidates}
    for load in current:
        # Its object is deleted, or what stands under its key now was refused.
        is_gone = load.listed.key not in keys
        is_newer = (load.listed.last_modified, load.listed.key) > (newest.last_modified, newest.key)
        if load.listed.version == newest.version or (is_gone and is_newer):
            return ()
    return (newest,)
