"""What is about to be published is counted against the ledger and against its build."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.builds import Build, Builds, NodeRun
from netflix_assets.warehouse.publishing import OneRowPer, Publication, PublishingError, ServedTable, objects_of
from netflix_assets.warehouse.relations import OPS_TABLES, ddl, ops_ddl
from netflix_assets.warehouse.served_counts import checked_row_counts, counted_keys

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
BUILD = Build("models-1", "run-1", "", NOON, NOON + timedelta(seconds=9), inputs={"shop/orders": 2})
ORDERS = ServedTable(
    "core", "fct_orders", per=OneRowPer("shop/orders", "shop_orders", ("customer_id", "order_id"), "amount > 0")
)
TOTALS = ServedTable("marts", "mart_totals")
MARTS = (TOTALS, ORDERS)
ADVICE = "netflix-assets run --full-refresh"


@pytest.fixture
def built(warehouse: Warehouse) -> Warehouse:
    """Two loads with 6 rows and 4 keys that count, a later load that the build did not read, and what was built."""
    for schema in ("raw", "ops", "core", "marts"):
        warehouse.make_schema(schema)
    for statement in ops_ddl(warehouse.columns(("ops",)), OPS_TABLES):
        warehouse.execute(statement)
    columns = {"customer_id": "integer", "order_id": "integer", "amount": "integer", "_load_id": "integer"}
    warehouse.execute(ddl("raw.shop_orders", columns))
    warehouse.execute(
        "insert into raw.shop_orders values (1, 1, 5, 1), (1, 2, 5, 1), (2, 1, 5, 1), (2, 2, 0, 1), (1, 1, 6, 2), "
        "(3, 1, 5, 2), (4, 1, 5, 3)"
    )
    for load_id, rows in ((1, 4), (2, 2), (3, 1)):
        load = {
            "dataset": "shop/orders", "object_key": f"{load_id}.csv", "etag": "e", "size_bytes": 1, "load_id": load_id,
            "rows_loaded": rows, "is_current": True,
        }  # fmt: skip
        warehouse.insert_rows("loads", [load])
    for mart, rows in ((ORDERS, 4), (TOTALS, 2)):
        warehouse.execute(ddl(mart.full_name, {"number": "integer"}))
        warehouse.execute(f"insert into {mart.full_name} values {', '.join(f'({at})' for at in range(rows))}")
    builds = Builds(warehouse)
    builds.prepare()
    builds.finish(BUILD, [node(ORDERS, 4), node(TOTALS, 2)], [], {})
    return warehouse


def node(mart: ServedTable, rows: int, **changes: object) -> NodeRun:
    fields = {
        "node_id": mart.name, "resource_type": "model", "layer": mart.schema, "name": mart.name,
        "materialization": "table", "status": "success", "started_at": NOON, "seconds": 1, "message": None,
        "row_count": rows, **changes,
    }  # fmt: skip
    return NodeRun(**fields)


def counted(warehouse: Warehouse) -> dict[str, int]:
    return checked_row_counts(warehouse, BUILD, objects_of(BUILD, warehouse), MARTS)


def test_tables_as_built_pass(built: Warehouse) -> None:
    assert counted(built) == {"core.fct_orders": 4, "marts.mart_totals": 2}


def empty(warehouse: Warehouse) -> None:
    """As `dbt build --empty` leaves the tables: what dbt reports agrees with them."""
    for mart in MARTS:
        warehouse.execute(f"delete from {mart.full_name}")
    later = NOON + timedelta(seconds=5)
    nodes = [node(mart, 0, started_at=later) for mart in MARTS]
    Builds(warehouse).finish(BUILD, nodes, [], {})


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (empty, "core.fct_orders has 0 rows, but raw.shop_orders has 4 distinct (customer_id, order_id)"),
        (lambda it: it.execute("delete from core.fct_orders where number < 2"), "core.fct_orders has 2 rows, but"),
        (
            lambda it: it.execute("insert into core.fct_orders select * from core.fct_orders"),
            "core.fct_orders has 8 rows, but",
        ),
        (
            lambda it: it.execute("delete from marts.mart_totals where number = 0"),
            "marts.mart_totals has 1 row, but its build left 2",
        ),
        (
            lambda it: it.execute("insert into marts.mart_totals select * from marts.mart_totals"),
            "marts.mart_totals has 4 rows, but its build left 2",
        ),
        (
            lambda it: it.execute("delete from raw.shop_orders where order_id = 2"),
            "raw.shop_orders has 4 rows, but the ledger has 6",
        ),
        (
            lambda it: it.execute("insert into raw.shop_orders select * from raw.shop_orders where _load_id = 2"),
            "raw.shop_orders has 8 rows, but the ledger has 6",
        ),
    ],
    ids=["all empty", "half a fact", "a doubled fact", "half a mart", "a doubled mart", "lost raw", "doubled raw"],
)
def test_what_was_lost_or_doubled_is_not_published(
    built: Warehouse, plant: Callable[[Warehouse], object], reason: str
) -> None:
    plant(built)
    with pytest.raises(PublishingError) as error:
        counted(built)
    assert reason in str(error.value)
    assert ADVICE in str(error.value)
    differs = "core.fct_orders has" in str(error.value)
    assert (
        "keeps one row per other columns than the key in the contract of shop/orders" in str(error.value)
    ) == differs


def test_many_differences_are_counted_and_not_all_listed(built: Warehouse) -> None:
    marts = [ServedTable("marts", f"mart_{at}") for at in range(5)]
    for mart in marts:
        built.execute(ddl(mart.full_name, {"number": "integer"}))
    Builds(built).finish(BUILD, [node(mart, 1) for mart in marts], [], {})
    with pytest.raises(PublishingError, match=r"mart_2 has 0 rows, but its build left 1; and 2 more\."):
        checked_row_counts(built, BUILD, [], marts)


def published(warehouse: Warehouse, *served: ServedTable, rows: int = 4) -> Publication:
    """The version that shows what BUILD made, as it is read back."""
    made = Publication(
        "version", "run-1", "models-1", "models-1", NOON, NOON, {"core.fct_orders": rows, "marts.mart_totals": 2},
        counted=counted_keys(served, objects_of(BUILD, warehouse)),
    )  # fmt: skip
    return Publication.from_json(json.loads(json.dumps(made.as_json())))


def test_keys_are_not_counted_again_where_the_same_loads_are_read(built: Warehouse) -> None:
    objects, newest = objects_of(BUILD, built), published(built, *MARTS)
    built.execute("update raw.shop_orders set customer_id = 1, order_id = 1")
    with pytest.raises(PublishingError, match=r"raw\.shop_orders has 1 distinct"):
        checked_row_counts(built, BUILD, objects, MARTS)
    assert checked_row_counts(built, BUILD, objects, MARTS, newest)["core.fct_orders"] == 4


def test_all_keys_are_counted_before_a_table_is_refused(built: Warehouse) -> None:
    """Raw was changed by hand: the message says what is in it, and the full refresh that it advises is published."""
    objects, newest = objects_of(BUILD, built), published(built, *MARTS)
    built.execute("update raw.shop_orders set customer_id = 1 where customer_id = 2 and order_id = 1")
    built.execute("delete from core.fct_orders where number < 2")
    with pytest.raises(PublishingError, match=r"core\.fct_orders has 2 rows, but raw\.shop_orders has 3 distinct"):
        checked_row_counts(built, BUILD, objects, MARTS, newest)
    built.execute("insert into core.fct_orders values (0)")
    Builds(built).finish(BUILD, [node(ORDERS, 3, started_at=NOON + timedelta(seconds=5))], [], {})
    assert checked_row_counts(built, BUILD, objects, MARTS, newest)["core.fct_orders"] == 3


LATER = replace(BUILD, inputs={"shop/orders": 4})


@pytest.fixture
def grown(built: Warehouse) -> Warehouse:
    """A further load with a key that comes twice, one that an earlier load has, one without a part, one left out."""
    built.execute(
        "insert into raw.shop_orders values (5, 1, 5, 4), (5, 1, 6, 4), (1, 2, 9, 4), (null, 1, 9, 4), (6, 6, 0, 4)"
    )
    load = {
        "dataset": "shop/orders", "object_key": "4.csv", "etag": "e", "size_bytes": 1, "load_id": 4, "rows_loaded": 5,
        "is_current": True,
    }  # fmt: skip
    built.insert_rows("loads", [load])
    built.execute("insert into core.fct_orders values (4), (5), (6)")  # (4, 1) of the third load, (5, 1), (null, 1)
    Builds(built).finish(LATER, [node(ORDERS, 7, started_at=NOON + timedelta(seconds=5))], [], {})
    return built


def later_counts(warehouse: Warehouse, newest: Publication) -> dict[str, int]:
    return checked_row_counts(warehouse, LATER, objects_of(LATER, warehouse), MARTS, newest=newest)


def test_where_loads_were_only_added_the_keys_that_came_with_them_are_counted(grown: Warehouse) -> None:
    newest = published(grown, *MARTS)
    grown.execute("delete from core.fct_orders where number = 6")
    with pytest.raises(PublishingError, match=r"core\.fct_orders has 6 rows, but raw\.shop_orders has 7 distinct"):
        later_counts(grown, newest)
    grown.execute("insert into core.fct_orders values (6)")
    # One key fewer in as many rows that were counted before: a count of all keys would see it.
    grown.execute("update raw.shop_orders set customer_id = 3 where customer_id = 2 and order_id = 1")
    assert later_counts(grown, newest)["core.fct_orders"] == 7


def replace_a_load(warehouse: Warehouse) -> None:
    warehouse.execute("update ops.loads set is_current = false, superseded_by = 2 where load_id = 1")
    warehouse.execute("delete from raw.shop_orders where _load_id = 1")


def erase_a_person(warehouse: Warehouse) -> None:
    warehouse.execute("delete from raw.shop_orders where customer_id = 2 and order_id = 1")
    warehouse.execute("update ops.loads set rows_loaded = 3 where load_id = 1")


def leave_rows(warehouse: Warehouse, rows: int, second: int) -> None:
    """As a later build leaves so many rows."""
    warehouse.execute("delete from core.fct_orders")
    warehouse.execute(f"insert into core.fct_orders values {', '.join(f'({at})' for at in range(rows))}")
    Builds(warehouse).finish(LATER, [node(ORDERS, rows, started_at=NOON + timedelta(seconds=second))], [], {})


@pytest.mark.parametrize(
    ("counted_before", "rows_before", "change", "keys", "sum_of_both"),
    [
        pytest.param(ORDERS.per, 4, replace_a_load, 6, 8, id="a replaced load"),
        pytest.param(ORDERS.per, 4, erase_a_person, 6, 7, id="an erased person"),
        pytest.param(replace(ORDERS.per, columns=("order_id",)), 2, lambda _: None, 7, 5, id="other columns"),
        pytest.param(replace(ORDERS.per, where="true"), 5, lambda _: None, 7, 8, id="another condition"),
    ],
)
def test_all_keys_are_counted_where_more_has_changed(
    grown: Warehouse,
    counted_before: OneRowPer,
    rows_before: int,
    change: Callable[[Warehouse], None],
    keys: int,
    sum_of_both: int,
) -> None:
    newest = published(grown, replace(ORDERS, per=counted_before), rows=rows_before)
    change(grown)
    leave_rows(grown, sum_of_both, 6)  # what was counted before and the new keys together, which is wrong now
    with pytest.raises(PublishingError, match=f"has {sum_of_both} rows, but raw.shop_orders has {keys} distinct"):
        later_counts(grown, newest)
    leave_rows(grown, keys, 7)
    assert later_counts(grown, newest)["core.fct_orders"] == keys
