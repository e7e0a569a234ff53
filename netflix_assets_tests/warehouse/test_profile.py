"""Column profiles of each load."""

import pytest

from netflix_assets.ingest.replay import replay_rejects
from netflix_assets.warehouse import base
from netflix_assets.warehouse.profile import ColumnProfile
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_replay import TEN
from netflix_assets_tests.ingest.test_sync import KEY, RATINGS, ratings, with_faults

EVERY = make_dataset(
    make_column("id", "integer"),
    make_column("price", "decimal(6,2)", nullable=True),
    make_column("bought_on", "date", nullable=True),
    make_column("label", "text", nullable=True),
    make_column("email", "text", nullable=True, showable=False),
    make_column("salary", "bigint", nullable=True, showable=False),
)
HEADER = "id,price,bought_on,label,email,salary\n"


def test_every_column_of_a_load_is_profiled(sync, bucket, warehouse):
    rows = [f"{number},{number}.50,2024-01-{number:02},l{number % 2},e{number},{number}\n" for number in range(1, 10)]
    bucket.put("shop/things.csv", HEADER + "".join(rows) + "10,,,,,\n" + "x,,,,,\n")
    sync(EVERY)
    assert warehouse.profiles(EVERY, [1]) == [
        ColumnProfile(1, "id", 10, 10, 0.0, 10, "1", "10", 5.5, 3.0, 5.5, 8.0),
        ColumnProfile(1, "price", 10, 10, pytest.approx(0.1), 9, "1.50", "9.50", 5.5, 3.25, 5.5, 7.75),
        ColumnProfile(
            1, "bought_on", 10, 10, pytest.approx(0.1), 9, "2024-01-01", "2024-01-09", None, None, None, None
        ),
        ColumnProfile(1, "label", 10, 10, pytest.approx(0.1), 2, "l0", "l1", None, None, None, None),
        ColumnProfile(1, "email", 10, 10, pytest.approx(0.1), 9, None, None, None, None, None, None),
        ColumnProfile(1, "salary", 10, 10, pytest.approx(0.1), 9, None, None, None, None, None, None),
    ]  # fmt: skip


def test_each_load_in_a_batch_has_a_profile_unless_it_has_no_rows(sync, bucket, warehouse):
    bucket.put("movielens/ratings-a.csv", ratings(1, 2))
    bucket.put("movielens/ratings-b.csv", with_faults(0, 3))
    bucket.put("movielens/ratings-c.csv", ratings(5, 6, 7))
    sync(RATINGS)
    bucket.put("movielens/ratings-a.csv", ratings(9))
    sync(RATINGS)
    profiles = {(each.load_id, each.column): each for each in warehouse.profiles(RATINGS, [1, 2, 3, 4])}
    assert list(profiles) == [(load, column.name) for load in (1, 3, 4) for column in RATINGS.columns]
    assert [(profiles[load, "user_id"].row_count, profiles[load, "user_id"].mean) for load in (1, 3, 4)] == [
        (2, 1.5), (3, 6.0), (1, 9.0)
    ]  # fmt: skip
    assert {each.load_id for each in warehouse.profiles(RATINGS, [1, 4])} == {1, 4}
    assert warehouse.profiles(RATINGS, []) == []


def test_quartiles_of_large_loads_come_from_a_sample(sync, bucket, warehouse, monkeypatch):
    monkeypatch.setattr(base, "SAMPLE_ROWS", 1_000)
    bucket.put("movielens/ratings-large.csv", ratings(*range(1, 10_001)))
    bucket.put("movielens/ratings-small.csv", ratings(*range(1, 101)))
    sync(RATINGS)
    large, small = (warehouse.profiles(RATINGS, [load_id])[0] for load_id in (1, 2))
    assert (large.row_count, large.min_value, large.max_value, large.mean) == (10_000, None, None, 5_000.5)
    assert large.sampled_rows == 1_000
    assert large.p50 == pytest.approx(5_000, rel=0.05)
    assert large.approx_distinct == pytest.approx(10_000, rel=0.1)
    assert (small.row_count, small.sampled_rows) == (100, 100)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("double", ["1.7e308", "1.7e308", "-1.7e308"]),
        ("decimal(38,0)", ["9" * 38, "9" * 38, "-" + "9" * 38]),
        ("bigint", [str(2**63 - 1), str(2**63 - 1), str(-(2**63))]),
        ("boolean", ["true", "false", "true"]),
        ("timestamp", ["9999-12-31 23:59:59", "0001-01-01 00:00:00", "2024-05-01 12:00:00"]),
        ("text", ["x" * 1_000_000, "'", "ü"]),
    ],
)
def test_no_extreme_value_fails_a_load(sync, bucket, warehouse, kind, values):
    longest = 1_000_000 if kind == "text" else None
    dataset = make_dataset(make_column("n", "integer"), make_column("v", kind, max_length=longest))
    bucket.put("shop/things.csv", "n,v\n" + "".join(f"{number},{value}\n" for number, value in enumerate(values)))
    assert [load.rows_loaded for load in sync(dataset).loads] == [3]
    [_, profile] = warehouse.profiles(dataset, [1])
    assert (profile.row_count, profile.null_share) == (3, 0.0)
    assert len(profile.max_value) <= 100


def test_replays_are_profiled_and_refused_objects_are_not(sync, bucket, warehouse, tmp_path):
    bucket.put("movielens/ratings-bad.csv", with_faults(1, 2_000))
    bucket.put(KEY, ratings(1) + "3,103,7.5,3\n")
    sync(RATINGS)
    replay_rejects(TEN, warehouse, "replay", tmp_path)
    assert warehouse.execute(
        "select load_id, cast(p50 as double) from ops.profiles where column_name = 'rating' order by 1"
    ) == [(2, 4.5), (3, 7.5)]  # load 1 belongs to the refused object
