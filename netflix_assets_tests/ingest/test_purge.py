"""Superseded loads that the contract no longer keeps: their rows go, the ledger and everything built stay."""

import json
from datetime import UTC, datetime

import pytest

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.replay import replay_rejects
from netflix_assets.operations.status import dataset_status
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds
from netflix_assets.warehouse.loads import Counts
from netflix_assets.warehouse.purging import last_applied_build, purge_loads
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_replay import EIGHT, FAULTY
from netflix_assets_tests.ingest.test_sync import KEY, MOVIES, RATINGS, ratings, users

KEEP_ONE = RATINGS.model_copy(update={"keep_versions": 1})
KEEP_TWO = RATINGS.model_copy(update={"keep_versions": 2})


def build(warehouse: Warehouse, dataset: Dataset, **changes: object) -> None:
    """Record a complete, passing build of all models that read all loads of the dataset so far."""
    number = len(Builds(warehouse).all()) if ("ops", "builds") in warehouse.columns(("ops",)) else 0
    Builds(warehouse).prepare()
    now = datetime.now(UTC)
    record = {
        "invocation_id": f"build-{number}", "run_id": "run", "schema_prefix": "", "started_at": now,
        "finished_at": now, "is_whole": True, "has_passed": True, "inputs": warehouse.last_loads(), **changes,
    }  # fmt: skip
    Builds(warehouse).finish(Build(**record), [], [], {})


def purge(warehouse: Warehouse, dataset: Dataset) -> list[int]:
    applied = last_applied_build(warehouse)
    return [load.load_id for load in purge_loads(dataset, warehouse, applied)] if applied else []


def versions(sync, bucket, count: int) -> None:
    for number in range(1, count + 1):
        bucket.put(KEY, ratings(*range(1, number + 1)))
        sync(RATINGS)


def test_versions_beyond_those_to_keep_are_purged_once_they_are_applied(sync, bucket, warehouse):
    versions(sync, bucket, 4)
    assert purge(warehouse, KEEP_TWO) == []  # nothing was built
    build(warehouse, RATINGS)
    assert purge(warehouse, RATINGS) == []  # all are kept unless the contract says otherwise
    assert purge(warehouse, KEEP_TWO) == [1, 2]
    assert purge(warehouse, KEEP_TWO) == []
    assert [load for (load,) in warehouse.execute("select distinct _load_id from raw.movielens_ratings")] == [3, 4]
    assert users(warehouse) == [1, 2, 3, 4]
    ledger = warehouse.execute("select load_id, rows_loaded, purged_at is null from ops.loads order by 1")
    assert ledger == [(1, 1, False), (2, 2, False), (3, 3, True), (4, 4, True)]
    assert warehouse.counts(RATINGS) == Counts(0, 4, 4, 0, 0)


def test_a_load_that_the_last_build_still_read_stays(sync, bucket, warehouse):
    versions(sync, bucket, 2)
    build(warehouse, RATINGS)
    bucket.put(KEY, ratings(9))
    sync(RATINGS)
    assert purge(warehouse, KEEP_ONE) == [1]  # not 2: the tables were built from it
    build(warehouse, RATINGS, has_passed=False)
    assert purge(warehouse, KEEP_ONE) == []
    build(warehouse, RATINGS, is_whole=False)
    assert purge(warehouse, KEEP_ONE) == []
    build(warehouse, RATINGS)
    assert purge(warehouse, KEEP_ONE) == [2]


def test_a_retried_build_read_what_its_first_attempt_read(sync, bucket, warehouse):
    versions(sync, bucket, 1)
    build(warehouse, RATINGS, has_passed=False, invocation_id="first")
    bucket.put(KEY, ratings(9))
    sync(RATINGS)
    build(warehouse, RATINGS, retry_of="first")
    assert purge(warehouse, KEEP_ONE) == []


def test_content_that_returns_after_its_version_was_purged_is_loaded_again(sync, bucket, warehouse):
    for content in (ratings(1), ratings(2)):
        bucket.put(KEY, content)
        sync(RATINGS)
    build(warehouse, RATINGS)
    assert purge(warehouse, KEEP_ONE) == [1]
    assert sync(RATINGS).loads == []  # nothing is loaded twice
    bucket.put(KEY, ratings(1))
    assert [load.load_id for load in sync(RATINGS).loads] == [3]
    assert users(warehouse) == [1]
    assert dataset_status(RATINGS, warehouse)["versions"] == 3


def test_rejects_and_replays_go_with_their_version(sync, bucket, warehouse, tmp_path):
    bucket.put(KEY, FAULTY)
    sync(RATINGS)
    assert len(replay_rejects(EIGHT, warehouse, "replay-1", tmp_path)) == 1
    bucket.put(KEY, ratings(3) + "x,103,4.5,3\n")
    sync(RATINGS)
    build(warehouse, RATINGS)
    assert purge(warehouse, KEEP_ONE) == [1, 2]
    assert users(warehouse, "movielens_ratings") == [3]
    assert warehouse.execute("select distinct load_id from ops.rejected_rows") == [(3,)]
    assert warehouse.counts(RATINGS) == Counts(0, 1, 1, 1, 1)


def test_versions_of_a_whole_table_count_across_objects(sync, bucket, warehouse):
    for number in range(3):
        bucket.put(f"movielens/movies-{number}.csv", f"movieId,title,genres\n{number + 1},Film,Drama\n")
        sync(MOVIES)
    build(warehouse, MOVIES)
    assert purge(warehouse, MOVIES.model_copy(update={"keep_versions": 1})) == [1, 2]
    assert warehouse.execute("select movie_id from raw.movielens_movies") == [(3,)]


def test_removed_objects_are_purged_after_a_build_without_them(sync, bucket, warehouse):
    things = make_dataset(make_column("id", "integer"), deleted_objects="remove", keep_versions=1)
    for name in ("a", "b"):
        bucket.put(f"shop/things-{name}.csv", "id\n1\n")
    sync(things)
    bucket.delete("shop/things-a.csv")
    sync(things)
    build(warehouse, things)
    assert purge(warehouse, things) == []  # it is the newest version of its object
    bucket.put("shop/things-a.csv", "id\n2\n")
    sync(things)
    build(warehouse, things)
    assert purge(warehouse, things) == [1]


def test_builds_of_earlier_versions_have_no_inputs(sync, bucket, warehouse):
    versions(sync, bucket, 2)
    build(warehouse, RATINGS)
    warehouse.execute("update ops.builds set inputs = ?", (json.dumps(None),))
    assert purge(warehouse, KEEP_ONE) == []


@pytest.mark.parametrize("value", [0, -1])
def test_at_least_the_current_version_is_kept(value):
    with pytest.raises(ValueError, match="greater than 0"):
        make_dataset(make_column("id", "integer"), keep_versions=value)
