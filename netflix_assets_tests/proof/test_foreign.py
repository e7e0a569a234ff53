"""Any CSV file becomes what Python's csv module reads, with rejects that are counted, or is refused with a reason.

``--files FOLDER`` tries the files of a folder; without it, the test makes its own (``foreign_files.py``). Each file
gets a contract of text columns from its header, goes through S3 into a warehouse, and is compared line by line
(``foreign_oracle.py``). Files of any size fit: both sides stream.
"""

import json
import re
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from netflix_assets.ingest import sync as sync_module
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.storage.local_s3 import local_s3
from netflix_assets_tests.conftest import s3_client
from netflix_assets_tests.proof.foreign_files import make_files
from netflix_assets_tests.proof.foreign_oracle import (
    DifferenceError,
    Reject,
    compare,
    inspect,
    reasons_to_refuse,
)

NAMES = re.compile(r".*\.(csv|tsv)(\.gz)?", re.IGNORECASE | re.DOTALL)
FETCHED_ROWS = 1_000


@dataclass(frozen=True)
class Outcome:
    """What became of a file. ``outcome``: equal, refused, ignored or DIFFERENT; ``detail``: the reason."""

    file: str
    outcome: str
    rows_in: int = 0
    rows_rejected: int = 0
    encoding: str = ""
    delimiter: str = ""
    columns: int = 0
    detail: str = ""

    def __str__(self) -> str:
        found = self.outcome
        if self.outcome == "equal" and self.rows_rejected:
            found = f"equal with {self.rows_rejected:,} of {self.rows_in:,} rejected"
        return f"{found}: {self.detail}" if self.detail else found


@dataclass
class Trial:
    """Loads files one by one, each as a dataset of its own."""

    sync: object
    bucket: object
    warehouse: object
    count: int = 0

    def __post_init__(self) -> None:
        self.client = s3_client(local_s3(self.bucket.home))

    def run(self, path: Path, name: str) -> Outcome:
        """Load a file and compare it; an exception is a difference too."""
        try:
            return self._run(path, name)
        except DifferenceError as error:
            return Outcome(name, "DIFFERENT", detail=str(error))
        except Exception:  # a crash for one file must not hide the others
            return Outcome(name, "DIFFERENT", detail=traceback.format_exc())

    def _run(self, path: Path, name: str) -> Outcome:
        self.count += 1
        file = inspect(path)
        dataset = file.dataset(f"foreign_{self.count}")
        key = f"{dataset.key_prefix}.csv"
        self.bucket.store.put(key, path)
        report = self.sync(dataset)
        self.after_sync(dataset)
        self.client.delete_object(Bucket=self.bucket.name, Key=key)
        shape = {"encoding": file.encoding, "delimiter": file.delimiter, "columns": len(file.header)}
        if report.refused:
            [refused] = report.refused
            self.check_refusal(file, dataset, refused.reason)
            return Outcome(name, refused.outcome, **shape, detail=refused.reason)
        [load] = report.loads
        file = replace(file, without_ctrl_z=any("Ctrl-Z" in warning for warning in report.warnings))
        count = compare(file, dataset, lambda: self.rows(dataset), lambda: self.rejects(dataset))
        counts = (load.rows_in, load.rows_loaded + load.rows_rejected, count)
        if len(set(counts)) > 1 or load.rows_rejected != sum(1 for _ in self.rejects(dataset)):
            raise DifferenceError(f"rows_in, rows_loaded + rows_rejected and csv's records differ: {counts}, {load}")
        self.warehouse.execute(f"drop view raw.{dataset.table}_current")
        self.warehouse.execute(f"drop table raw.{dataset.table}")
        return Outcome(name, "equal", load.rows_in, load.rows_rejected, **shape)

    def after_sync(self, dataset) -> None:
        """Nothing; to be replaced by tests that tamper with what was loaded."""

    def check_refusal(self, file, dataset, reason: str) -> None:
        if not reasons_to_refuse(file):
            raise DifferenceError(f"refused, though csv reads it: {reason}")
        if not reason or next(self.rows(dataset), None) or next(self.rejects(dataset), None):
            raise DifferenceError(f"refused without a reason, or with rows: {reason!r}")

    def rows(self, dataset) -> Iterator[tuple]:
        names = ", ".join(column.name for column in dataset.columns)
        return self.stream(f"select {names} from raw.{dataset.table}")

    def rejects(self, dataset) -> Iterator[Reject]:
        select = "select line_number, raw_text, reason from ops.rejected_rows"
        return (Reject(*row) for row in self.stream(f"{select} where dataset = '{dataset.id}' order by line_number"))

    def stream(self, select: str) -> Iterator[tuple]:
        """The rows of a query; unlike ``execute``, few at a time."""
        cursor = self.warehouse._connection.cursor()
        cursor.execute(select)
        while rows := cursor.fetchmany(FETCHED_ROWS):
            yield from map(tuple, rows)
        cursor.close()


@pytest.fixture
def trial(sync, bucket, warehouse) -> Trial:
    return Trial(sync, bucket, warehouse)


def files_under(folder: Path) -> list[Path]:
    """The CSV files of a folder and its subfolders, whatever the case of their names."""
    return sorted(path for path in folder.rglob("*") if NAMES.fullmatch(path.name) and path.is_file())


def print_table(outcomes: Iterable[Outcome]) -> None:
    width = max(len(outcome.file) for outcome in outcomes)
    for outcome in outcomes:
        shape = f"{outcome.encoding:12} {outcome.delimiter!r:4} {outcome.columns:5} {outcome.rows_in:10,}"
        print(f"{outcome.file:{width}}  {shape}  {str(outcome)[:200]}")
    print(f"\n{len(outcomes):,} files: {dict(Counter(outcome.outcome for outcome in outcomes))}")


def fail_for_differences(outcomes: Iterable[Outcome]) -> None:
    different = [f"{outcome.file}: {outcome.detail}" for outcome in outcomes if outcome.outcome == "DIFFERENT"]
    assert not different, "\n\n".join(different)


def test_every_foreign_file_is_equal_rejected_or_refused(pytestconfig, cases, trial, tmp_path):
    folder = pytestconfig.getoption("--files")
    made = [] if folder else make_files(tmp_path / "foreign", cases(40))
    folder = Path(folder or tmp_path / "foreign").expanduser()
    paths = files_under(folder)
    assert paths, f"no CSV files under {folder}"
    outcomes = [trial.run(path, str(path.relative_to(folder))) for path in paths]
    print_table(outcomes)
    if report := pytestconfig.getoption("--report"):
        Path(report).write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1), encoding="utf-8")
    fail_for_differences(outcomes)
    wrong = [
        f"{file.name}: expected {file.rejects} rejects (None: refused), got {outcome}"
        for file, outcome in zip(made, outcomes, strict=bool(made))
        if not file.is_open and file.rejects != (outcome.rows_rejected if outcome.outcome == "equal" else None)
    ]
    assert not wrong, "\n".join(wrong)


# ---------------------------------------------------------------- the harness notices what is wrong

TABLE, REJECTS = "raw.shop_foreign_1", "ops.rejected_rows"
CONTENT = 'a,b\n1,x\n2,"y\nz"\n3,5" disk\n4,w\n'
TAMPERED = {
    f"update {TABLE} set c1_b = 'W' where c0_a = '4'": r"line 6 must .* \('4', 'w'\); loaded instead: \('4', 'W'\)",
    f"update {TABLE} set c1_b = null where c0_a = '4'": r"line 6 must .* loaded instead: \('4', None\)",
    f"update {TABLE} set c0_a = c1_b, c1_b = c0_a where c0_a = '1'": r"line 2 must .* loaded instead: \('x', '1'\)",
    f"delete from {TABLE} where c0_a = '2'": r"line 3 must be loaded as \('2', 'y\\nz'\)$",
    f"insert into {TABLE} select * from {TABLE} where c0_a = '1'": r"^loaded instead: \('1', 'x'\)$",
    f"delete from {REJECTS}": "line 5: badly quoted, but not rejected",
    f"update {REJECTS} set raw_text = '3,5 disk'": "line 5: expected a reject with the text",
    f"update {REJECTS} set line_number = 2, raw_text = '1,x'": "line 2: rejected .* csv reads it as a record",
    f"update {REJECTS} set line_number = 4, raw_text = 'z\"'": "line 4: rejected",
    f"update {REJECTS} set line_number = 6, raw_text = '4,w'": "line 5: badly quoted, but not rejected",
    f"insert into {REJECTS} select * from {REJECTS}": "line 5: rejected",
}


@pytest.mark.parametrize("statement", TAMPERED)
def test_whatever_differs_is_found_and_named(trial, tmp_path, statement):
    path = tmp_path / "x.csv"
    path.write_text(CONTENT, newline="")
    trial.after_sync = lambda _: trial.warehouse.execute(statement)
    outcome = trial.run(path, "x.csv")
    assert outcome.outcome == "DIFFERENT"
    assert re.search(TAMPERED[statement], outcome.detail)
    with pytest.raises(AssertionError, match=r"^x\.csv: "):
        fail_for_differences([outcome])


def test_a_refusal_needs_a_cause_in_the_file(trial, tmp_path, monkeypatch):
    def refuse(*_):
        raise RefusedError("Monday")

    monkeypatch.setattr(sync_module, "validate", refuse)
    for content, outcome, detail in (
        (CONTENT, "DIFFERENT", "refused, though csv reads it: Monday"),
        ("a,a\n1,2\n", "refused", "Monday"),
    ):
        (tmp_path / "x.csv").write_text(content)
        found = trial.run(tmp_path / "x.csv", "x.csv")
        assert (found.outcome, found.detail) == (outcome, detail)


@pytest.mark.parametrize(
    ("rows", "rejects", "count"),
    [
        ([("4", "v")], [Reject(2, '1,"x\n2,y\n3,z" w')], 2),
        ([("2", "y"), ("4", "v")], [Reject(2, '1,"x'), Reject(4, '3,z" w')], 4),
        ([("4", "v")], [Reject(2, '1,"x'), Reject(4, '3,z" w')], None),  # line 3 is lost
        ([("2", "y"), ("4", "v")], [Reject(2, '1,"x\n2,y\n3,z" w')], None),  # line 3 is loaded and rejected
        ([("2", "y"), ("4", "v")], [Reject(2, '1,"x')], None),  # line 4 is lost
        ([("4", "v")], [Reject(2, '1,"x\n2,y')], None),  # line 4 is lost
    ],
)
def test_a_reject_may_cover_a_part_of_a_bad_record_if_no_line_is_lost(tmp_path, rows, rejects, count):
    path = tmp_path / "x.csv"
    path.write_text('a,b\n1,"x\n2,y\n3,z" w\n4,v\n')
    file = inspect(path)
    if count:
        assert compare(file, file.dataset("x"), lambda: rows, lambda: rejects) == count
        return
    with pytest.raises(DifferenceError):
        compare(file, file.dataset("x"), lambda: rows, lambda: rejects)


def test_comparing_needs_no_more_memory_for_a_larger_file(tmp_path):
    path = tmp_path / "x.csv"
    rows = [(str(number), "x" * 400) for number in range(4_000)]
    path.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
    file = inspect(path)
    tracemalloc.start()
    assert compare(file, file.dataset("x"), lambda: rows, lambda: ()) == len(rows)
    with pytest.raises(DifferenceError, match="line 4001 must be loaded as"):
        compare(file, file.dataset("x"), lambda: rows[:-1], lambda: ())
    assert tracemalloc.get_traced_memory()[1] < path.stat().st_size // 2
    tracemalloc.stop()
