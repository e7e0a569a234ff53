"""Write rejected records to a file in which a person can fix them. As written, the file loads nothing.

A record that splits into the contract's columns and violates a rule keeps its fields. Any other text goes into the
first field of a separate row, one row per line, with a note in a field that the header does not have: it cannot load
until someone has made a record of it, and no two records can merge.

Rejects of JSON and Parquet files become JSON Lines. A line that is not one object has the note before it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import printable
from netflix_assets.ingest.csv_records import parse_csv_text, split_lines
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.fields import join_record, split_record
from netflix_assets.ingest.headers import compare_header
from netflix_assets.ingest.json_lines import parse_json_line
from netflix_assets.ingest.records import Layout, find_faults, layout_of_contract

_PASSES_NOW = "satisfies the contract now; load it with: netflix-assets rejects replay {}"
_FOOTER = "end of the rejected records"


def write_rejects(dataset: Dataset, rejects: Sequence[Mapping[str, Any]], file: Path) -> int:
    """Write rejected records in the contract's form: CSV with its header, or JSON Lines. Returns their number.

    ``rejects``: as the ledger's ``rejected_rows`` returns them. The header of the object that a record comes from puts
    each value under its column.

    Raises: FileExistsError when the file exists, since it may be half fixed; OSError when it cannot be written.
    """
    lines = _csv_lines if dataset.format == "csv" else _json_lines
    with file.open("x", encoding=dataset.encoding, errors="backslashreplace", newline="") as target:
        target.writelines(f"{line}\n" for line in lines(dataset, rejects))
    return len(rejects)


def _json_lines(dataset: Dataset, rejects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    layout = layout_of_contract(dataset)
    for reject in rejects:
        record = parse_json_line(reject["raw_text"], dataset)
        violates = bool(find_faults(layout, record)[1])
        if violates and not record.problem:
            yield reject["raw_text"]
            continue
        reason = reject["reason"] if violates else _PASSES_NOW.format(dataset.id)
        note = printable(f"not a record: {reject['object_key']} line {reject['line_number']}: {reason}")
        yield f"{json.dumps(note, ensure_ascii=False)} {reject['raw_text']}"  # text before an object is not valid


def _csv_lines(dataset: Dataset, rejects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    layout, header = _layout_of_export(dataset)
    yield from header
    for reject in rejects:
        yield from (join_record(row, dataset.dialect) for row in _rows(layout, reject))
    yield from (_FOOTER for _ in range(dataset.dialect.footer_rows))


def _layout_of_export(dataset: Dataset) -> tuple[Layout, list[str]]:
    """The layout of an exported file, and its first lines: those above the header, which are empty, and the header."""
    if not dataset.dialect.header:
        return Layout(dataset, dataset.width, dataset.positions), []
    names = [column.file_name for column in dataset.columns]
    first, *others = dataset.dialect.header_rows
    below = [join_record([""] * len(names), dataset.dialect) for _ in others]
    return Layout(dataset, len(names), range(len(names))), [
        *[""] * (first - 1),
        join_record(names, dataset.dialect),
        *below,
    ]


def _rows(layout: Layout, reject: Mapping[str, Any]) -> Iterator[list[str]]:
    row = _in_layout(layout, reject["header"], reject["raw_text"])
    if row is not None and _violates(layout, row):
        yield row
        return
    reason = reject["reason"] if row is None else _PASSES_NOW.format(layout.dataset.id)
    for number, line in enumerate(split_lines(reject["raw_text"]), start=reject["line_number"]):
        note = printable(f"not a record: {reject['object_key']} line {number}: {reason}")
        yield [line.rstrip("\r\n"), *([""] * (layout.width - 1)), note]


def _in_layout(layout: Layout, header: str, raw_text: str) -> list[str] | None:
    """The fields of a record of one line, each at its position in the export; None where it has no such fields.

    In a text of several lines, a line of its own may be a record under the contract's header.
    """
    dataset = layout.dataset
    # Ledgers of early versions have no headers.
    names = split_record(header, dataset.dialect) or [column.file_name for column in dataset.columns]
    try:
        positions, _ = compare_header(names, dataset)
    except RefusedError:
        return None
    found_in = Layout(dataset, len(names), positions)
    records = parse_csv_text(raw_text, found_in)
    if len(records) != 1 or len(split_lines(raw_text)) != 1 or records[0].problem:
        return None
    row = [""] * layout.width
    for position, place in zip(layout.positions, found_in.places, strict=True):
        row[position or 0] = place.text_in(records[0].fields)
    return row


def _violates(layout: Layout, row: Sequence[str]) -> bool:
    """Whether a row, read again as it is written, is one record that the contract rejects."""
    records = parse_csv_text(join_record(row, layout.dataset.dialect), layout)
    return len(records) == 1 and bool(find_faults(layout, records[0])[1])
