"""docs/files.md is right about what happens to each file: nasty files (``corpus.py``) through S3 into the warehouse.

Every row of its table has a proof: a file of the corpus, or, where a single file is not enough, a test.
A row without a proof or with another outcome fails.
"""

import re
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from netflix_assets.ingest.replay import replay_rejects
from netflix_assets.ingest.sync import sync
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.proof.corpus import CORPUS, HEADER, THINGS, Loads, Nasty, Refused

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "files.md"
KEY = "shop/things.csv"
PROVED_HERE: dict[str, str] = {}
# What a bucket can hold beside files of the corpus, and advice with its own tests: start of the row -> file and test.
PROVED_ELSEWHERE = {
    "a header below records": ("ingest/test_validate.py", "test_known_header_problems_are_diagnosed"),
    "valid UTF-8, and after it": ("ingest/test_validate.py", "test_utf_8_with_a_damaged_text_is_not_called_latin_1"),
    "an object that S3 does not return": (
        "proof/test_s3_faults.py",
        "test_an_object_that_is_itself_at_fault_is_refused_until_it_can_be_read",
    ),
    "a key with an empty": ("storage/test_objects.py", "test_an_unreadable_key_does_not_stop_the_others"),
    "a local file whose name is not UTF-8": (
        "storage/test_objects.py",
        "test_a_name_that_is_not_utf8_does_not_stop_the_others",
    ),
    "a symbolic link": ("storage/test_objects.py", "test_files_that_the_server_does_not_serve_are_named"),
    "a folder marker": ("storage/test_objects.py", "test_every_key_is_listed_as_it_is"),
    "an older or second file of an overwrite dataset": (
        "operations/test_status.py",
        "test_unused_files_of_an_overwrite_dataset_are_named",
    ),
    "a local file replaced": (
        "storage/test_objects.py",
        "test_a_file_replaced_by_one_of_the_same_size_and_time_is_a_new_version",
    ),
}


def proves(row: str):
    """Mark a test as the proof of the documented row that starts with this text."""

    def marked(test):
        PROVED_HERE[row] = test.__name__
        return test

    return marked


def documented() -> dict[str, str]:
    """The document's table: what the object has -> outcome."""
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert cells.pop(0) == ["What the object has", "Outcome"]
    return dict(cells)


def outcome_of(nasty: Nasty) -> str:
    """The first words of the outcome, as the document writes it."""
    if isinstance(nasty.outcome, Refused):
        return "ignored" if nasty.outcome.ignored else "refused"
    return "record rejected" if nasty.outcome.rejects else "loads"


# ---------------------------------------------------------------- the document and the corpus


def test_every_documented_row_has_a_proof_and_every_proof_a_row():
    rows = documented()
    proved = tuple({nasty.row for nasty in CORPUS} | set(PROVED_HERE) | set(PROVED_ELSEWHERE))
    for start in proved:
        assert len([row for row in rows if row.startswith(start)]) == 1, start
    for file, test in PROVED_ELSEWHERE.values():
        assert f"def {test}(" in (TESTS / file).read_text(encoding="utf-8"), test
    assert [row for row in rows if not row.startswith(proved)] == []


def test_the_document_states_the_outcome_of_each_file():
    rows = documented()
    wrong = []
    for nasty in CORPUS:
        [documented_outcome] = [outcome for row, outcome in rows.items() if row.startswith(nasty.row)]
        found = outcome_of(nasty)
        # A file that loads may also contain rejects.
        is_right = documented_outcome.startswith(found)
        if not is_right and not (found == "record rejected" and documented_outcome.startswith("loads")):
            wrong.append((nasty.what, found, documented_outcome))
    assert wrong == []


def test_the_corpus_is_large_and_its_files_differ():
    assert len(CORPUS) >= 60
    assert len({nasty.what for nasty in CORPUS}) == len(CORPUS)
    assert len({(nasty.dataset.id, nasty.content) for nasty in CORPUS}) == len(CORPUS)


# ---------------------------------------------------------------- the files


@pytest.fixture
def outcomes(bucket, warehouse, tmp_path) -> Iterator:
    """The outcomes of one dataset's files: all in the bucket, one sync. Works with either warehouse."""

    def sync_files(dataset, files: list[Nasty]) -> dict[str, Loads | Refused]:
        keys = {f"{dataset.key_prefix}-{number}.{dataset.extension}": nasty.what for number, nasty in enumerate(files)}
        for (key, _), nasty in zip(keys.items(), files, strict=True):
            bucket.put(key, nasty.content)
        report = sync(dataset, bucket.store, warehouse, "run-1", work_folder=tmp_path / "work")
        found = {keys[each.listed.key]: Refused(each.reason, each.outcome == "ignored") for each in report.refused}
        names = ", ".join(column.name for column in dataset.columns)
        for load in report.loads:
            rows = warehouse.execute(
                f"select {names} from raw.{dataset.table} where _load_id = ? order by id", (load.load_id,)
            )
            rejects = warehouse.execute(
                "select record_number, reason from ops.rejected_rows where dataset = ? and load_id = ? order by 1",
                (dataset.id, load.load_id),
            )
            assert load.rows_in == len(rows) + len(rejects)
            key = load.listed.key
            warnings = [each.removeprefix(f"{key}: ") for each in report.warnings if each.startswith(f"{key}: ")]
            found[keys[key]] = Loads(rows, tuple(rejects), "; ".join(warnings))
        return found

    return sync_files


DATASETS = {
    dataset_id: list(files)
    for dataset_id, files in groupby(
        sorted(CORPUS, key=lambda nasty: nasty.dataset.id), key=lambda nasty: nasty.dataset.id
    )
}


@pytest.mark.parametrize("dataset_id", DATASETS)
def test_each_file_has_the_expected_outcome(outcomes, dataset_id):
    files = DATASETS[dataset_id]
    found = outcomes(files[0].dataset, files)
    assert set(found) == {nasty.what for nasty in files}
    wrong = [(nasty.what, shown(nasty.outcome), shown(found[nasty.what])) for nasty in files
             if found[nasty.what] != nasty.outcome]  # fmt: skip
    assert wrong == []


def shown(outcome: Loads | Refused) -> str:
    return repr(outcome)[:1000]


# ---------------------------------------------------------------- rows about more than one file

ONE = HEADER + b"1,x\n"


def numbers(warehouse) -> list[int]:
    return [row[0] for row in warehouse.execute("select id from raw.shop_things_current order by id")]


@proves("rejected records that a changed contract now accepts")
def test_passing_rejects_become_a_new_load(sync, bucket, warehouse, tmp_path):
    def rated(most: int):
        return make_dataset(make_column("id", "integer", max=most), make_column("label", nullable=True))

    bucket.put(KEY, HEADER + b"1,x\n7,y\n9,z\n")
    sync(rated(5))
    [load] = replay_rejects(rated(8), warehouse, "replay-1", tmp_path)
    assert (load.parent_load_id, load.rows_in, load.rows_loaded) == (1, 1, 1)
    assert numbers(warehouse) == [1, 7]


@proves("less than half of the records valid, where rows would be replaced")
@pytest.mark.parametrize(("records", "count"), [(b"x,x\n", "all 1"), (b"x,x\n5,y\nz,z\n", "2 of 3")])
@pytest.mark.parametrize(("mode", "key"), [("append", KEY), ("upsert", KEY), ("overwrite", "shop/things-2.csv")])
def test_a_file_that_is_mostly_invalid_never_replaces_rows(sync, bucket, warehouse, mode, key, records, count):
    dataset = THINGS.model_copy(update={"mode": mode})
    bucket.put(KEY, ONE)
    sync(dataset)
    bucket.put(key, HEADER + records)
    [refused] = sync(dataset).refused
    assert refused.reason.startswith(f"{count} records violate the contract; keeping the rows loaded earlier")
    assert numbers(warehouse) == [1]


class ChangingStore:
    """The real bucket; an object changes before each of its first ``times`` reads."""

    def __init__(self, bucket, times: int) -> None:
        self.bucket = bucket.store.bucket
        self.list = bucket.store.list
        self._bucket = bucket
        self._times = times

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        if self._times:
            self._times -= 1
            self._bucket.put(listed.key, HEADER + f"{self._times},changed\n".encode() * (self._times + 2))
        return self._bucket.store.read(listed)


@proves("an object that changes while it is read")
def test_a_changing_object_is_read_at_most_three_times(sync, bucket, warehouse):
    bucket.put(KEY, ONE)
    sync(THINGS, store=ChangingStore(bucket, times=2))
    assert numbers(warehouse) == [0, 0]
    bucket.put(KEY, ONE)
    with pytest.raises(RuntimeError, match="gave up after 3 tries"):
        sync(THINGS, store=ChangingStore(bucket, times=3))
    assert numbers(warehouse) == [0, 0]


@proves("an object younger than two seconds in the local bucket")
def test_sync_waits_for_a_young_object(sync, bucket, warehouse):
    bucket.put(KEY, ONE)
    [listed] = bucket.store.list(KEY)
    sync(THINGS, settle_seconds=2.0)
    assert time.time() - listed.last_modified.timestamp() >= 2.0
    assert numbers(warehouse) == [1]


@proves("an object deleted from the bucket")
def test_rows_of_a_deleted_object_stay(sync, bucket, warehouse):
    bucket.put(KEY, ONE)
    sync(THINGS)
    bucket.delete(KEY)
    report = sync(THINGS)
    assert [load.listed.key for load in report.deleted] == [KEY]
    assert numbers(warehouse) == [1]


@proves("a dataset without any object so far")
def test_a_dataset_without_objects_is_an_empty_typed_table(sync, warehouse):
    assert sync(THINGS).awaited
    relation = warehouse.describe([("raw", "shop_things")])["raw", "shop_things"]
    assert relation.row_count == 0
    expected = [warehouse.shown_type(kind) for kind in ("integer", "varchar")]
    assert [relation.columns[name] for name in ("id", "label")] == expected
