"""Find the records of a file that violate the contract: their line, their columns and the reasons.

Runs only for files where the loader took fewer records than validation counted: reading every record in Python is
about ten times slower than loading it.
"""

from collections.abc import Iterable, Iterator

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.read import is_truncated, read_records, reason_of
from netflix_assets.ingest.records import Layout, find_faults, has_too_long_text
from netflix_assets.warehouse.loads import RejectedRecord, ValidatedFile


def find_rejects(file: ValidatedFile, dataset: Dataset) -> Iterator[RejectedRecord]:
    """The records that violate the contract, in file order."""
    layout = Layout(dataset, len(file.header), file.positions)
    for number, record in enumerate(read_records(file.original, layout), start=1):
        columns, reasons = find_faults(layout, record)
        if not reasons:
            continue
        reason = reason_of(layout, record, reasons)
        # Nobody can tell how many records the lines are of one that is not well formed or absurdly long.
        is_certain = columns and not has_too_long_text(layout, record)
        lines = 1 if is_certain else record.line_count
        if lines > 1:
            reason = f"{reason} (lines {record.line} to {record.line + lines - 1})"
        is_cut = is_truncated(layout, record)
        yield RejectedRecord(number, record.line, columns, reason, record.text.rstrip("\r\n"), is_cut, lines)


def within_tolerance(
    rejects: Iterable[RejectedRecord], dataset: Dataset, record_count: int
) -> Iterator[RejectedRecord]:
    """The rejects, each counted by the lines that it covers.

    Raises: RefusedError at the first one that exceeds the contract's tolerance.
    """
    allowed = dataset.tolerance.rejects_allowed(record_count)
    first: RejectedRecord | None = None
    count = 0
    for reject in rejects:
        first = first or reject
        count += reject.line_count
        if count > allowed:
            share = dataset.tolerance.rejected_share
            raise RefusedError(
                f"more than {allowed:,} of {record_count:,} records violate the contract, which allows "
                f"{dataset.tolerance.rejected_rows:,} or {share:.1%}, whichever is more. "
                f"First: {dataset.position} {first.line_number}: {first.reason}"
            )
        yield reject
