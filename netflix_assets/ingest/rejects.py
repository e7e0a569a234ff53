"""Find the records of a file that violate the contract: their line, their columns and the reasons.

Runs only for files of which the loader took fewer records than validation counted: reading every record in Python is
about ten times slower than loading it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.values import find_fault
from netflix_assets.ingest.decode import RefusedError
from netflix_assets.ingest.validate import is_cut_off, malformed_reason, read_records
from netflix_assets.warehouse.loads import RejectedRecord, ValidatedFile


def find_rejects(file: ValidatedFile, dataset: Dataset) -> Iterator[RejectedRecord]:
    """The records that violate the contract, in file order."""
    for number, (line, text, fields) in enumerate(islice(read_records(file.original, dataset), 1, None), start=1):
        columns, reasons = find_faults(dataset, len(file.header), file.positions, text, fields)
        if reasons:
            is_cut = is_cut_off(text, fields, len(file.header))
            yield RejectedRecord(number, line, columns, "; ".join(reasons), text.rstrip("\r\n"), is_cut)


def count_within_tolerance(rejects: Iterable[RejectedRecord], dataset: Dataset, record_count: int) -> int:
    """The number of rejects. Raises: RefusedError at the first one that exceeds the contract's tolerance."""
    allowed = dataset.tolerance.rejects_allowed(record_count)
    first: RejectedRecord | None = None
    count = 0
    for count, reject in enumerate(rejects, start=1):
        first = first or reject
        if count > allowed:
            share = dataset.tolerance.rejected_share
            raise RefusedError(
                f"more than {allowed:,} of {record_count:,} records violate the contract, which allows "
                f"{dataset.tolerance.rejected_rows:,} or {share:.1%}, whichever is more. First: line "
                f"{first.line_number}: {first.reason}"
            )
    return count


def find_faults(
    dataset: Dataset, width: int, positions: Sequence[int], text: str, fields: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The faulty columns of a record, and the reasons; both empty when it satisfies the contract.

    A malformed record has a reason but no columns. ``width``: number of columns in its object. ``positions``: position
    of each contract column in it.
    """
    malformed = malformed_reason(text, fields, dataset, width)
    if malformed:
        return (), (malformed,)
    found = {
        column.name: problem
        for column, position in zip(dataset.columns, positions, strict=True)
        if (problem := find_fault(column, fields[position]))
    }
    return tuple(found), tuple(found.values())
