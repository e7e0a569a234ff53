"""Which records of a file break the contract, where they stand and why.

Runs only for files of which the loader took fewer records than the gate counted: reading every record in Python is
about ten times slower than loading it. Does not belong here: where rejects are kept (``warehouse/``).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.values import fault
from netflix_assets.ingest.decode import RefusedError
from netflix_assets.ingest.validate import is_cut_off, record_fault, records
from netflix_assets.warehouse.loads import RejectedRecord, ValidatedFile


def find_rejects(file: ValidatedFile, dataset: Dataset) -> Iterator[RejectedRecord]:
    """The records that break the contract, in file order."""
    for number, (line, text, fields) in enumerate(islice(records(file.original, dataset), 1, None), start=1):
        columns, reasons = record_faults(dataset, len(file.header), file.positions, text, fields)
        if reasons:
            is_cut = is_cut_off(text, fields, len(file.header))
            yield RejectedRecord(number, line, columns, "; ".join(reasons), text.rstrip("\r\n"), is_cut)


def count_within_tolerance(rejects: Iterable[RejectedRecord], dataset: Dataset, record_count: int) -> int:
    """How many there are. Raises: RefusedError at the first one more than the contract allows, reading no further."""
    allowed = dataset.tolerance.rejects_allowed(record_count)
    first: RejectedRecord | None = None
    count = 0
    for count, reject in enumerate(rejects, start=1):
        first = first or reject
        if count > allowed:
            share = dataset.tolerance.rejected_share
            raise RefusedError(
                f"more than {allowed:,} of {record_count:,} records break the contract, which allows "
                f"{dataset.tolerance.rejected_rows:,} or {share:.1%}, whichever is more; the first at line "
                f"{first.line_number}: {first.reason}"
            )
    return count


def record_faults(
    dataset: Dataset, width: int, positions: Sequence[int], text: str, fields: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The faulty columns of a record and what is wrong with it; both empty when it keeps the contract.

    ``width`` is the number of columns of its object, ``positions`` where each column of the contract stands in it.
    """
    whole = record_fault(text, fields, dataset, width)
    if whole:
        return (), (whole,)
    found = {
        column.name: problem
        for column, position in zip(dataset.columns, positions, strict=True)
        if (problem := fault(column, fields[position]))
    }
    return tuple(found), tuple(found.values())
