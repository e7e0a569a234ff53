"""Rejected records tried again: those that pass the contract of today, as a file that loads like any other.

Does not belong here: where rejects are kept and how the file becomes a load (``warehouse/``).
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.rejects import record_faults
from netflix_assets.ingest.validate import RefusedError, ValidatedFile, compare_header, validate


@dataclass(frozen=True)
class KeptReject:
    """A rejected record as it is kept: its number in its object (from 1, without the header) and its text."""

    record_number: int
    text: str


@dataclass(frozen=True)
class Retry:
    """The rejected records of one load that pass now: their numbers, and a gated file of exactly these, in order."""

    record_numbers: tuple[int, ...]
    file: ValidatedFile


def stage_retry(dataset: Dataset, header: str, rejects: Sequence[KeptReject], path: Path) -> Retry | None:
    """Write the records that keep the contract now to ``path`` and pass them through the gate.

    ``header`` is the header record of the object that they stand in. Returns None when none of them passes, also where
    the contract of today would not take an object with this header.
    """
    passing = list(_passing(dataset, header, rejects))
    if not passing:
        return None
    content = "".join(f"{record}\n" for record in (header, *(reject.text for reject in passing)))
    as_kept = dataset.model_copy(update={"encoding": "utf-8"})  # whatever the file was written in
    return Retry(tuple(reject.record_number for reject in passing), validate([content.encode()], as_kept, path))


def _passing(dataset: Dataset, header: str, rejects: Sequence[KeptReject]) -> Iterator[KeptReject]:
    [names] = _records(header, dataset)
    try:
        positions, _ = compare_header(names, dataset)
    except RefusedError:
        return
    for reject in rejects:
        found = _records(reject.text, dataset)
        if len(found) == 1 and not record_faults(dataset, len(names), positions, reject.text, found[0])[1]:
            yield reject


def _records(text: str, dataset: Dataset) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=dataset.delimiter))
