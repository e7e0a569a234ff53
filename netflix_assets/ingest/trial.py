"""Load files into a temporary warehouse: the code of a real load, with nothing kept but what came of it.

A trial answers two questions: what would a file give under a contract (`contract check`), and what is in it
(`add-dataset`, which loads every column as text and profiles the table).
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from netflix_assets.contracts.model import Dataset, Tolerance
from netflix_assets.ingest.decode import blocks_of
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.load import commit_loads
from netflix_assets.ingest.reasons import RejectReason, group_reasons
from netflix_assets.ingest.validate import validate
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.storage.scratch import scratch_folder
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.loads import StagedObject

_MEMORY_LIMIT = "512MB"  # of DuckDB; more spills to the scratch folder
NO_LIMIT = Tolerance(rejected_rows=2**62, rejected_share=1)


@dataclass(frozen=True)
class TrialResult:
    """What would load from one file.

    ``outcome``: ``loads``, ``refused`` or ``ignored``, with the reason of the last two. ``records``: records in the
    file; None where it was refused before they were counted. ``reasons``: why records are rejected, the most frequent
    first; a file refused for too many rejects has them too.
    """

    path: Path
    outcome: str
    reason: str = ""
    records: int | None = None
    rows: int = 0
    rejected: int = 0
    reasons: Sequence[RejectReason] = ()
    warnings: Sequence[str] = ()


@dataclass
class Trial:
    """A temporary warehouse, and what each file gave so far."""

    warehouse: Warehouse
    folder: Path
    results: list[TrialResult] = field(default_factory=list)

    def load(self, dataset: Dataset, path: Path) -> TrialResult:
        """Load a file as a new object of the dataset; rows of files loaded before stay."""
        listed = _as_object(dataset, path, len(self.results))
        copy = self.folder / f"{uuid.uuid4().hex}.csv"
        try:
            file = validate(blocks_of(path), dataset, copy)
            result = self._commit(dataset, path, StagedObject(listed, file))
        except RefusedError as error:
            result = TrialResult(path, "ignored" if error.ignored else "refused", error.reason)
        finally:
            for left in self.folder.glob(f"{copy.stem}*"):
                left.unlink()
        self.results.append(result)
        return result

    def _commit(self, dataset: Dataset, path: Path, staged: StagedObject) -> TrialResult:
        records, warnings = staged.file.record_count, staged.file.warnings
        done = commit_loads(dataset, self.warehouse, [staged], "trial")
        if done.refused:
            refused = done.refused[0]
            # Its rejects are not kept. Load it again without limits, for the reasons.
            tolerant = dataset.model_copy(update={"tolerance": NO_LIMIT, "mode": "append"})
            again = commit_loads(tolerant, self.warehouse, [staged], "trial")
            reasons = self._reasons(dataset, again.loads[0].load_id) if again.loads else ()
            for load in again.loads:
                self.warehouse.discard_load(dataset, load.load_id)
            rejected = again.loads[0].rows_rejected if again.loads else 0
            return TrialResult(path, refused.outcome, refused.reason, records, 0, rejected, reasons, warnings)
        load = done.loads[0]
        reasons = self._reasons(dataset, load.load_id) if load.rows_rejected else ()
        return TrialResult(path, "loads", "", records, load.rows_loaded, load.rows_rejected, reasons, warnings)

    def _reasons(self, dataset: Dataset, load_id: int) -> Sequence[RejectReason]:
        rows = self.warehouse.execute(
            "select line_number, column_name, reason from ops.rejected_rows"
            " where dataset = ? and load_id = ? order by record_number",
            (dataset.id, load_id),
        )
        return group_reasons((int(line), str(columns or ""), str(reason)) for line, columns, reason in rows)


@contextmanager
def open_trial(dataset: Dataset, work_folder: Path) -> Iterator[Trial]:
    """A trial with the dataset's empty raw table, on disk in ``work_folder`` until the block ends."""
    with scratch_folder(work_folder) as folder, DuckDBWarehouse(folder / "trial.duckdb") as warehouse:
        warehouse.execute(f"set memory_limit = '{_MEMORY_LIMIT}'")
        warehouse.prepare(dataset)
        yield Trial(warehouse, folder)


def check_files(dataset: Dataset, paths: Iterable[Path], work_folder: Path) -> list[TrialResult]:
    """What would load from each file if it were the only one. Raises: OSError when a file cannot be read."""
    results = []
    for path in paths:  # each in a warehouse without the others, which it could supersede
        with open_trial(dataset, work_folder) as trial:
            results.append(trial.load(dataset, path))
    return results


def _as_object(dataset: Dataset, path: Path, number: int) -> ObjectVersion:
    stat = path.stat()
    key = f"{dataset.key_prefix}-{number}"
    modified = datetime.fromtimestamp(stat.st_mtime, UTC)
    return ObjectVersion("trial", key, uuid.uuid4().hex, stat.st_size, modified)
