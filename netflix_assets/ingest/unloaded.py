"""Find the loads whose records all violate the contract: they are in the ledger, but they added nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.ledger import Ledger
from netflix_assets.warehouse.loads import Load

_REASONS = 3  # first records whose reasons are shown


@dataclass(frozen=True)
class Unloaded:
    """A current load without any row, and why: the reasons of its first records."""

    load: Load
    reason: str


def find_unloaded(dataset: Dataset, ledger: Ledger, current: Sequence[Load]) -> list[Unloaded]:
    """The current loads of a dataset without a row, even after replays."""
    replayed = {load.parent_load_id for load in current}
    empty = [load for load in current if load.rows_loaded == 0 and load.rows_rejected and load.load_id not in replayed]
    return [Unloaded(load, _reason(load, ledger.first_reasons(dataset, load, _REASONS))) for load in empty]


def _reason(load: Load, reasons: Sequence[str]) -> str:
    subject = "its only record violates" if load.rows_in == 1 else f"all of its {load.rows_in:,} records violate"
    return f"nothing loaded: {subject} the contract. First: {'; '.join(reasons)}"
