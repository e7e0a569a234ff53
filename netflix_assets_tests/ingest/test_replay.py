"""Replays of rejected records under a changed contract: what loads, what stays, what supersedes what."""

from decimal import Decimal

import pytest

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.replay import replay_rejects
from netflix_assets.operations.rejects import write_rejects
from netflix_assets.operations.status import dataset_status
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.loads import Counts
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_sync import (
    HEADER,
    KEY,
    RATINGS,
    Crash,
    CrashingWarehouse,
    LosingWarehouse,
    ratings,
    state,
    users,
)

# Two ratings above 5 stars, one invalid user id.
FAULTY = ratings(1, 2) + "3,103,7.5,3\n" + "x,104,4.5,4\n" + "5,105,9.5,5\n" + ratings(6).removeprefix(HEADER)


def with_stars_up_to(stars: str) -> Dataset:
    columns = tuple(
        Column.model_validate({**column.model_dump(), "max": Decimal(stars)}) if column.name == "rating" else column
        for column in RATINGS.columns
    )
    return RATINGS.model_copy(update={"columns": columns})


EIGHT, TEN = with_stars_up_to("8.0"), with_stars_up_to("9.9")


@pytest.fixture
def replay(warehouse, tmp_path):
    def replayed(dataset: Dataset, into: DuckDBWarehouse = warehouse) -> list[tuple]:
        loads = replay_rejects(dataset, into, "replay-1", tmp_path)
        return [(load.load_id, load.parent_load_id, load.rows_in, load.rows_loaded) for load in loads]

    return replayed


def ledger(warehouse: DuckDBWarehouse) -> list[tuple]:
    return warehouse.execute(
        "select load_id, parent_load_id, rows_in, rows_loaded, rows_rejected, is_current, superseded_by "
        "from ops.loads order by load_id"
    )


def test_passing_records_become_a_load_with_the_original_as_parent(sync, bucket, warehouse, replay):
    bucket.put(KEY, FAULTY)
    bucket.put("movielens/ratings-good.csv", ratings(8))
    sync(RATINGS)
    assert replay(RATINGS) == []  # the contract has not changed
    assert replay(EIGHT) == [(3, 2, 1, 1)]
    assert users(warehouse) == [1, 2, 3, 6, 8]
    assert warehouse.execute("select cast(rating as double), _object_key from raw.movielens_ratings_current "
                             "where _load_id = 3") == [(7.5, KEY)]  # fmt: skip
    assert ledger(warehouse)[1:] == [(2, None, 6, 3, 3, True, None), (3, 2, 1, 1, 0, True, None)]
    original, replayed = warehouse.loads(RATINGS)[1:]
    assert (replayed.listed, replayed.is_replay, original.is_replay) == (original.listed, True, False)
    assert [row["record_number"] for row in warehouse.rejected_rows(RATINGS)] == [4, 5]
    assert warehouse.execute("select record_number, replayed_by from ops.rejected_rows order by 1") == [
        (3, 3), (4, None), (5, None)
    ]  # fmt: skip
    counts = warehouse.counts(RATINGS)
    assert counts == Counts(0, 5, 5, 3, 3, replayed_rejects=1, replay_rows=1)
    assert counts.open_rejects == 2


def test_a_second_replay_loads_nothing_until_the_contract_widens(sync, bucket, warehouse, replay):
    bucket.put(KEY, FAULTY)
    sync(RATINGS)
    assert replay(EIGHT) == [(2, 1, 1, 1)]
    before = state(warehouse)
    assert replay(EIGHT) == []
    assert state(warehouse) == before
    assert replay(TEN) == [(3, 1, 1, 1)]
    assert users(warehouse) == [1, 2, 3, 5, 6]
    assert warehouse.counts(RATINGS) == Counts(0, 5, 5, 3, 3, replayed_rejects=2, replay_rows=2)


def test_a_replayed_version_is_not_loaded_again_and_is_counted_once(sync, bucket, warehouse, replay):
    bucket.put(KEY, FAULTY)
    sync(RATINGS)
    replay(TEN)
    assert (sync(TEN).loads, users(warehouse)) == ([], [1, 2, 3, 5, 6])
    status = dataset_status(RATINGS, warehouse)
    assert [status[name] for name in ("objects", "versions", "rows", "rejected", "bytes")] == [1, 1, 5, 1, len(FAULTY)]
    bucket.delete(KEY)
    assert [load.load_id for load in sync(TEN).deleted] == [1]


@pytest.mark.parametrize("mode", ["upsert", "overwrite"])
def test_superseding_the_parent_supersedes_its_replays(sync, bucket, warehouse, replay, mode):
    modes = {"mode": mode}
    bucket.put(KEY, FAULTY)
    sync(RATINGS.model_copy(update=modes))
    replay(EIGHT.model_copy(update=modes))
    replay(TEN.model_copy(update=modes))
    corrected = KEY if mode == "upsert" else "movielens/ratings-z.csv"
    bucket.put(corrected, ratings(1) + "x,1,4.5,1\n")
    [load] = sync(TEN.model_copy(update=modes)).loads
    assert load.load_id == 4
    assert [(row[0], row[5], row[6]) for row in ledger(warehouse)] == [
        (1, False, 4), (2, False, 4), (3, False, 4), (4, True, None)
    ]  # fmt: skip
    assert users(warehouse) == [1]
    assert warehouse.counts(RATINGS) == Counts(0, 1, 1, 1, 1)
    assert replay(TEN) == []


def test_a_returning_version_has_its_own_rejects(sync, bucket, warehouse, replay):
    bucket.put(KEY, FAULTY)
    sync(RATINGS)
    replay(EIGHT)
    for content in (ratings(9), FAULTY):
        bucket.put(KEY, content)
        sync(RATINGS)
    assert len(warehouse.rejected_rows(RATINGS)) == 3
    assert replay(EIGHT) == [(5, 4, 1, 1)]
    assert users(warehouse) == [1, 2, 3, 6]


def test_replayed_text_is_unchanged(sync, bucket, warehouse, replay):
    columns = [make_column("id", "integer", max=9), make_column("label", "text", nullable=True)]
    narrow = make_dataset(columns[0], columns[1])
    wide = make_dataset(make_column("id", "integer", max=99), columns[1])
    labels = ["plain", "", 'say "so"', "two\nlines", "a,b", "cr\rinside", " spaces ", "ünï 🎬"]
    records = [f'"{label.replace(chr(34), chr(34) * 2)}",x,{number}\r\n' for number, label in enumerate(labels, 10)]
    bucket.put("shop/things.csv", 'label,"ex,""tra""",id\r\n' + "".join(records) + "bad,x,1000\r\nfew,1\r\n")
    sync(narrow)
    assert replay(wide) == [(2, 1, len(labels), len(labels))]
    assert warehouse.execute("select id, label from raw.shop_things_current order by id") == [
        (number, label or None) for number, label in enumerate(labels, 10)
    ]
    assert [row["raw_text"] for row in warehouse.rejected_rows(narrow)] == ["bad,x,1000", "few,1"]


def test_records_stay_rejected_when_the_contract_refuses_their_header(sync, bucket, warehouse, replay):
    bucket.put(KEY, FAULTY)
    sync(RATINGS)
    renamed = TEN.model_copy(
        update={"columns": tuple(c.model_copy(update={"source_name": f"{c.file_name}_2"}) for c in TEN.columns)}
    )
    assert replay(renamed) == []
    assert len(warehouse.rejected_rows(RATINGS)) == 3


def test_a_crash_at_any_statement_leaves_nothing(sync, bucket, tmp_path, replay):
    bucket.put(KEY, FAULTY)
    bucket.put("movielens/ratings-2.csv", FAULTY)
    file = tmp_path / "crash.duckdb"
    with DuckDBWarehouse(file) as first:
        sync(RATINGS, into=first)
        before = state(first)
    for point in range(100):
        with CrashingWarehouse(file) as warehouse:
            warehouse.statements_left = point
            try:
                replay(TEN, warehouse)
                break
            except Crash:
                warehouse.statements_left = float("inf")
                assert state(warehouse) == before, f"crash before statement {point}"
    assert point >= 13
    with DuckDBWarehouse(file) as last:
        assert last.counts(RATINGS) == Counts(0, 10, 10, 6, 6, replayed_rejects=4, replay_rows=4)
        assert replay(TEN, last) == []


def test_a_record_lost_by_the_loader_aborts_the_replay(sync, bucket, tmp_path, replay):
    bucket.put(KEY, FAULTY)
    file = tmp_path / "losing.duckdb"
    with DuckDBWarehouse(file) as first:
        sync(RATINGS, into=first)
        before = state(first)
    with (
        LosingWarehouse(file) as losing,
        pytest.raises(WarehouseError, match=r"2 rejected records .* 1 would be loaded"),
    ):
        replay(TEN, losing)
    with DuckDBWarehouse(file) as last:
        assert state(last) == before


def test_a_warehouse_older_than_replays_is_migrated(sync, bucket, warehouse, replay):
    bucket.put(KEY, FAULTY)
    sync(RATINGS)
    warehouse.execute("alter table ops.rejected_rows drop column replayed_by")
    sync(RATINGS)
    assert replay(TEN) == [(2, 1, 2, 2)]


def test_rejects_are_exported_in_the_file_encoding_and_replayed(sync, bucket, warehouse, replay, tmp_path):
    def labels(most: int) -> Dataset:
        return make_dataset(make_column("id", "integer", max=most), make_column("label"), encoding="windows-1252")

    bucket.put("shop/things.csv", b"id,label\n1,x\n9,caf\xe9 \x80\n")
    sync(labels(5))
    exported = tmp_path / "things-mended.csv"
    assert write_rejects(labels(5), warehouse.rejected_rows(labels(5)), exported) == 1
    assert exported.read_bytes() == b"id,label\n9,caf\xe9 \x80\n"
    assert replay(labels(9)) == [(2, 1, 1, 1)]
    assert warehouse.execute("select id, label from raw.shop_things order by id") == [(1, "x"), (9, "café €")]
