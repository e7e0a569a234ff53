"""Write rejected records to a file in which a person can fix them. As written, the file loads nothing.

A record that splits into the contract's columns and violates a rule keeps its fields. Any other text goes into the
first field of a row of its own, one row per line, with a note in a field that the header does not have: it cannot load
until someone has made a record of it, and no two records can merge.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import printable
from netflix_assets.ingest.decode import RefusedError
from netflix_assets.ingest.records import Layout, find_faults, malformed_reason, parse_records, split_lines
from netflix_assets.ingest.validate import LineEndsAsLf, compare_header

_PASSES_NOW = "satisfies the contract now; load it with: netflix-assets rejects replay {}"


def write_rejects(dataset: Dataset, rejects: Sequence[Mapping[str, Any]], file: Path) -> int:
    """Write rejected records under the contract's header, in the contract's encoding. Returns their number.

    ``rejects``: as the ledger's ``rejected_rows`` returns them. The header of the object that a record comes from puts
    each value under its column.

    Raises: FileExistsError when the file exists, since it may be half fixed; OSError when it cannot be written.
    """
    with file.open("x", encoding=dataset.encoding, errors="backslashreplace", newline="") as target:
        # A CR inside a field is quoted only where lines end with CRLF.
        writer = csv.writer(LineEndsAsLf(target), delimiter=dataset.delimiter, lineterminator="\r\n")
        writer.writerow([column.file_name for column in dataset.columns])
        for reject in rejects:
            writer.writerows(_rows(dataset, reject))
    return len(rejects)


def _rows(dataset: Dataset, reject: Mapping[str, Any]) -> Iterator[list[str]]:
    names = [column.file_name for column in dataset.columns]
    found_in = parse_records(reject["header"], dataset) or [names]  # ledgers of early versions have no headers
    fields = _in_contract_order(dataset, found_in[0], reject["raw_text"])
    layout = Layout(dataset, len(names), range(len(names)))
    if fields is not None and find_faults(layout, _as_text(fields, dataset), fields)[1]:
        yield fields
        return
    reason = reject["reason"] if fields is None else _PASSES_NOW.format(dataset.id)
    for number, line in enumerate(split_lines(reject["raw_text"]), start=reject["line_number"]):
        note = printable(f"not a record: {reject['object_key']} line {number}: {reason}")
        yield [line.rstrip("\r\n"), *([""] * (len(names) - 1)), note]


def _in_contract_order(dataset: Dataset, header: Sequence[str], raw_text: str) -> list[str] | None:
    """The values of a record of one line in the contract's order; None where it has no such fields.

    In a text of several lines, a line of its own may be a record under the contract's header.
    """
    try:
        positions, _ = compare_header(header, dataset)
    except RefusedError:
        return None
    records = parse_records(raw_text, dataset)
    if len(records) != 1 or len(split_lines(raw_text)) != 1:
        return None
    if malformed_reason(Layout(dataset, len(header), positions), raw_text, records[0]):
        return None
    return [records[0][position] for position in positions]


def _as_text(fields: Sequence[str], dataset: Dataset) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=dataset.delimiter).writerow(fields)
    return text.getvalue()
