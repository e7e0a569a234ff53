"""Syncing a raw table with a bucket: over S3, into DuckDB, through failures of every kind."""

import gzip
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.contracts.model import Tolerance
from netflix_assets.contracts.values import find_fault
from netflix_assets.ingest import records as records_module
from netflix_assets.ingest import sync as sync_module
from netflix_assets.ingest.replay import forget_refusals
from netflix_assets.ingest.sync import READERS, ROUNDS, settled_listing
from netflix_assets.storage.objects import ObjectChangedError, ObjectStore, ObjectVersion, fingerprint
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets.warehouse.loads import Counts
from netflix_assets.warehouse.relations import OPS_TABLES
from netflix_assets_tests.waiting import until

SOURCES = load_sources()
RATINGS = dataset_by_id(SOURCES, "movielens/ratings")
MOVIES = dataset_by_id(SOURCES, "movielens/movies")
LINKS = dataset_by_id(SOURCES, "movielens/links")
HEADER = "userId,movieId,rating,timestamp\n"
KEY = "movielens/ratings.csv"


def ratings(*numbers: int, stars: str = "4.5") -> str:
    return HEADER + "".join(f"{number},{number + 100},{stars},{1_600_000_000 + number}\n" for number in numbers)


def users(warehouse: DuckDBWarehouse, relation: str = "movielens_ratings_current") -> list[int]:
    return [row[0] for row in warehouse.execute(f"select user_id from raw.{relation} order by user_id, _load_id")]


def state(warehouse: DuckDBWarehouse) -> dict[str, list[tuple]]:
    """Everything that a load writes."""
    tables = ("raw.movielens_ratings", *(f"ops.{table}" for table in OPS_TABLES))
    return {table: sorted(warehouse.execute(f"select * from {table}"), key=repr) for table in tables}


class WatchedStore:
    """The real bucket; records reads and calls ``before`` each of them."""

    def __init__(self, store: ObjectStore, before: Callable[[ObjectVersion], None] = lambda _: None) -> None:
        self.bucket = store.bucket
        self.fetched: list[str] = []
        self._store = store
        self._before = before

    def list(self, key_prefix: str) -> list[ObjectVersion]:
        return self._store.list(key_prefix)

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        self.fetched.append(listed.key)
        self._before(listed)
        return self._store.read(listed)

    def put(self, key: str, path: Path) -> None:
        self._store.put(key, path)


# ---------------------------------------------------------------- one file

THIRTEEN = (
    ratings(*range(1, 6))
    + "five,105,4.5,1600000000\n"
    + ratings(*range(6, 9)).removeprefix(HEADER)
    + "9,109,4.5\n"
    + "10,110,7.5,1600000000\n"
    + ratings(11, 12).removeprefix(HEADER)
)


def test_valid_records_are_loaded_and_rejects_keep_line_reason_and_text(sync, bucket, warehouse):
    bucket.put(KEY, THIRTEEN)
    report = sync(RATINGS)
    [load] = report.loads
    assert (load.rows_in, load.rows_loaded, load.rows_rejected, load.is_current) == (13, 10, 3, True)
    assert (report.rows_loaded, report.rows_rejected, report.bytes) == (10, 3, len(THIRTEEN))
    assert (report.refused, report.warnings, report.awaited) == ([], [], False)
    assert users(warehouse) == [1, 2, 3, 4, 5, 6, 7, 8, 11, 12]
    kept = warehouse.rejected_rows(RATINGS)
    assert [
        (
            row["object_key"],
            row["record_number"],
            row["line_number"],
            row["column_name"],
            row["reason"],
            row["raw_text"],
        )
        for row in kept
    ] == [
        (KEY, 6, 7, "user_id", "user_id 'five' is not an integer like 42", "five,105,4.5,1600000000"),
        (KEY, 10, 11, "", "3 fields, but the header has 4", "9,109,4.5"),
        (KEY, 11, 12, "rating", "rating '7.5' is above the maximum 5.0", "10,110,7.5,1600000000"),
    ]
    assert {(row["load_id"], row["header"]) for row in kept} == {(1, HEADER.strip())}
    assert warehouse.counts(RATINGS) == Counts(0, 10, 10, 3, 3)


def test_a_second_sync_reads_and_changes_nothing(sync, bucket, warehouse):
    bucket.put(KEY, THIRTEEN)
    sync(RATINGS)
    before, watched = state(warehouse), WatchedStore(bucket.store)
    report = sync(RATINGS, store=watched)
    assert (report.loads, report.refused, report.rows_loaded, watched.fetched) == ([], [], 0, [])
    assert state(warehouse) == before


def test_every_fault_of_a_record_is_reported(sync, bucket, warehouse):
    bucket.put(KEY, HEADER + "0,x,4.25,-1\n" + ",,,\n")
    sync(RATINGS)
    assert [(row["column_name"], row["reason"]) for row in warehouse.rejected_rows(RATINGS)] == [
        (
            "user_id, movie_id, rating, rated_at_epoch_s",
            "user_id '0' is below the minimum 1; movie_id 'x' is not an integer like 42; rating '4.25' is not a "
            "decimal(2,1) like 4.5; rated_at_epoch_s '-1' is below the minimum 0",
        ),
        (
            "user_id, movie_id, rating, rated_at_epoch_s",
            "user_id is empty; movie_id is empty; rating is empty; rated_at_epoch_s is empty",
        ),
    ]


def test_the_ledger_records_the_load(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1, 2))
    sync(RATINGS)
    [listed] = bucket.store.list("movielens/ratings")
    row = warehouse.execute(
        """
        select dataset, load_id, parent_load_id, bucket, object_key, etag, size_bytes, rows_in, rows_loaded,
            rows_rejected, is_current, superseded_by, run_id, header
        from ops.loads
        """
    )
    assert row == [
        ("movielens/ratings", 1, None, bucket.name, KEY, listed.etag, len(ratings(1, 2)), 2, 2, 0, True, None, "run-1",
         "userId,movieId,rating,timestamp")
    ]  # fmt: skip
    [load] = warehouse.loads(RATINGS)
    assert load.listed == listed
    assert abs((datetime.now(UTC) - load.loaded_at).total_seconds()) < 60


def test_added_and_reordered_columns_are_loaded_with_a_warning(sync, bucket, warehouse):
    bucket.put(KEY, "timestamp,device,rating,movieId,userId\n1600000000,tv,4.5,101,1\n")
    report = sync(RATINGS)
    assert report.warnings == [f"{KEY}: column 'device' is not in the contract; ignored"]
    rows = warehouse.execute(
        "select user_id, movie_id, cast(rating as double), rated_at_epoch_s from raw.movielens_ratings"
    )
    assert rows == [(1, 101, 4.5, 1600000000)]


# ---------------------------------------------------------------- versions


def test_a_new_version_supersedes_the_old_load_and_raw_keeps_both(sync, bucket, warehouse):
    bucket.put(KEY, THIRTEEN)
    sync(RATINGS)
    bucket.put(KEY, ratings(1, 2, 3, stars="3.0"))
    [load] = sync(RATINGS).loads
    assert load.load_id == 2
    assert users(warehouse) == [1, 2, 3]
    assert {
        row[0] for row in warehouse.execute("select cast(rating as double) from raw.movielens_ratings_current")
    } == {3.0}
    assert len(users(warehouse, "movielens_ratings")) == 13
    loads = warehouse.execute("select load_id, is_current, superseded_by from ops.loads order by load_id")
    assert loads == [(1, False, 2), (2, True, None)]
    # The rejects of the old version are history too.
    assert warehouse.rejected_rows(RATINGS) == []
    assert warehouse.counts(RATINGS) == Counts(0, 3, 3, 0, 0)


def test_returning_content_is_loaded_again(sync, bucket, warehouse):
    for content, expected in ((ratings(1), [1]), (ratings(2), [2]), (ratings(1), [1])):
        bucket.put(KEY, content)
        assert len(sync(RATINGS).loads) == 1
        assert users(warehouse) == expected
    assert [(load.load_id, load.is_current) for load in warehouse.loads(RATINGS)] == [(1, False), (2, False), (3, True)]


def test_a_deleted_object_is_reported_and_its_rows_stay(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1))
    sync(RATINGS)
    bucket.delete(KEY)
    report = sync(RATINGS)
    assert [load.listed.key for load in report.deleted] == [KEY]
    assert (report.loads, report.awaited, users(warehouse)) == ([], True, [1])


def test_load_ids_increase_across_objects_and_syncs(sync, bucket, warehouse):
    for name in ("b", "a"):
        bucket.put(f"movielens/ratings-{name}.csv", ratings(1))
    assert [(load.load_id, load.listed.key) for load in sync(RATINGS).loads] == [
        (1, "movielens/ratings-a.csv"), (2, "movielens/ratings-b.csv")
    ]  # fmt: skip
    bucket.put("movielens/ratings-0.csv", ratings(1))
    assert [load.load_id for load in sync(RATINGS).loads] == [3]
    assert warehouse.execute("select dataset, last_load_id from ops.load_locks") == [("movielens/ratings", 3)]


def movies(*numbers: int) -> str:
    return "movieId,title,genres\n" + "".join(f"{number},Film {number} (1999),Drama\n" for number in numbers)


def film_numbers(warehouse: DuckDBWarehouse) -> list[int]:
    return [row[0] for row in warehouse.execute("select movie_id from raw.movielens_movies_current order by movie_id")]


def put_at(bucket, key: str, content: str, minute: int) -> None:
    """Put an object with this LastModified: as a file, which the server lists within a second."""
    path = bucket.home / "s3" / bucket.name / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    moment = datetime(2024, 5, 1, 12, minute, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))
    expected = [(len(content), minute)]
    until(lambda: [(each.size, each.last_modified.minute) for each in bucket.store.list(key)] == expected, key)


def test_overwrite_replaces_the_table_with_the_newest_object(sync, bucket, warehouse):
    put_at(bucket, "movielens/movies-z.csv", movies(1, 2, 3), minute=1)
    put_at(bucket, "movielens/movies-a.csv", movies(4), minute=2)
    watched = WatchedStore(bucket.store)
    sync(MOVIES, store=watched)
    assert (film_numbers(warehouse), watched.fetched) == ([4], ["movielens/movies-a.csv"])
    put_at(bucket, "movielens/movies-m.csv", movies(5, 6), minute=3)
    sync(MOVIES)
    assert film_numbers(warehouse) == [5, 6]
    assert warehouse.execute("select count(*) from raw.movielens_movies") == [(3,)]
    assert warehouse.counts(MOVIES) == Counts(0, 2, 2, 0, 0)
    # No older object replaces a deleted one.
    bucket.delete("movielens/movies-m.csv")
    report = sync(MOVIES)
    assert (report.loads, [load.listed.key for load in report.deleted]) == ([], ["movielens/movies-m.csv"])
    assert film_numbers(warehouse) == [5, 6]


def test_overwrite_keeps_the_table_while_its_file_is_broken(sync, bucket, warehouse):
    put_at(bucket, "movielens/movies-1.csv", movies(1), minute=1)
    put_at(bucket, "movielens/movies-2.csv", movies(2), minute=2)
    sync(MOVIES)
    for content, outcome in (
        ("", "refused"),
        ("movieId,title,genres\n", "ignored"),
        ("movieId,name\n1,x\n", "refused"),
    ):
        bucket.put("movielens/movies-2.csv", content)
        for _ in range(2):
            report = sync(MOVIES)
            assert [each.outcome for each in report.refused] == [outcome]
            assert (report.loads, film_numbers(warehouse)) == ([], [2])
    bucket.put("movielens/movies-2.csv", movies(3))
    sync(MOVIES)
    assert film_numbers(warehouse) == [3]


def test_overwrite_with_nothing_loaded_falls_back_in_the_same_sync(sync, bucket, warehouse):
    put_at(bucket, "movielens/movies-1.csv", movies(1), minute=1)
    put_at(bucket, "movielens/movies-2.csv", movies(2), minute=2)
    put_at(bucket, "movielens/movies-3.csv", "broken", minute=3)
    report = sync(MOVIES)
    assert [each.listed.key for each in report.refused] == ["movielens/movies-3.csv"]
    assert film_numbers(warehouse) == [2]
    assert sync(MOVIES).loads == []


# ---------------------------------------------------------------- objects that are not loaded


@pytest.mark.parametrize(
    ("content", "outcome", "reason"),
    [
        ("", "refused", "the file is empty (0 bytes)"),
        (HEADER, "ignored", "the file has a header but no records; keeping the rows loaded earlier"),
    ],
)
@pytest.mark.parametrize(
    "dataset", [RATINGS, RATINGS.model_copy(update={"mode": "overwrite"})], ids=["upsert", "overwrite"]
)
def test_an_empty_version_is_recorded_changes_nothing_and_is_read_once(
    sync, bucket, warehouse, dataset, content, outcome, reason
):
    bucket.put(KEY, ratings(1, 2))
    sync(dataset)
    bucket.put(KEY, content)
    watched = WatchedStore(bucket.store)
    for _ in range(3):
        report = sync(dataset, store=watched)
        assert report.loads == []
        assert [(each.listed.key, each.outcome, each.reason) for each in report.refused] == [(KEY, outcome, reason)]
    assert watched.fetched == [KEY]
    assert users(warehouse) == [1, 2]
    assert warehouse.execute("select object_key, outcome, reason, run_id from ops.refused_objects") == [
        (KEY, outcome, reason, "run-1")
    ]
    assert warehouse.counts(dataset) == Counts(0, 2, 2, 0, 0)


def test_refused_objects_do_not_stop_others_and_load_once_fixed(sync, bucket, warehouse):
    broken = {
        "a-empty": b"",
        "b-utf16": ratings(1).encode("utf-16"),
        "c-latin1": HEADER.encode() + b"1,2,3.0,\xe9\n",
        "e-header": b"userId,rating,timestamp\n1,2.0,3\n",
        "f-cut.gz": gzip.compress(ratings(1).encode())[:-5],
        "h-quote": b'userId,movieId,"rating,timestamp\n1,2,3.0,4\n',
    }
    for name, content in broken.items():
        stem, _, packed = name.partition(".")
        bucket.put(f"movielens/ratings-{stem}.csv{'.gz' if packed else ''}", content)
    bucket.put("movielens/ratings-d.csv", ratings(1, 2))
    bucket.put("movielens/ratings-g.csv.gz", gzip.compress(ratings(3).encode()))
    bucket.put("movielens/ratings-i.csv", ratings(4))
    report = sync(RATINGS)
    assert [load.listed.key[18:] for load in report.loads] == ["d.csv", "g.csv.gz", "i.csv"]
    assert {each.listed.key[18:]: each.reason for each in report.refused} == {
        "a-empty.csv": "the file is empty (0 bytes)",
        "b-utf16.csv": "the file is encoded in UTF-16; save it as 'CSV UTF-8', or declare `encoding: utf-16` in the "
        "contract",
        "c-latin1.csv": "byte 0xe9 at offset 40 is not valid UTF-8; the file is probably Latin-1 or Windows-1252: "
        "save it as 'CSV UTF-8', or declare `encoding: windows-1252` in the contract",
        "e-header.csv": "the header is missing column 'movieId'; expected: userId,movieId,rating,timestamp",
        "f-cut.csv.gz": "the gzip data ends early; upload the file again",
        "h-quote.csv": 'the header (line 1) opens a quote (") that is never closed',
    }
    assert users(warehouse) == [1, 2, 3, 4]
    bucket.put("movielens/ratings-a-empty.csv", ratings(5))
    report = sync(RATINGS)
    assert ([load.listed.key[18:] for load in report.loads], len(report.refused)) == (["a-empty.csv"], 5)
    assert users(warehouse) == [1, 2, 3, 4, 5]


def with_faults(good: int, bad: int) -> str:
    return ratings(*range(1, good + 1)) + "x,1,4.5,1\n" * bad


@pytest.mark.parametrize(
    ("bound", "good", "bad", "is_loaded"),
    [(1_000, 10, 1_000, True), (1_000, 10, 1_001, False), (10, 1_089, 11, True), (10, 1_088, 11, False)],
)
def test_too_many_rejects_refuse_the_whole_object(sync, bucket, warehouse, bound, good, bad, is_loaded):
    # Refused above 1,000 rejects (or the contract's bound) AND above 1%; 11 of 1,100 is exactly 1%.
    dataset = RATINGS
    if bound != RATINGS.tolerance.rejected_rows:
        dataset = RATINGS.model_copy(update={"tolerance": Tolerance(rejected_rows=bound)})
    bucket.put(KEY, with_faults(good, bad))
    bucket.put("movielens/ratings-good.csv", ratings(7))
    report = sync(dataset)
    if is_loaded:
        assert [(load.rows_loaded, load.rows_rejected) for load in report.loads] == [(1, 0), (good, bad)]
        assert warehouse.counts(RATINGS) == Counts(0, good + 1, good + 1, bad, bad)
        return
    assert [(each.listed.key, each.outcome) for each in report.refused] == [(KEY, "refused")]
    assert report.refused[0].reason == (
        f"more than {bad - 1:,} of {good + bad:,} records violate the contract, which allows {bound:,} or 1.0%, "
        f"whichever is more. First: line {good + 2}: user_id 'x' is not an integer like 42"
    )
    assert users(warehouse, "movielens_ratings") == [7]
    assert warehouse.counts(RATINGS) == Counts(0, 1, 1, 0, 0)
    assert [load.load_id for load in report.loads] == [1]


def test_the_contract_sets_the_tolerance(sync, bucket, warehouse):
    strict = RATINGS.model_copy(update={"tolerance": RATINGS.tolerance.model_copy(update={"rejected_rows": 0})})
    bucket.put(KEY, with_faults(50, 1))
    [refused] = sync(strict).refused
    assert refused.reason.startswith("more than 0 of 51 records violate the contract, which allows 0 or 1.0%, ")
    assert users(warehouse, "movielens_ratings") == []


def test_reading_stops_at_the_first_reject_beyond_the_tolerance(sync, bucket, warehouse, monkeypatch):
    checked: list[str] = []

    def counted(column, text, conversion):
        checked.append(text)
        return find_fault(column, text, conversion)

    monkeypatch.setattr(records_module, "find_fault", counted)
    bucket.put(KEY, with_faults(1, 20_000))
    [refused] = sync(RATINGS).refused
    assert refused.reason.startswith("more than 1,000 of 20,001 records violate the contract, ")
    assert refused.reason.endswith("First: line 3: user_id 'x' is not an integer like 42")
    assert len(checked) == 4 * (1 + 1_001)  # four columns of the valid record and of one reject more than allowed
    assert warehouse.execute("select count(*) from ops.rejected_rows") == [(0,)]


def test_many_rejects_take_few_statements(sync, bucket, tmp_path):
    class InsertCountingWarehouse(DuckDBWarehouse):
        inserts = 0

        def execute(self, statement: str, parameters: tuple = ()) -> list[tuple]:
            self.inserts += statement.startswith("insert into ops.rejected_rows")
            return super().execute(statement, parameters)

    bucket.put(KEY, with_faults(120_000, 1_200))
    with InsertCountingWarehouse(tmp_path / "counting.duckdb") as warehouse:
        [load] = sync(RATINGS, into=warehouse).loads
        assert (load.rows_loaded, load.rows_rejected, warehouse.inserts) == (120_000, 1_200, 3)
        assert [row["record_number"] for row in warehouse.rejected_rows(RATINGS)] == list(range(120_001, 121_201))
        assert warehouse.counts(RATINGS) == Counts(0, 120_000, 120_000, 1_200, 1_200)


# ---------------------------------------------------------------- forgotten refusals


def test_a_forgotten_refusal_is_validated_by_the_current_contract(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1, 2, stars="4.25"))
    bucket.put("movielens/ratings-empty.csv", HEADER)
    strict = RATINGS.model_copy(update={"tolerance": Tolerance(rejected_rows=0, rejected_share=0)})
    assert {each.outcome for each in sync(strict).refused} == {"refused", "ignored"}
    assert (sync(RATINGS).loads, len(sync(RATINGS).refused)) == ([], 2)  # quarantined: not read again on its own

    forgotten = forget_refusals(RATINGS, warehouse, bucket.store.list(KEY))
    assert [(each.listed.key, each.outcome) for each in forgotten] == [(KEY, "refused")]
    report = sync(RATINGS)
    assert [(load.rows_loaded, load.rows_rejected) for load in report.loads] == [(0, 2)]
    assert [each.listed.key for each in report.refused] == ["movielens/ratings-empty.csv"]
    assert forget_refusals(RATINGS, warehouse, bucket.store.list(KEY)) == []


def test_refusals_of_replaced_versions_stay_as_history(sync, bucket, warehouse):
    for content in ("", HEADER):
        bucket.put(KEY, content)
        sync(RATINGS)
    forget_refusals(RATINGS, warehouse, bucket.store.list(KEY))
    assert warehouse.execute("select outcome from ops.refused_objects") == [("refused",)]
    # Refused for the same reason, it is quarantined again.
    assert [each.outcome for each in sync(RATINGS).refused] == ["ignored"]
    assert warehouse.execute("select outcome from ops.refused_objects order by 1") == [("ignored",), ("refused",)]


def test_forgetting_refusals_affects_one_dataset_only(sync, bucket, warehouse):
    bucket.put(KEY, "")
    bucket.put("movielens/movies.csv", "")
    sync(RATINGS)
    sync(MOVIES)
    assert forget_refusals(RATINGS, warehouse, bucket.store.list("movielens/movies")) == []
    assert len(warehouse.refused_objects(MOVIES)) == 1


# ---------------------------------------------------------------- listing


def test_a_dataset_without_objects_is_an_empty_typed_table(sync, warehouse):
    report = sync(RATINGS)
    assert (report.awaited, report.loads, report.refused, report.rows_loaded) == (True, [], [], 0)
    assert warehouse.counts(RATINGS) == Counts(0, 0, 0, 0, 0)
    [described] = warehouse.describe([("raw", "movielens_ratings_current")]).values()
    wanted = {
        "user_id": "integer", "movie_id": "integer", "rating": "decimal(2,1)", "rated_at_epoch_s": "bigint",
        "_load_id": "integer", "_object_key": "varchar",
    }  # fmt: skip
    assert dict(described.columns) == {name: warehouse.shown_type(kind) for name, kind in wanted.items()}


class CountingWarehouse(DuckDBWarehouse):
    """Counts its transactions, and the statements in them that are not DML."""

    transactions = 0
    inside = False
    ddl: tuple[str, ...] = ()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.transactions += 1
        self.inside = True
        with super().transaction():
            yield
        self.inside = False

    def execute(self, statement: str, parameters: tuple = ()) -> list[tuple]:
        if self.inside and statement.split()[0] not in ("select", "insert", "update", "delete"):
            self.ddl += (statement,)
        return super().execute(statement, parameters)


def test_many_small_objects_are_one_transaction_without_ddl(sync, bucket, tmp_path):
    for number in range(200):
        bucket.put(f"movielens/ratings/{number // 20:02}/part-{number:03}.csv", ratings(number + 1))
    bucket.put("movielens/ratings-x.csv", with_faults(2, 3))
    with CountingWarehouse(tmp_path / "counting.duckdb") as warehouse:
        report = sync(RATINGS, into=warehouse)
        assert (warehouse.transactions, warehouse.ddl) == (1, ())
        assert len(report.loads) == 201
        assert warehouse.counts(RATINGS) == Counts(0, 202, 202, 3, 3)
        assert sorted(load.load_id for load in report.loads) == list(range(1, 202))
        sync(RATINGS, into=warehouse)
        assert warehouse.transactions == 1  # nothing to load


def test_files_of_different_forms_in_one_batch_keep_their_rows_apart(sync, bucket, warehouse):
    reordered = "movieId,rating,userId,timestamp\n"
    contents = [
        ratings(1),
        HEADER + '2,102,"4.5",1600000002\n',  # written anew, as text
        reordered + "103,4.5,3,1600000003\n",
        HEADER + "no,104,4.5,1600000004\n4,104,4.5,1600000004\n",
        reordered.strip() + ",source\n105,4.5,5,1600000005,x\n",
        HEADER + "no,106,4.5,1600000006\n" * 1_001,  # more rejects than the contract tolerates
        ratings(7, 8),
        reordered + "109,4.5,9,1600000009\n",
    ]
    for number, content in enumerate(contents):
        bucket.put(f"movielens/ratings-{number}.csv", content)
    report = sync(RATINGS)
    users_by_key = warehouse.execute("select _object_key, user_id from raw.movielens_ratings_current order by user_id")
    found = [(key.removesuffix(".csv")[-1], user) for key, user in users_by_key]
    assert found == [("0", 1), ("1", 2), ("2", 3), ("3", 4), ("4", 5), ("6", 7), ("6", 8), ("7", 9)]
    assert [each.listed.key for each in report.refused] == ["movielens/ratings-5.csv"]
    assert {load.listed.key[-5]: load.rows_loaded for load in report.loads} == {
        "0": 1, "1": 1, "2": 1, "3": 1, "4": 1, "6": 2, "7": 1,
    }  # fmt: skip


def test_batches_are_capped_by_count_and_by_size(sync, bucket, warehouse, monkeypatch):
    monkeypatch.setattr(sync_module, "BATCH_OBJECTS", 3)
    monkeypatch.setattr(sync_module, "BATCH_BYTES", 3 * len(ratings(1)))
    for number in range(1, 8):
        bucket.put(f"movielens/ratings-{number}.csv", ratings(number))
    bucket.put("movielens/ratings-8.csv", ratings(*range(10, 30)))
    lines: list[str] = []
    sync(RATINGS, log=lines.append)
    assert lines == [
        f"movielens/ratings: {objects} of 8 objects loaded, {rows} rows"
        for objects, rows in ((3, 3), (6, 6), (7, 7), (8, 27))
    ]
    assert users(warehouse) == [*range(1, 8), *range(10, 30)]


def test_small_objects_are_read_at_the_same_time(sync, bucket, warehouse):
    """Each read waits until all readers wait. Rows and ledger are in the order of the keys all the same."""
    together = threading.Barrier(READERS)
    for number in range(1, 2 * READERS + 1):
        bucket.put(f"movielens/ratings-{number}.csv", ratings(number))
    report = sync(RATINGS, store=WatchedStore(bucket.store, lambda _: together.wait(timeout=60)))
    assert [load.listed.key for load in report.loads] == [
        f"movielens/ratings-{number}.csv" for number in range(1, 2 * READERS + 1)
    ]
    assert users(warehouse) == [*range(1, 2 * READERS + 1)]


@pytest.mark.parametrize(
    "name",
    [
        "-with space.csv", "-ünïcödé-日本語-🎬.csv", "-o'brien.csv", '-"quoted".csv', "-100%.csv", "-100%25.csv",
        "-a+b.csv", "-a&b=c;d,e.csv", "-#hash?.csv", "-[1]*.csv", "-back`tick$HOME.csv", "-'; drop table x; --.csv",
        "-~tilde.csv", "/a/b/c/d.csv", "/year=2024/month=01/part 0.csv", "/movies.csv", "-.csv", "-x.csv.csv",
        "/-.csv.gz",
    ],
)  # fmt: skip
def test_odd_keys_are_loaded_once(sync, bucket, warehouse, name):
    content = ratings(1).encode()
    key = f"movielens/ratings{name}"
    bucket.put(key, gzip.compress(content) if name.endswith(".gz") else content)
    assert [load.listed.key for load in sync(RATINGS).loads] == [key]
    assert sync(RATINGS).loads == []
    assert warehouse.execute("select user_id, _object_key from raw.movielens_ratings_current") == [(1, key)]


def test_objects_of_other_datasets_are_ignored(sync, bucket, warehouse):
    for key in (
        "movielens/ratingsx.csv",
        "movielens/ratings.doc",
        "movielens/movies.csv",
        "ratings.csv",
        "movielens/r",
    ):
        bucket.put(key, ratings(1))
    assert sync(RATINGS).listing == []


def test_sync_waits_for_a_young_object(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1))
    started = time.monotonic()
    listing = settled_listing(RATINGS, bucket.store, 1.5)
    age = (datetime.now(UTC) - listing[0].last_modified).total_seconds()
    assert age >= 1.5
    assert time.monotonic() - started < 10
    started = time.monotonic()
    settled_listing(RATINGS, bucket.store, 1.0)
    assert time.monotonic() - started < 0.5


def test_a_growing_object_is_loaded_only_when_complete(sync, bucket, warehouse):
    folder = bucket.home / "s3" / bucket.name / "movielens"
    folder.mkdir(parents=True)

    def copy_slowly() -> None:
        with (folder / "ratings.csv").open("w") as file:
            file.write(HEADER)
            for number in range(1, 21):
                file.write(ratings(number).removeprefix(HEADER))
                file.flush()
                time.sleep(0.1)

    copying = threading.Thread(target=copy_slowly)
    copying.start()
    while not bucket.store.list("movielens/ratings"):
        time.sleep(0.05)
    report = sync(RATINGS, settle_seconds=1.5)
    copying.join()
    assert [load.rows_loaded for load in report.loads] == [20]
    assert len(warehouse.loads(RATINGS)) == 1


def test_sync_does_not_wait_for_an_object_from_the_future(bucket):
    class Tomorrow(WatchedStore):
        def list(self, key_prefix: str) -> list[ObjectVersion]:
            return [replace(each, last_modified=datetime(2999, 1, 1, tzinfo=UTC)) for each in super().list(key_prefix)]

    bucket.put(KEY, ratings(1))
    assert len(settled_listing(RATINGS, Tomorrow(bucket.store), 60)) == 1


def test_sync_waits_for_a_young_object_beside_one_from_the_future(bucket):
    class OneFromTomorrow(WatchedStore):
        def list(self, key_prefix: str) -> list[ObjectVersion]:
            first, *others = super().list(key_prefix)
            return [replace(first, last_modified=datetime(2999, 1, 1, tzinfo=UTC)), *others]

    bucket.put(KEY, ratings(1))
    bucket.put(f"{KEY.removesuffix('.csv')}-2.csv", ratings(2))
    _, young = settled_listing(RATINGS, OneFromTomorrow(bucket.store), 1.0)
    assert (datetime.now(UTC) - young.last_modified).total_seconds() >= 1.0


def test_the_fingerprint_does_not_depend_on_order(bucket):
    for name in ("a", "b"):
        bucket.put(f"movielens/ratings-{name}.csv", ratings(1))
    listing = bucket.store.list("movielens/ratings")
    before = fingerprint(listing)
    assert fingerprint(reversed(listing)) == before != fingerprint(listing[:1])
    bucket.put("movielens/ratings-a.csv", ratings(2))
    assert fingerprint(bucket.store.list("movielens/ratings")) != before
    bucket.put("movielens/ratings-a.csv", ratings(1))
    assert fingerprint(bucket.store.list("movielens/ratings")) == before


# ---------------------------------------------------------------- objects that change or break while they are read


def test_an_object_changed_between_listing_and_reading_is_read_again(sync, bucket, warehouse):
    bucket.put("movielens/ratings-a.csv", ratings(1))
    bucket.put("movielens/ratings-b.csv", ratings(2))
    corrections = iter([ratings(3)])

    def correct(listed: ObjectVersion) -> None:
        if listed.key.endswith("-b.csv") and (content := next(corrections, None)):
            bucket.put(listed.key, content)

    report = sync(RATINGS, store=WatchedStore(bucket.store, correct))
    assert ([load.load_id for load in report.loads], report.refused) == ([1, 2], [])
    assert users(warehouse, "movielens_ratings") == [1, 3]


def test_a_wrong_size_or_etag_is_an_error(bucket):
    bucket.put(KEY, ratings(1))
    [listed] = bucket.store.list("movielens/ratings")
    with pytest.raises(ObjectChangedError, match="changed after it was listed"):
        list(bucket.store.read(replace(listed, size=listed.size + 1)))
    with pytest.raises(ObjectChangedError, match="changed after it was listed"):
        list(bucket.store.read(replace(listed, etag="0" * 32)))
    assert b"".join(bucket.store.read(listed)) == ratings(1).encode()


def test_an_object_deleted_between_listing_and_reading_is_skipped(sync, bucket, warehouse):
    bucket.put("movielens/ratings-a.csv", ratings(1))
    bucket.put("movielens/ratings-b.csv", ratings(2))

    def delete(listed: ObjectVersion) -> None:
        if listed.key.endswith("-b.csv"):
            bucket.delete(listed.key)

    report = sync(RATINGS, store=WatchedStore(bucket.store, delete))
    assert [each.key for each in report.listing] == ["movielens/ratings-a.csv"]
    assert (users(warehouse), report.refused) == ([1], [])


def test_an_object_that_keeps_changing_is_an_error_but_others_load(sync, bucket, warehouse):
    bucket.put("movielens/ratings-a.csv", ratings(1))
    bucket.put("movielens/ratings-b.csv", ratings(2))
    bucket.put("movielens/ratings-c.csv", "")
    numbers = iter(range(100, 200))

    def change(listed: ObjectVersion) -> None:
        if listed.key.endswith("-a.csv"):
            bucket.put(listed.key, ratings(next(numbers)))

    with pytest.raises(ObjectChangedError) as raised:
        sync(RATINGS, store=WatchedStore(bucket.store, change))
    assert str(raised.value) == (
        f"movielens/ratings: movielens/ratings-a.csv changed after it was listed; gave up after {ROUNDS} tries"
    )
    assert users(warehouse) == [2]
    report = sync(RATINGS)
    assert (users(warehouse), len(report.refused)) == ([2, 102], 1)


def test_a_refusal_is_reported_once_even_after_a_second_round(sync, bucket, warehouse):
    bucket.put("movielens/ratings-a.csv", ratings(1))
    bucket.put("movielens/ratings-b.csv", "")
    corrections = iter([ratings(3)])

    def correct(listed: ObjectVersion) -> None:
        if listed.key.endswith("-a.csv") and (content := next(corrections, None)):
            bucket.put(listed.key, content)

    report = sync(RATINGS, store=WatchedStore(bucket.store, correct))
    assert [each.listed.key for each in report.refused] == ["movielens/ratings-b.csv"]
    assert users(warehouse) == [3]


class HalfABody(WatchedStore):
    """Ends each body early, like a broken connection that goes unnoticed."""

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        content = b"".join(super().read(listed))
        kept = content[: len(content) // 2 // 10 * 10]
        yield kept
        raise ObjectChangedError(f"{listed.key}: received {len(kept)} of {listed.size} bytes")


@pytest.mark.parametrize("packed", [False, True])
def test_half_a_body_is_an_error_and_loads_nothing(sync, bucket, warehouse, packed):
    content = ratings(*range(1, 100)).encode()
    key = KEY + ".gz" * packed
    bucket.put(key, gzip.compress(content) if packed else content)
    with pytest.raises(ObjectChangedError, match=r"received .* bytes"):
        sync(RATINGS, store=HalfABody(bucket.store))
    assert {table: rows for table, rows in state(warehouse).items() if rows} == {
        "ops.load_locks": [("movielens/ratings", 0)]
    }
    assert sync(RATINGS).rows_loaded == 99


def test_the_store_notices_missing_bytes(bucket):
    bucket.put(KEY, ratings(1))
    [listed] = bucket.store.list("movielens/ratings")

    class Response:
        meta = {"e_tag": f'"{listed.etag}"', "size": listed.size}  # noqa: RUF012

        def stream(self, min_chunk_size: int) -> Iterator[bytes]:
            yield ratings(1).encode()[:-7]

    class Half:
        def get(self, key: str) -> Response:
            return Response()

    with pytest.raises(ObjectChangedError) as raised:
        list(type(bucket.store)(Half(), None, bucket.name).read(listed))
    assert str(raised.value) == f"{KEY}: received {listed.size - 7} of {listed.size} bytes"


def test_a_failing_store_loads_nothing_and_the_next_sync_recovers(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1))

    def fail(listed: ObjectVersion) -> None:
        raise ConnectionError("the network is gone")

    with pytest.raises(ConnectionError):
        sync(RATINGS, store=WatchedStore(bucket.store, fail))
    assert users(warehouse, "movielens_ratings") == []
    assert sync(RATINGS).rows_loaded == 1


# ---------------------------------------------------------------- crashes and wrong counts inside the transaction


class Crash(BaseException):
    """The process dies."""


class CrashingWarehouse(DuckDBWarehouse):
    """Dies before the n-th statement of the load transaction."""

    statements_left: float = float("inf")
    counted = 0
    inside = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            self.inside = True
            try:
                yield
                self._step()  # … and before COMMIT
            finally:
                self.inside = False

    def execute(self, statement: str, parameters: tuple = ()) -> list[tuple]:
        if self.inside:
            self._step()
        return super().execute(statement, parameters)

    def _step(self) -> None:
        self.counted += 1
        if self.counted > self.statements_left:
            raise Crash


def test_a_crash_at_any_statement_leaves_nothing_and_the_next_sync_loads_once(sync, bucket, tmp_path):
    bucket.put("movielens/ratings-a.csv", ratings(1))
    with DuckDBWarehouse(tmp_path / "crash.duckdb") as first:
        sync(RATINGS, into=first)
        before = state(first)
    bucket.put("movielens/ratings-a.csv", with_faults(3, 2))
    bucket.put("movielens/ratings-b.csv", ratings(9))
    point, crashes = 0, 0
    while True:
        with CrashingWarehouse(tmp_path / "crash.duckdb") as warehouse:
            warehouse.statements_left = point
            try:
                sync(RATINGS, into=warehouse)
            except Crash:
                crashes += 1
                warehouse.statements_left = float("inf")
                assert state(warehouse) == before, f"crash before statement {point}"
            else:
                break
        point += 1
    assert crashes >= 11  # lock, ledger, two inserts, rejects, two supersessions, two ledger rows, counter, commit
    with DuckDBWarehouse(tmp_path / "crash.duckdb") as last:
        assert users(last) == [1, 2, 3, 9]
        assert users(last, "movielens_ratings") == [1, 1, 2, 3, 9]
        assert last.counts(RATINGS) == Counts(0, 4, 4, 2, 2)
        assert [(load.load_id, load.is_current) for load in last.loads(RATINGS)] == [(1, False), (2, True), (3, True)]
        assert sync(RATINGS, into=last).loads == []


class LosingWarehouse(DuckDBWarehouse):
    """Silently loses one row of each object that has more than one."""

    def insert_records(self, dataset, staged, without=None):
        counts = super().insert_records(dataset, staged)
        for load_id in [load_id for load_id, rows in counts.items() if rows > 1]:
            self.execute(
                f"delete from raw.{dataset.table} where rowid = "
                f"(select max(rowid) from raw.{dataset.table} where _load_id = {load_id})"
            )
            counts[load_id] -= 1
        return counts


def test_a_row_lost_by_the_loader_refuses_the_object(sync, bucket, tmp_path):
    bucket.put("movielens/ratings-a.csv", with_faults(3, 1))
    bucket.put("movielens/ratings-b.csv", ratings(9))
    with LosingWarehouse(tmp_path / "losing.duckdb") as warehouse:
        report = sync(RATINGS, into=warehouse)
        assert [(each.listed.key, each.reason) for each in report.refused] == [
            (
                "movielens/ratings-a.csv",
                "4 records in, but 2 would be loaded and 1 rejected; nothing was loaded. This is a bug in the "
                "loader: please report it with the file",
            )
        ]
        assert users(warehouse, "movielens_ratings") == [9]
        assert warehouse.counts(RATINGS) == Counts(0, 1, 1, 0, 0)


def test_a_row_loaded_twice_refuses_the_object(sync, bucket, tmp_path):
    class DoublingWarehouse(DuckDBWarehouse):
        def insert_records(self, dataset, staged, without=None):
            super().insert_records(dataset, staged)
            return super().insert_records(dataset, staged)

    bucket.put(KEY, ratings(1, 2))
    with DoublingWarehouse(tmp_path / "doubling.duckdb") as warehouse:
        assert len(sync(RATINGS, into=warehouse).refused) == 1
        assert users(warehouse, "movielens_ratings") == []


class ChokingWarehouse(DuckDBWarehouse):
    """Fails on objects that contain a certain user, as a warehouse's CSV reader might."""

    def insert_records(self, dataset, staged, without=None):
        for each in staged.values():
            if b"\n13," in each.file.path.read_bytes():
                self.execute("select cast('no number' as integer)")
        return super().insert_records(dataset, staged)


def test_an_object_the_warehouse_cannot_read_is_found_in_its_batch_and_refused(sync, bucket, tmp_path):
    for number in range(8, 17):
        bucket.put(f"movielens/ratings-{number:02}.csv", ratings(number))
    with ChokingWarehouse(tmp_path / "choking.duckdb") as warehouse:
        report = sync(RATINGS, into=warehouse)
        [refused] = report.refused
        assert refused.listed.key == "movielens/ratings-13.csv"
        assert refused.reason.startswith(
            "the warehouse cannot read the file: Conversion Error: Could not convert string"
        )
        assert users(warehouse, "movielens_ratings") == [8, 9, 10, 11, 12, 14, 15, 16]
        assert [load.load_id for load in warehouse.loads(RATINGS)] == list(range(1, 9))
        assert warehouse.counts(RATINGS) == Counts(0, 8, 8, 0, 0)


def test_two_datasets_share_a_warehouse(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1, 2))
    bucket.put("movielens/movies.csv", movies(1))
    bucket.put("movielens/links.csv", "movieId,imdbId,tmdbId\n1,0114709,862\n2,0113497,\n3,113228,15602\n")
    for dataset in (RATINGS, MOVIES, LINKS):
        assert [load.load_id for load in sync(dataset).loads] == [1]
    bucket.put("movielens/movies.csv", movies(2))
    sync(MOVIES)
    assert warehouse.counts(RATINGS) == Counts(0, 2, 2, 0, 0)
    assert film_numbers(warehouse) == [2]
    assert warehouse.execute("select movie_id, imdb_id, tmdb_id from raw.movielens_links_current order by 1") == [
        (1, "0114709", 862), (2, "0113497", None)
    ]  # fmt: skip
    assert [row["reason"] for row in warehouse.rejected_rows()] == ["imdb_id '113228' does not match [0-9]{7,8}"]


def test_an_older_file_never_replaces_one_that_was_uploaded_again(sync, bucket, warehouse):
    put_at(bucket, "movielens/movies.csv", movies(1), 1)
    sync(MOVIES)
    put_at(bucket, "movielens/movies-old.csv", movies(2), 2)
    put_at(bucket, "movielens/movies.csv", movies(1), 3)  # the same bytes again, later
    assert sync(MOVIES).loads == []
    bucket.delete("movielens/movies.csv")
    assert sync(MOVIES).loads == []
    assert film_numbers(warehouse) == [1]


@pytest.mark.parametrize(
    ("dataset", "keys", "content"),
    [(RATINGS, (KEY, KEY), ratings), (MOVIES, ("movielens/movies-a.csv", "movielens/movies-b.csv"), movies)],
)
def test_an_overtaken_run_lists_again(sync, bucket, warehouse, dataset, keys, content):
    bucket.put(keys[0], content(1))

    def overtake(_: ObjectVersion) -> None:
        if not overtaken:
            overtaken.append(True)
            bucket.put(keys[1], content(2))
            sync(dataset)

    overtaken: list[bool] = []

    class OvertakenStore(WatchedStore):
        def read(self, listed):
            blocks = list(super().read(listed))  # read the listed version, then let the other run load
            overtake(listed)
            return iter(blocks)

    report = sync(dataset, store=OvertakenStore(bucket.store))
    assert [load.load_id for load in warehouse.loads(dataset)] == [1]
    assert (report.loads, report.refused) == ([], [])
    column = dataset.columns[0].name
    assert warehouse.execute(f"select {column} from raw.{dataset.table}_current") == [(2,)]


def test_nothing_is_left_in_the_work_folder(sync, bucket, tmp_path):
    bucket.put("movielens/ratings-a.csv", HEADER + '1,"2",3.0,4\n')
    bucket.put("movielens/ratings-b.csv", "")
    sync(RATINGS)
    assert list((tmp_path / "work").iterdir()) == []
