"""Rejected records: list them, export them to be fixed, replay them after a contract change."""

import csv
import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.resources import warehouse
from netflix_assets.ingest import replay
from netflix_assets.ingest.scratch import scratch_folder
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.ledger import open_ledger
from netflix_assets.settings import Settings
from netflix_assets.warehouse.loads import Load


def find_rejects(settings: Settings, dataset: Dataset | None = None) -> list[dict[str, Any]]:
    """The rejected records of current loads, of one dataset or of all. Raises: WarehouseError."""
    with open_ledger(settings) as ledger:
        return ledger.rejected_rows(dataset) if ledger else []


def export_rejects(settings: Settings, dataset: Dataset, file: Path) -> int:
    """Write the rejected records of a dataset to a new CSV file. Returns their number.

    Raises: InputError when the file exists; OSError; WarehouseError.
    """
    try:
        return write_rejects(dataset, find_rejects(settings, dataset), file)
    except FileExistsError as error:
        raise InputError(f"{file} already exists. Choose another name") from error


def write_rejects(dataset: Dataset, rejects: Sequence[Mapping[str, Any]], file: Path) -> int:
    """Write rejected records under the contract's header, in the contract's encoding. Returns their number.

    The header of the object that a record comes from puts each value under its column. Missing fields are empty. If a
    record has too few or too many fields, values without a column in the contract go after the last column, so that
    nothing is lost.

    Raises: FileExistsError when the file exists, since it may be half fixed; OSError when it cannot be written.
    """
    with file.open("x", encoding=dataset.encoding, newline="") as target:
        writer = csv.writer(target, delimiter=dataset.delimiter, lineterminator="\n")
        writer.writerow([column.file_name for column in dataset.columns])
        for reject in rejects:
            writer.writerow(_in_contract_order(dataset, reject["header"], reject["raw_text"]))
    return len(rejects)


def _in_contract_order(dataset: Dataset, header: str, raw_text: str) -> list[str]:
    expected = [column.file_name for column in dataset.columns]
    names = _fields(header, dataset.delimiter) or expected  # ledgers of early versions have no headers
    fields = _fields(raw_text, dataset.delimiter)
    values = dict(zip(names, fields, strict=False))
    ordered = [values.get(name, "") for name in expected]
    if len(names) == len(fields):
        return ordered
    without_column = [field for name, field in zip(names, fields, strict=False) if name not in expected]
    return [*ordered, *without_column, *fields[len(names) :]]


def _fields(record: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(record, newline=""), delimiter=delimiter), [])


@dataclass(frozen=True)
class RejectsReplay:
    """The new loads of a replay, and how many rejected records the dataset still has."""

    loads: Sequence[Load]
    open_count: int


def replay_rejects(settings: Settings, dataset: Dataset) -> RejectsReplay:
    """Load the rejected records of a dataset that today's contract accepts. Raises: WarehouseError."""
    if not warehouse(settings).exists():
        return RejectsReplay((), 0)
    with warehouse(settings).open() as connection, scratch_folder(settings.home / "tmp") as folder:
        connection.prepare(dataset)
        loads = replay.replay_rejects(dataset, connection, f"replay-{uuid.uuid4()}", folder)
        return RejectsReplay(loads, connection.counts(dataset).open_rejects)
