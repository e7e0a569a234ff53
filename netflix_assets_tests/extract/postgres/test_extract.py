"""Extracts from a real PostgreSQL into a bucket, synced into a warehouse: what raw says equals the table."""

from collections.abc import Callable
from typing import Any

import pytest

from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.errors import SourceUnavailableError
from netflix_assets.ingest.sync import SyncReport
from netflix_assets.warehouse.base import Warehouse
from netflix_assets_tests.extract.postgres.database import CREATE, LATEST, Database, dataset

FILL = "insert into orders select i, i / 4.0, 'note ' || i from generate_series(1, 1000) i"


@pytest.fixture
def here(warehouse: Warehouse, sync: Callable[..., SyncReport]) -> Callable[..., list[tuple[Any, ...]]]:
    """Sync what has landed and return the current rows."""

    def current(one: Dataset | None = None, query: str = LATEST) -> list[tuple[Any, ...]]:
        report = sync(one or dataset())
        assert not report.refused, report.refused
        return list(warehouse.query(query)[1])

    return current


def there(database: Database) -> list[tuple[Any, ...]]:
    return database.rows("select order_id, amount, nullif(note, '') from orders order by order_id")


def test_changes(database: Database, here: Callable[..., Any]) -> None:
    database.execute(CREATE, FILL)
    first = database.extract_one()
    assert (first.whole, first.state.rows, first.state.changed) == ("the first extract", 1_000, 1_000)
    assert here() == there(database)

    assert database.extract_one().keys == ()  # nothing new lands nothing

    database.execute(
        "update orders set note = null where order_id <= 3",
        "delete from orders where order_id between 10 and 14",
        "insert into orders values (2000, 1, 'with \"quotes\", a comma' || chr(10) || 'and a line end')",
    )
    second = database.extract_one()
    assert (second.whole, second.state.changed, second.state.deleted, second.state.rows) == ("", 4, 5, 996)
    assert here() == there(database)

    database.execute("insert into orders values (10, 5, 'the key again')")
    assert database.extract_one().state.changed == 1
    assert here() == there(database)


def test_late_commit(database: Database, here: Callable[..., Any]) -> None:
    database.execute(CREATE, FILL)
    with database.connect() as slow:
        slow.execute("insert into orders values (5001, 1, 'opened before, committed after')")
        slow.execute("savepoint a")
        slow.execute("insert into orders values (5002, 1, 'under a savepoint')")
        slow.execute("release a")
        database.execute("insert into orders values (5003, 1, 'committed before')")
        database.extract_one()
        database.execute("insert into orders values (5004, 1, 'later')")
        assert {row[0] for row in there(database)} >= {5003, 5004}
        assert database.extract_one().state.open_transactions >= 1
        slow.commit()
    database.extract_one()
    assert here() == there(database)
    assert {5001, 5002, 5003, 5004} <= {row[0] for row in here()}


def test_mass_deletion_is_refused_until_it_is_accepted(database: Database, here: Callable[..., Any]) -> None:
    database.execute(CREATE, FILL)
    database.extract_one()
    before = here()
    database.execute("truncate orders", "insert into orders values (1, 1, 'left')")
    assert "999 of 1,000 rows are gone" in database.refused()
    assert here() == before
    accepted = database.extract_one(accepted=["shop/orders"])
    assert accepted.state.deleted == 999
    assert here() == there(database)


def test_added_column_reads_the_table_again(database: Database, here: Callable[..., Any]) -> None:
    database.execute(CREATE, FILL)
    database.extract_one()
    database.execute("alter table orders add column channel text default 'web'")  # writes no row
    told = database.extract_one()
    assert told.keys == ()
    assert any("channel" in news for news in told.state.news)
    columns = [*dataset().columns[:3], {"name": "channel", "type": "text", "description": "Channel."}]
    again = database.extract_one(dataset(columns=columns))
    assert again.whole == "the columns have changed"
    assert again.state.changed == 1_000


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("alter table orders drop column note", "no longer has the column note"),
        ("alter table orders rename column note to remark", "It has remark, which the contract does not"),
        ("alter table orders alter column amount type text using amount::text", "column amount is text"),
        ("alter table orders alter column amount type numeric(10,1)", "was numeric(12,2) and is numeric(10,1) now"),
    ],
)
def test_incompatible_schema_is_refused(
    database: Database, here: Callable[..., Any], statement: str, reason: str
) -> None:
    database.execute(CREATE, FILL)
    database.extract_one()
    before = here()
    database.execute(statement)
    assert reason in database.refused()
    assert here() == before


def test_second_extract_at_once_is_turned_away(database: Database) -> None:
    database.execute(CREATE, FILL)

    def extract_meanwhile(outcome: object) -> None:
        with pytest.raises(SourceUnavailableError, match="another extract is running"):
            database.extract()

    database.extract(report=extract_meanwhile)


def test_snapshot(database: Database, here: Callable[..., Any]) -> None:
    whole = dataset(mode="overwrite", extract={"mode": "snapshot"})
    query = "select order_id, amount, note from raw.shop_orders_current order by order_id"
    database.execute(CREATE, FILL)
    database.extract_one(whole)
    assert here(whole, query) == there(database)
    assert database.extract_one(whole).keys == ()  # the same bytes
    database.execute("update orders set note = 'x' where order_id = 7", "delete from orders where order_id = 8")
    assert database.extract_one(whole).state.rows == 999
    assert here(whole, query) == there(database)
    database.execute("delete from orders")
    assert "are gone" in database.refused(whole)
    database.extract_one(whole, accepted=["shop/orders"])
    assert here(whole, query) == []


@pytest.mark.parametrize(
    "options", [{}, {"mode": "overwrite", "extract": {"mode": "snapshot"}}], ids=["changes", "all"]
)
def test_an_empty_table_lands_once_so_that_nobody_waits_for_it(
    database: Database, here: Callable[..., Any], options: dict[str, Any]
) -> None:
    database.execute(CREATE)
    one, query = dataset(**options), "select order_id from raw.shop_orders_current"
    assert len(database.extract_one(one).keys) == 1
    assert here(one, query) == []
    assert database.extract_one(one).keys == ()
    database.execute("insert into orders values (1, 1, 'x')")
    assert len(database.extract_one(one).keys) == 1
    assert here(one, query) == [(1,)]
