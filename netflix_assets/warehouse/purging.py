"""Purge superseded loads: delete the rows and rejects of versions that the contract no longer keeps.

The ledger keeps every load and marks these with ``purged_at``. Nothing else needs them: staging reads current loads, an
incremental model finds superseded rows in its own table by their load id, and an object is compared with current loads
only. Publishing counts the raw rows that the newest build read, so a load is purged only after a complete, passing
build that no longer read it.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import BUILD_TABLES, Build, Builds
from netflix_assets.warehouse.ledger import ROWS_PER_INSERT, in_chunks
from netflix_assets.warehouse.loads import Load, slot_of


def last_applied_build(warehouse: Warehouse) -> Build | None:
    """The first attempt of the newest build that is complete and passed; None if there is none.

    What it no longer read, no attempt after it did.
    """
    if set(BUILD_TABLES["builds"]) - set(warehouse.columns(("ops",)).get(("ops", "builds"), ())):
        return None
    builds = Builds(warehouse).all()
    build = next((each for each in reversed(builds) if each.is_whole and each.has_passed), None)
    by_id = {each.invocation_id: each for each in builds}
    while build is not None and build.retry_of in by_id:
        build = by_id[build.retry_of]
    return build


def purge_loads(dataset: Dataset, warehouse: Warehouse, applied: Build) -> list[Load]:
    """Delete rows and rejects of the loads that the contract no longer keeps, in one transaction.

    ``applied``: the build that must have been without them. Returns the purged loads, oldest first.
    """
    with warehouse.transaction():
        warehouse.lock(dataset)
        ended = _ended_before(dataset, warehouse, applied)
        purged = purgeable(dataset, warehouse.loads(dataset), ended)
        now = datetime.now(UTC).replace(tzinfo=None)
        for chunk in in_chunks([load.load_id for load in purged], ROWS_PER_INSERT):
            ids = ", ".join("?" for _ in chunk)
            warehouse.execute(f"delete from raw.{dataset.table} where _load_id in ({ids})", chunk)
            of_loads = f"where dataset = ? and load_id in ({ids})"
            warehouse.execute(f"delete from ops.rejected_rows {of_loads}", (dataset.id, *chunk))
            warehouse.execute(f"update ops.loads set purged_at = ? {of_loads}", (now, dataset.id, *chunk))
    return purged


def purgeable(dataset: Dataset, loads: Sequence[Load], ended: Collection[int]) -> list[Load]:
    """The loads that the contract no longer keeps, among those that have ``ended`` (load ids); oldest first.

    A version is an object's load with its replays. Of each object, or of the whole table in mode overwrite, the newest
    ``keep_versions`` stay.
    """
    if dataset.keep_versions is None:
        return []
    versions: dict[str, list[Load]] = defaultdict(list)
    for load in loads:
        if not load.is_replay:
            versions[slot_of(dataset, load.listed)].append(load)
    old = {load.load_id for slot in versions.values() for load in slot[: -dataset.keep_versions]}
    return [load for load in loads if load.load_id in ended and (load.parent_load_id or load.load_id) in old]


def _ended_before(dataset: Dataset, warehouse: Warehouse, applied: Build) -> set[int]:
    """The loads that were superseded or removed before a build started and are not purged yet."""
    last = (applied.inputs or {}).get(dataset.id, 0)
    started_at = applied.started_at.astimezone(UTC).replace(tzinfo=None)
    rows = warehouse.execute(
        """
        select load_id from ops.loads
        where
            dataset = ? and not is_current and purged_at is null
            and (superseded_by <= ? or (superseded_by is null and removed_at < ?))
        """,
        (dataset.id, last, started_at),
    )
    return {int(load_id) for (load_id,) in rows}
