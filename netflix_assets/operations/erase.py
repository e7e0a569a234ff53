"""Erase a person from everything that this project keeps, and search what is left.

Every step may be repeated: after a kill, the same command finishes what is missing.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.defs.dbt.project import one_build_at_a_time
from netflix_assets.ingest.erase import erase_person, find_person
from netflix_assets.operations import publish
from netflix_assets.operations.bucket import read_bucket
from netflix_assets.operations.byte_search import files_with
from netflix_assets.operations.connections import warehouse
from netflix_assets.operations.errors import InputError, OperationError
from netflix_assets.operations.ledger import open_ledger
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import Settings
from netflix_assets.warehouse import erasures
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.publishing import Publication, branch_reason

_KIND = "user"
# Copies of what the source has sent: the bucket, its cache, what `fetch` downloaded. The ledger names the objects.
_SOURCE_FOLDERS = ("s3", "s3-cache", "downloads")
# The longest texts are the least likely to be anybody else's. 47 MB/s with 100 texts, 5 MB/s with 1,000.
_MOST_TEXTS = 100
_AGAIN = "Everything erased so far stays erased. When the cause is gone, run the same command again"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """Where a person is. ``places``: table or file -> rows, or 1 for a file that has one of their texts.

    ``texts``: what only this person has written. They are personal data: kept in memory, never printed.
    """

    places: Mapping[str, int]
    texts: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True)
class Erasure:
    """The outcome of erasing a person.

    ``found``: before. ``left``: what a search found afterwards, which should be empty. ``forgotten``: published
    versions that were removed. ``objects``: keys in the bucket that still hold erased persons; loads leave them out.
    ``unread``: refused keys in the bucket, whose content is unknown.
    """

    found: Found
    left: Found
    forgotten: Sequence[Publication]
    objects: Sequence[str]
    unread: Sequence[str]


def check_person(settings: Settings, user: str) -> str:
    """The id of a user in its canonical form. Raises: InputError when no contract has such ids; or for a branch."""
    if settings.schema_prefix:
        raise InputError(f"{branch_reason(settings.schema_prefix)}. Erase in the environment that it belongs to")
    datasets = _datasets(settings)
    if not datasets:
        raise InputError("no contract has a column with identifies: user, so nothing is known to name a person")
    text = user.strip()
    for dataset in datasets:
        for column in dataset.identifying:
            if not column.is_text and not text.isdecimal():
                raise InputError(f"{user!r} is not a user: {dataset.id} has {column.name} as {column.type}")
            text = text if column.is_text else str(int(text))
    return text


def find(settings: Settings, user: str, texts: Sequence[str] = ()) -> Found:
    """Search a person in raw, rejects, built tables, published versions and files. ``user``: see ``check_person``.

    ``texts``: further texts of theirs to search files for. Raises: OperationError when nothing was ever loaded;
    WarehouseError.
    """
    with open_ledger(settings) as connection:
        if connection is None:
            raise OperationError("nothing has been loaded yet, so there is nobody to erase")
        places: dict[str, int] = {}
        known = set(texts)
        for dataset in _existing(connection, _datasets(settings)):
            traces = find_person(dataset, connection, user)
            known |= set(traces.texts)
            places[f"raw.{dataset.table}"] = sum(traces.rows.values())
            places[f"ops.rejected_rows of {dataset.id}"] = sum(map(len, traces.rejects.values()))
        places["ops.failing_rows"] = _failing_rows(connection, _names(settings), user)
        places |= erasures.count_built(connection, erasures.built_tables(connection, _names(settings)), user)
    with warehouse(settings).publisher() as publisher:
        places |= publisher.person_counts(_names(settings), user)
    skipped = [settings.home / name for name in _SOURCE_FOLDERS]
    longest = sorted(known, key=len, reverse=True)[:_MOST_TEXTS]
    files = files_with(settings.home, longest, skipped) if settings.names is None else ()
    places |= {str(file.relative_to(settings.home)): 1 for file in files}
    return Found({place: rows for place, rows in places.items() if rows}, sorted(known))


def erase(settings: Settings, defs: dg.Definitions, user: str, progress: Progress = lambda _: None) -> Erasure:
    """Erase a person: put them on the list, delete their rows, rebuild and publish what was made of them.

    Waits while another process holds the warehouse. Consumers read the previous version until the new one is complete.

    Raises: OperationError when the rebuild fails; WarehouseError; StorageError. What was erased until then stays so.
    """
    progress("searching")
    found = find(settings, user)
    progress("deleting rows")
    _delete(settings, user)
    # Everything: a published version shares unchanged tables with the ones before, which have the person in them.
    outcome = run_graph(settings, defs, full_refresh=True, progress=progress)
    if not outcome.success:
        raise OperationError("\n".join(["the tables could not be rebuilt without the person", *outcome.errors, _AGAIN]))
    forgotten = _forget_versions(settings, defs, progress)
    progress("rewriting the warehouse")
    with one_build_at_a_time(settings):
        warehouse(settings).clear_deleted()
    progress("searching again")
    return Erasure(found, find(settings, user, found.texts), forgotten, *_objects(settings))


def _datasets(settings: Settings) -> list[Dataset]:
    return [dataset for dataset in all_datasets(settings.sources()) if dataset.identifying]


def _names(settings: Settings) -> list[str]:
    return sorted({column.name for dataset in _datasets(settings) for column in dataset.identifying})


def _existing(connection: Warehouse, datasets: Sequence[Dataset]) -> Iterator[Dataset]:
    found = connection.columns(("raw",))
    return (dataset for dataset in datasets if ("raw", dataset.table) in found)


def _failing_rows(connection: Warehouse, names: Sequence[str], user: str) -> int:
    """The samples of failing rows that name a person."""
    if ("ops", "failing_rows") not in connection.columns(("ops",)):
        return 0
    rows = [json.loads(text) for (text,) in connection.execute("select row_text from ops.failing_rows")]
    return sum(
        any(erasures.is_named(name, names) and str(value) == user for name, value in row.items()) for row in rows
    )


def _delete(settings: Settings, user: str) -> None:
    """Delete a person's rows: first the list, so that no load that begins later brings them back."""
    with warehouse(settings).open(asset="erase") as connection:
        datasets = _datasets(settings)
        for dataset in datasets:
            connection.prepare(dataset)
        erasures.record_erasure(connection, _KIND, user)
        for dataset in datasets:
            erase_person(dataset, connection, user)
    # Snapshots and tables that no model builds any more are not rebuilt; the others should not wait for it.
    with one_build_at_a_time(settings), warehouse(settings).open("transformer", asset="erase") as connection:
        erasures.delete_built(connection, erasures.built_tables(connection, _names(settings)), user)


def _forget_versions(settings: Settings, defs: dg.Definitions, progress: Progress) -> Sequence[Publication]:
    """Serve the version just published, and remove all others: what they have from the person cannot be told apart."""
    with warehouse(settings).publisher() as publisher:
        shown = publisher.published()
    if shown is not None and shown.pinned_at is not None:
        publish.unpin(settings)
        publish.rebuild_dashboards(settings, defs, progress)
    with one_build_at_a_time(settings), warehouse(settings).publisher() as publisher:
        return publisher.forget_others()


def _objects(settings: Settings) -> tuple[list[str], list[str]]:
    """The keys in the bucket that hold erased persons, and those that were refused, in the datasets with persons."""
    listings = read_bucket(settings).objects or {}
    holding: list[str] = []
    unread: list[str] = []
    with open_ledger(settings) as ledger:
        for dataset in _datasets(settings) if ledger else ():
            versions = {listed.version for listed in listings.get(dataset.id, ())}
            loads = ledger.current_loads(dataset) if ledger else ()
            holding += [load.listed.key for load in loads if load.rows_erased and load.listed.version in versions]
            refused = ledger.refused_objects(dataset) if ledger else ()
            unread += [each.listed.key for each in refused if each.listed.version in versions]
    return sorted(set(holding)), sorted(set(unread))
