"""Objects deleted from the bucket: their rows stay unless the contract says to remove them."""

import pytest

from netflix_assets.ingest.replay import replay_rejects
from netflix_assets.warehouse.loads import Counts
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_replay import TEN
from netflix_assets_tests.ingest.test_sync import KEY, RATINGS, ratings, users

REMOVING = RATINGS.model_copy(update={"deleted_objects": "remove"})


def test_rows_of_deleted_objects_are_removed_if_the_contract_says_so(sync, bucket, warehouse, tmp_path):
    bucket.put("movielens/ratings-a.csv", ratings(1, 2) + "3,103,7.5,1600000003\n")
    bucket.put("movielens/ratings-b.csv", ratings(4))
    sync(REMOVING)
    replay_rejects(TEN, warehouse, "replay", tmp_path)
    assert users(warehouse) == [1, 2, 3, 4]
    bucket.delete("movielens/ratings-a.csv")
    report = sync(REMOVING)
    assert ([load.load_id for load in report.removed], report.deleted) == ([1], [])
    assert report.warnings == ["movielens/ratings-a.csv was deleted from the bucket; removed its 2 rows"]
    assert users(warehouse) == [4]
    assert users(warehouse, "movielens_ratings") == [1, 2, 3, 4]  # raw is a log
    assert warehouse.counts(REMOVING) == Counts(0, 1, 1, 0, 0)
    removed = warehouse.execute("select load_id, superseded_by from ops.loads where removed_at is not null order by 1")
    assert removed == [(1, None), (3, None)]
    assert sync(REMOVING).removed == ()

    bucket.put("movielens/ratings-a.csv", ratings(1, 2) + "3,103,7.5,1600000003\n")  # the same version comes back
    assert [load.load_id for load in sync(REMOVING).loads] == [4]
    assert users(warehouse) == [1, 2, 4]


def test_an_empty_listing_removes_no_rows(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1))
    sync(REMOVING)
    bucket.delete(KEY)
    report = sync(REMOVING)
    assert ([load.load_id for load in report.deleted], report.removed) == ([1], ())
    assert "no objects left under movielens/ratings; keeping the rows" in report.warnings[0]
    assert users(warehouse) == [1]


def test_an_overwrite_dataset_cannot_remove_deleted_objects():
    with pytest.raises(ValueError, match="deleted_objects: remove does not fit mode: overwrite"):
        make_dataset(make_column("id"), mode="overwrite", deleted_objects="remove")
