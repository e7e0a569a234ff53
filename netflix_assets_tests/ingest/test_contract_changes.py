"""Contract changes for a loaded table, and files that would leave the table empty."""

from decimal import Decimal

import pytest

from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse
from netflix_assets_tests.conftest import make_column, make_dataset


def reviews(*columns, mode="append"):
    return make_dataset(make_column("id", "integer"), *columns, name="reviews", mode=mode)


def test_a_new_column_is_null_for_rows_loaded_earlier(sync, bucket, warehouse):
    bucket.put("shop/reviews-1.csv", "id\n1\n")
    sync(reviews())
    bucket.put("shop/reviews-2.csv", "id,lang\n2,en\n")
    sync(reviews(make_column("lang", nullable=True)))
    found = warehouse.execute("select id, lang from raw.shop_reviews_current order by id")
    assert found == [(1, None), (2, "en")]


def test_a_larger_precision_keeps_every_value(sync, bucket, warehouse):
    bucket.put("shop/reviews-1.csv", "id,stars\n1,4.5\n")
    sync(reviews(make_column("stars", "decimal(2,1)")))
    bucket.put("shop/reviews-2.csv", "id,stars\n2,42.5\n")
    assert sync(reviews(make_column("stars", "decimal(3,1)"))).rows_loaded == 1
    found = warehouse.execute("select id, stars from raw.shop_reviews_current order by id")
    assert found == [(1, Decimal("4.5")), (2, Decimal("42.5"))]


def test_a_larger_scale_keeps_every_value(sync, bucket, warehouse):
    if isinstance(warehouse, SnowflakeWarehouse):
        pytest.skip("Snowflake cannot change a scale in place; the run says so, and `rebuild` reloads the dataset")
    bucket.put("shop/reviews-1.csv", "id,stars\n1,4.5\n")
    sync(reviews(make_column("stars", "decimal(2,1)")))
    bucket.put("shop/reviews-2.csv", "id,stars\n2,4.25\n")
    report = sync(reviews(make_column("stars", "decimal(3,2)")))
    assert report.rows_loaded == 1
    found = warehouse.execute("select id, stars from raw.shop_reviews_current order by id")
    assert found == [(1, Decimal("4.50")), (2, Decimal("4.25"))]


@pytest.mark.parametrize(
    ("before", "after"), [("decimal(3,2)", "decimal(3,1)"), ("bigint", "integer"), ("integer", "text")]
)
def test_a_type_too_small_for_loaded_values_is_refused_until_a_rebuild(sync, bucket, warehouse, before, after):
    if isinstance(warehouse, SnowflakeWarehouse) and before == "bigint":
        pytest.skip("on Snowflake both are NUMBER(38, 0)")
    bucket.put("shop/reviews-1.csv", "id,stars\n1,4\n")
    sync(reviews(make_column("stars", before)))
    changed = reviews(make_column("stars", after))
    with pytest.raises(WarehouseError, match=r"column stars is .*netflix-assets rebuild shop/reviews"):
        sync(changed)

    warehouse.forget_dataset(changed)
    report = sync(changed)

    assert [(load.load_id, load.rows_loaded) for load in report.loads] == [(2, 1)]  # load ids continue
    assert warehouse.execute("select count(*) from raw.shop_reviews_current") == [(1,)]
    assert warehouse.counts(changed).unaccounted_loads == 0


@pytest.mark.parametrize("mode", ["append", "upsert", "overwrite"])
def test_a_file_without_a_valid_record_does_not_change_the_table(sync, bucket, warehouse, mode):
    bucket.put("shop/reviews.csv", "id\n1\n2\n")
    sync(reviews(mode=mode))
    bucket.put("shop/reviews.csv", "id\nx\ny\n")
    (refused,) = sync(reviews(mode=mode)).refused
    assert refused.reason == (
        "all 2 records violate the contract; keeping the rows loaded earlier. First: line 2: "
        "id 'x' is not an integer like 42"
    )
    assert warehouse.execute("select id from raw.shop_reviews_current order by id") == [(1,), (2,)]


def test_a_refusal_is_history_once_the_object_is_fixed(sync, bucket, warehouse):
    bucket.put("shop/reviews.csv", "number\n1\n")
    assert len(sync(reviews()).refused) == 1
    bucket.put("shop/reviews.csv", "id\n1\n")
    sync(reviews())
    assert warehouse.refused_objects(reviews()) == []
