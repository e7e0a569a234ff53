"""Rejected records: list them, export them to be fixed, replay them after a contract change."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest import replay
from netflix_assets.ingest.export import write_rejects
from netflix_assets.operations.connections import warehouse
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.ledger import open_ledger
from netflix_assets.settings import Settings
from netflix_assets.storage.scratch import scratch_folder
from netflix_assets.warehouse.loads import Load


def find_rejects(settings: Settings, dataset: Dataset | None = None) -> list[dict[str, Any]]:
    """The rejected records of current loads, of one dataset or of all. Raises: WarehouseError."""
    with open_ledger(settings) as ledger:
        return ledger.rejected_rows(dataset) if ledger else []


def export_rejects(settings: Settings, dataset: Dataset, file: Path) -> int:
    """Write the rejected records of a dataset to a new file: CSV or JSON Lines. Returns their number.

    Without any, no file is written. Raises: InputError when the file exists, or its folder does not; OSError;
    WarehouseError.
    """
    if file.exists():
        raise InputError(f"{file} already exists. Choose another name")
    found = find_rejects(settings, dataset)
    if not found:
        return 0
    try:
        return write_rejects(dataset, found, file)
    except FileNotFoundError as error:
        raise InputError(f"the folder {file.parent} does not exist. Create it, or choose another") from error


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
