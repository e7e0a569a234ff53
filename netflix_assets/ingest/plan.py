"""Decide which objects to load: the difference between the bucket's listing and the ledger. Pure functions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from netflix_assets.contracts.model import Dataset
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.loads import Load, RefusedObject, live_loads

MAX_UNUSED_SHOWN = 5  # objects that a message names


@dataclass(frozen=True)
class Plan:
    """What a run has to do for one dataset.

    ``load``: versions to load, in key order. ``refused``: versions in the bucket that were refused before and have not
    changed since. ``deleted``: current loads whose object has left the bucket. ``live``: slot -> id of its live load.
    ``reuploaded``: an object of an overwrite dataset whose loaded bytes were uploaded again, at a later time.
    """

    load: tuple[ObjectVersion, ...]
    refused: tuple[RefusedObject, ...]
    deleted: tuple[Load, ...]
    live: Mapping[str, int]
    reuploaded: ObjectVersion | None = None


def plan_loads(
    dataset: Dataset,
    listing: Sequence[ObjectVersion],
    current: Sequence[Load],
    refused: Collection[RefusedObject],
) -> Plan:
    """Diff the bucket's listing against the current loads.

    Versions are compared by key and ETag, never by time or by the order of names, so no order of arrival, wrong clock
    or lost event can hide an object. When the newest object of an overwrite dataset is deleted or refused, the table
    stays as it is: an older object never replaces it.
    """
    listed_versions = {listed.version for listed in listing}
    quarantined = tuple(entry for entry in refused if entry.listed.version in listed_versions)
    quarantined_versions = {entry.listed.version for entry in quarantined}
    candidates = [listed for listed in listing if listed.version not in quarantined_versions]
    keys = {listed.key for listed in listing}
    deleted = tuple(load for load in current if not load.is_replay and load.listed.key not in keys)
    live = live_loads(dataset, current)
    if dataset.mode == "overwrite":
        newest = _newest_unless_loaded(candidates, current)
        return Plan(newest, quarantined, deleted, live, _find_reuploaded(listing, current))
    loaded = {load.listed.version for load in current}
    load = tuple(listed for listed in candidates if listed.version not in loaded)
    return Plan(load, quarantined, deleted, live)


def warn_of_unused(
    dataset: Dataset, listing: Sequence[ObjectVersion], loads: Sequence[Load], refused: Collection[RefusedObject]
) -> list[str]:
    """Name the objects of an overwrite dataset that were never loaded, because another one is the whole table.

    ``loads``: all loads, superseded ones included: an object that was the table once is history, not a mistake.
    Returns one message, or none.
    """
    used = next((load.listed for load in loads if load.is_current and not load.is_replay), None)
    known = {load.listed.version for load in loads} | {each.listed.version for each in refused}
    unused = [listed for listed in listing if listed.version not in known]
    if dataset.mode != "overwrite" or used is None or not unused:
        return []
    names = ", ".join(f"{each.key} ({_moment(each)})" for each in unused[:MAX_UNUSED_SHOWN])
    more = f" and {len(unused) - MAX_UNUSED_SHOWN} more" if len(unused) > MAX_UNUSED_SHOWN else ""
    return [
        f"not used: {names}{more}. The newest file is the whole table: {used.key} ({_moment(used)}). If they are parts "
        "of one table, join them in one file; if one of them is newer, upload it again; otherwise delete them"
    ]


def _moment(listed: ObjectVersion) -> str:
    return f"{listed.last_modified:%Y-%m-%d %H:%M:%S} UTC"


def _find_reuploaded(listing: Sequence[ObjectVersion], current: Sequence[Load]) -> ObjectVersion | None:
    known = {load.listed.version: load.listed.last_modified for load in current if not load.is_replay}
    return next((each for each in listing if known.get(each.version, each.last_modified) != each.last_modified), None)


def _newest_unless_loaded(candidates: Sequence[ObjectVersion], current: Sequence[Load]) -> tuple[ObjectVersion, ...]:
    newest = max(candidates, key=lambda listed: (listed.last_modified, listed.key), default=None)
    if newest is None:
        return ()
    keys = {listed.key for listed in candidates}
    for load in current:
        # Its object was deleted, or was replaced by a version that was refused.
        is_gone = load.listed.key not in keys
        is_newer = (load.listed.last_modified, load.listed.key) > (newest.last_modified, newest.key)
        if load.listed.version == newest.version or (is_gone and is_newer):
            return ()
    return (newest,)
