"""Erase a person from what was loaded: rows, rejected records and profiles of every load, in one transaction."""

from collections import defaultdict
from dataclasses import dataclass

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.fields import split_record
from netflix_assets.ingest.persons import names_person
from netflix_assets.warehouse import erasures
from netflix_assets.warehouse.base import Warehouse

# Texts of a person that are at least this long are searched for in files: shorter ones are in any file by chance.
SHORTEST_TEXT = 8


@dataclass(frozen=True)
class Traces:
    """What a dataset has of a person: rows and numbers of rejected records by load, and texts that nobody else has."""

    rows: dict[int, int]
    rejects: dict[int, list[int]]
    texts: list[str]

    @property
    def counts(self) -> dict[int, tuple[int, int]]:
        """Load id -> rows and rejects."""
        return {
            load_id: (self.rows.get(load_id, 0), len(self.rejects.get(load_id, ())))
            for load_id in sorted({*self.rows, *self.rejects})
        }


def find_person(dataset: Dataset, warehouse: Warehouse, text: str) -> Traces:
    """What the dataset's loads have of a person, current or not. ``text``: the id in its canonical form."""
    rejects: dict[int, list[int]] = defaultdict(list)
    texts = erasures.texts_of(warehouse, dataset, text, SHORTEST_TEXT)

    def is_person(_: Column, value: str) -> bool:
        return value == text

    for load_id, number, raw_text, header in warehouse.execute(
        """
        select rejects.load_id, rejects.record_number, rejects.raw_text, loads.header
        from ops.rejected_rows as rejects
        inner join ops.loads as loads on rejects.dataset = loads.dataset and rejects.load_id = loads.load_id
        where rejects.dataset = ?
        order by rejects.load_id, rejects.record_number
        """,
        (dataset.id,),
    ):
        if names_person(dataset, split_record(header or "", dataset.dialect), raw_text, is_person):
            rejects[int(load_id)].append(int(number))
            texts += [raw_text] if len(raw_text) >= SHORTEST_TEXT else []
    return Traces(erasures.rows_by_load(warehouse, dataset, text), dict(rejects), texts)


def erase_person(dataset: Dataset, warehouse: Warehouse, text: str) -> Traces:
    """Delete a person's rows and rejects of every load and count them as erased, all in one transaction.

    The profiles of these loads are computed again. A kill leaves the dataset as it was, or done. Returns what was
    deleted.
    """
    with warehouse.transaction():
        warehouse.lock(dataset)
        found = find_person(dataset, warehouse, text)
        erasures.delete_rows(warehouse, dataset, text)
        for load_id, numbers in found.rejects.items():
            erasures.delete_rejects(warehouse, dataset, load_id, numbers)
        for load_id, (rows, rejects) in found.counts.items():
            erasures.account_for(warehouse, dataset, load_id, rows, rejects)
        changed = [load for load in warehouse.loads(dataset) if load.load_id in found.rows]
        erasures.forget_profiles(warehouse, dataset, [load.load_id for load in changed])
        warehouse.profile_loads(dataset, changed)
    return found
