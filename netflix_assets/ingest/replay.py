"""Replay rejected records: those that satisfy the current contract become a file that loads like any other."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.csv_records import parse_csv_text
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.fields import join_record, split_record
from netflix_assets.ingest.headers import compare_header
from netflix_assets.ingest.json_lines import parse_json_line
from netflix_assets.ingest.records import Layout, find_faults, layout_of_contract
from netflix_assets.ingest.validate import validate
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.erasures import read_erased
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.loads import Load, RefusedObject, StagedObject, ValidatedFile


@dataclass(frozen=True)
class StoredReject:
    """A rejected record in the warehouse: its number in its object (from 1, without the header) and its raw text."""

    record_number: int
    text: str


@dataclass(frozen=True)
class Replay:
    """The rejected records of one load that pass now: their numbers, and a validated file of them in the same order."""

    record_numbers: tuple[int, ...]
    file: ValidatedFile


def stage_replay(dataset: Dataset, header: str, rejects: Sequence[StoredReject], path: Path) -> Replay | None:
    """Write the records that satisfy the current contract to ``path`` and validate that file.

    ``header``: the header record of their object. Returns None when no record passes, or when the current contract
    would refuse an object with this header.
    """
    passing = list(_find_passing(dataset, header, rejects))
    if not passing:
        return None
    above = [header] if dataset.format == "csv" and dataset.dialect.header else []
    content = "".join(f"{record}\n" for record in (*above, *(reject.text for reject in passing)))
    file = validate([content.encode()], _as_stored(dataset), path)
    return Replay(tuple(reject.record_number for reject in passing), file)


def _as_stored(dataset: Dataset) -> Dataset:
    """The dataset with the form of rejected records: decoded, without what their file had above and below them."""
    dialect = dataset.dialect.model_copy(update={"header_rows": (1,), "footer_rows": 0})
    return dataset.model_copy(update={"encoding": "utf-8", "dialect": dialect})


def _find_passing(dataset: Dataset, header: str, rejects: Sequence[StoredReject]) -> Iterator[StoredReject]:
    if dataset.format != "csv":
        layout = layout_of_contract(dataset)
        yield from (each for each in rejects if not find_faults(layout, parse_json_line(each.text, dataset))[1])
        return
    names = split_record(header, dataset.dialect)
    try:
        positions, _ = compare_header(names, dataset)
    except RefusedError:
        return
    layout = Layout(dataset, len(names), positions)
    for reject in rejects:
        found = parse_csv_text(reject.text, layout)
        if len(found) == 1 and not find_faults(layout, found[0])[1]:
            yield reject


def replay_rejects(dataset: Dataset, warehouse: Warehouse, run_id: str, folder: Path) -> list[Load]:
    """Validate the rejected records of current loads against the current contract and load those that pass.

    All in one transaction. The passing records of a load become one new load, with that load as its parent. ``folder``:
    for temporary files. Returns the new loads.

    Raises: WarehouseError, with nothing changed, when the warehouse does not load exactly the records that pass, or
    when another run changed the dataset meanwhile.
    """
    replays = _stage_replays(dataset, warehouse, folder)
    if not replays:
        return []
    staged = [StagedObject(parent.listed, replay.file) for parent, replay in replays]
    warehouse.stage(dataset, staged)
    with warehouse.transaction():
        last_id = warehouse.lock(dataset)
        _assert_still_open(dataset, warehouse, replays)
        numbered = dict(enumerate(staged, start=last_id + 1))
        persons = read_erased(warehouse, dataset).condition(dataset, warehouse.dialect)
        counts = warehouse.insert_records(dataset, numbered, persons)
        loads = [
            _replayed_load(dataset, warehouse, parent, replay, load_id, counts.get(load_id, 0))
            for load_id, (parent, replay) in zip(numbered, replays, strict=True)
        ]
        headers = [join_record(each.file.header, dataset.dialect) for each in staged]
        warehouse.record_loads(dataset, list(zip(loads, headers, strict=True)), run_id)
        warehouse.profile_loads(dataset, loads)
        warehouse.store_last_load_id(dataset, last_id + len(numbered))
    return loads


def _stage_replays(dataset: Dataset, warehouse: Warehouse, folder: Path) -> list[tuple[Load, Replay]]:
    replays = []
    for parent in warehouse.current_loads(dataset):
        rows = warehouse.open_rejects(dataset, parent) if parent.rows_rejected else []
        rejects = [StoredReject(*row) for row in rows]
        if rejects:
            path = folder / f"{parent.load_id}.csv"
            replay = stage_replay(dataset, warehouse.header_of(dataset, parent), rejects, path)
            if replay is not None:
                replays.append((parent, replay))
    return replays


def _assert_still_open(dataset: Dataset, warehouse: Warehouse, replays: Sequence[tuple[Load, Replay]]) -> None:
    current = {load.load_id for load in warehouse.current_loads(dataset)}
    for parent, replay in replays:
        still_open = {number for number, _ in warehouse.open_rejects(dataset, parent)}
        if parent.load_id not in current or not still_open.issuperset(replay.record_numbers):
            raise WarehouseError(
                f"{dataset.id}: another run replaced or replayed {parent.listed.key} meanwhile; nothing was changed. "
                "Try again"
            )


def _replayed_load(
    dataset: Dataset, warehouse: Warehouse, parent: Load, replay: Replay, load_id: int, loaded: int
) -> Load:
    count = len(replay.record_numbers)
    if not loaded == count == replay.file.record_count:
        raise WarehouseError(
            f"{dataset.id}: {count:,} rejected records of {parent.listed.key} pass, but {loaded:,} would be loaded; "
            "nothing was changed. This is a bug in the loader: please report it with these records"
        )
    warehouse.mark_replayed(dataset, parent, replay.record_numbers, load_id)
    return Load(dataset.id, load_id, parent.listed, count, loaded, 0, True, datetime.now(UTC), 0.0, parent.load_id)


def forget_refusals(dataset: Dataset, warehouse: Warehouse, versions: Collection[ObjectVersion]) -> list[RefusedObject]:
    """Delete the record that these object versions were refused or ignored, so that the next run validates them again.

    Refusals of other versions stay as history. Returns the deleted refusals in key order.
    """
    wanted = {listed.version for listed in versions}
    with warehouse.transaction():
        warehouse.lock(dataset)
        forgotten = [each for each in warehouse.refused_objects(dataset) if each.listed.version in wanted]
        for each in forgotten:
            warehouse.forget_refusal(dataset, each.listed)
    return forgotten
