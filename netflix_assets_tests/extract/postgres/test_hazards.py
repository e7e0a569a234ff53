"""What makes other extractors lose rows, one thing at a time; proof/test_extracts.py mixes them at random."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.errors import BusyError, SourceUnavailableError
from netflix_assets.extract.postgres import run as run_module
from netflix_assets.extract.postgres import session as session_module
from netflix_assets.extract.postgres.check import check_database
from netflix_assets.extract.postgres.run import Extracted, Refused
from netflix_assets.ingest.sync import SyncReport
from netflix_assets.warehouse.base import Warehouse
from netflix_assets_tests.extract.postgres.database import CREATE, LATEST, Database, dataset
from netflix_assets_tests.waiting import until

FILL = "insert into orders select i, i / 4.0, 'note ' || i from generate_series(1, 50) i"
WHOLE = dataset(mode="overwrite", extract={"mode": "snapshot"})

Compare = Callable[..., None]


@pytest.fixture
def compare(database: Database, warehouse: Warehouse, sync: Callable[..., SyncReport]) -> Compare:
    """Sync what has landed and compare it with the table."""

    def compare_rows(one: Dataset | None = None, query: str = LATEST) -> None:
        report = sync(one or dataset())
        assert not report.refused, report.refused
        assert not warehouse.query("select * from ops.rejected_rows")[1]
        there = database.rows("select order_id, amount, nullif(note::text, '') from orders order by order_id")
        assert list(warehouse.query(query)[1]) == there

    return compare_rows


class Killed(Exception):
    pass


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch, database: Database) -> Callable[..., None]:
    """An extract that ends where the state would be written."""

    def kill_extract(one: Dataset | None = None) -> None:
        def die(*arguments: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(run_module, "write_state", die)
            with pytest.raises(Killed):
                database.extract_one(one)

    return kill_extract


def test_row_that_only_a_killed_extract_has_seen(database: Database, compare: Compare, kill: Any) -> None:
    database.execute(CREATE, FILL)
    database.extract_one()
    database.execute("insert into orders values (999, 1, 'seen once')")
    kill()
    database.execute("delete from orders where order_id = 999")
    assert database.extract_one().state.deleted == 1
    compare()


def test_table_that_only_a_killed_snapshot_has_seen(database: Database, compare: Compare, kill: Any) -> None:
    query = "select order_id, amount, note from raw.shop_orders_current order by order_id"
    database.execute(CREATE, FILL)
    database.extract_one(WHOLE)
    database.execute("insert into orders values (999, 1, 'seen once')")
    kill(WHOLE)
    database.execute("delete from orders where order_id = 999")
    database.extract_one(WHOLE)
    compare(WHOLE, query)


@pytest.mark.parametrize(
    "statements",
    [
        # None of these writes a row, or writes it when the next extract looks.
        ["alter table orders drop column note", "alter table orders add column note text default 'another'"],
        ["alter table orders rename to old", "alter table staged rename to orders"],
        ["alter type colour rename value 'red' to 'crimson'"],
    ],
    ids=["column dropped and added", "tables swapped", "enumeration renamed"],
)
def test_rows_change_without_being_written(database: Database, compare: Compare, statements: list[str]) -> None:
    database.execute(
        "create type colour as enum ('red', 'blue')",
        CREATE.replace("note text", "note colour" if "colour" in statements[0] else "note text"),
        FILL.replace("'note ' || i", "'red'") if "colour" in statements[0] else FILL,
        "create table staged as select order_id, (amount + 1)::numeric(12,2) as amount, 'staged' as note from orders",
    )
    database.extract_one()
    database.execute(*statements)
    database.extract_one()
    compare()


def test_partition_is_exchanged(database: Database, compare: Compare) -> None:
    columns = "(order_id bigint, amount numeric(12,2) not null, note text)"
    database.execute(
        f"create table orders {columns} partition by range (order_id)",
        *(f"create table {name} {columns}" for name in ("january", "corrected")),
        "alter table orders attach partition january for values from (0) to (100)",
        FILL,
        "insert into corrected select order_id, amount, 'corrected' from orders",
    )
    database.extract_one()
    database.execute(
        "alter table orders detach partition january",
        "alter table orders attach partition corrected for values from (0) to (100)",
    )
    assert database.extract_one().state.changed == 50
    compare()
    database.execute("create table february partition of orders for values from (100) to (200)")
    assert database.extract_one().keys == ()  # an empty partition is no reason to read the others


@pytest.mark.parametrize("statement", ["truncate other", "alter table other alter column amount type text"])
def test_table_is_not_emptied_behind_the_snapshot(database: Database, statement: str) -> None:
    """For a snapshot from before TRUNCATE or a rewrite, the table is empty. So they wait for the extract."""
    database.execute(CREATE, FILL, CREATE.replace("orders", "other"), FILL.replace("orders", "other"))
    other = dataset(name="other", extract={"table": "other"})
    failed = []

    def rewrite(outcome: object) -> None:
        if not failed:
            with pytest.raises(psycopg.errors.LockNotAvailable) as error:
                database.execute("set lock_timeout = '100ms'", statement)
            failed.append(error)

    _, second = database.extract(dataset(), other, report=rewrite)
    assert failed
    assert isinstance(second, Extracted)
    assert second.state.rows == 50


def test_snapshot_older_than_the_extract_before(
    database: Database, compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another extract takes its snapshot, is overtaken while it waits for the lock, and must not go on from there."""
    database.execute(CREATE, FILL)
    database.extract_one()
    lock = session_module._lock

    def overtaken(connection: psycopg.Connection) -> bool:
        connection.execute("select 1")  # takes the snapshot
        monkeypatch.setattr(session_module, "_lock", lock)
        database.execute("update orders set note = 'new' where order_id = 7", "insert into orders values (60, 1, 'x')")
        database.extract_one()
        return until(lambda: lock(connection))  # the server may notice the end of that connection a moment later

    monkeypatch.setattr(session_module, "_lock", overtaken)
    with pytest.raises(BusyError, match="another extract has just ended"):
        database.extract_one()
    compare()


def test_failure_costs_one_table(database: Database) -> None:
    database.execute(CREATE, FILL, CREATE.replace("orders", "other"), "create role reader login password 'reader'")
    try:
        database.execute("grant select on other to reader")
        reader = Database(database.url.replace("//postgres@", "//reader@"), "reader", database.bucket, database.folder)
        other = dataset(name="other", extract={"table": "other"})
        query = {"query": "select 1/0", "table": None, "mode": "snapshot"}
        broken = dataset(name="broken", mode="overwrite", extract=query)
        refused, failed, fine = reader.extract(dataset(), broken, other)
    finally:
        database.execute("drop owned by reader", "drop role reader")
    assert isinstance(refused, Refused)
    assert "permission denied for table orders" in refused.reason
    assert isinstance(failed, Refused)
    assert isinstance(fine, Extracted)


def test_timeout_costs_one_table(database: Database) -> None:
    database.execute(CREATE, FILL)
    query = "select order_id, amount, note from orders, pg_sleep(3)"
    slow = dataset(name="slow", mode="overwrite", extract={"query": query, "table": None, "mode": "snapshot"})
    database.url += "?options=-cstatement_timeout%3D500"
    landed: list[Any] = []
    with pytest.raises(SourceUnavailableError, match="longer than the timeout"):
        database.extract(slow, dataset(), report=landed.append)
    assert [each.dataset.name for each in landed] == ["orders"]


def test_key_that_is_not_unique_is_refused(database: Database) -> None:
    database.execute(CREATE.replace(" primary key", ""), FILL, "insert into orders values (7, 1, 'again')")
    assert "the key (order_id) is not unique: more than one row has (7)" in database.refused()


def test_objects_that_are_gone_from_the_bucket(database: Database) -> None:
    database.execute(CREATE, FILL)
    database.extract_one()
    database.execute("insert into orders select i, 1, 'x' from generate_series(100, 105) i")
    (key,) = database.extract_one().keys
    database.bucket.delete(key)
    database.execute("delete from orders where order_id = 101")
    assert "objects are missing" in database.refused()


def test_cursor_with_a_time_in_the_future(database: Database) -> None:
    moments = dataset(
        extract={"mode": "cursor", "cursor": "changed_at"},
        columns=[
            *dataset().columns[:3],
            {"name": "changed_at", "type": "timestamp", "nullable": True, "description": "When."},
        ],
    )
    database.execute(CREATE.replace("note text", "note text, changed_at timestamptz default now()"), FILL)
    database.execute("insert into orders values (60, 1, '', 'infinity'), (61, 1, '', '2999-01-01'), (62, 1, '', null)")
    database.extract_one(moments)
    database.execute("update orders set note = 'new', changed_at = now() where order_id = 7")
    assert database.extract_one(moments).state.changed >= 4


def test_long_texts_beside_a_hash(database: Database, compare: Compare) -> None:
    columns = [*dataset().columns[:3], {"name": "email", "type": "text", "protect": "hash", "description": "E-mail."}]
    hashed = dataset(columns=columns)
    database.execute(CREATE.replace("note text", "note text, email text"))
    database.execute("insert into orders select i, 1, repeat('é\"', 90000), 'a@b' from generate_series(1, 3) i")
    database.extract_one(hashed)
    database.execute("delete from orders where order_id = 2", "insert into orders values (4, 1, 'x', 'a@b')")
    second = database.extract_one(hashed)
    assert (second.state.changed, second.state.deleted) == (1, 1)


def test_rows_that_are_longer_than_the_warehouse_takes(database: Database) -> None:
    """They become rejects there, and their keys are known here."""
    database.execute(CREATE, "insert into orders values (1, 1, repeat('a long text', 1000000)), (2, 1, 'x')")
    database.extract_one()
    database.execute("delete from orders where order_id = 1")
    assert database.extract_one().state.deleted == 1


def test_two_extracts_at_once(database: Database, compare: Compare) -> None:
    database.execute(CREATE, FILL)
    results: list[object] = []

    def extract() -> None:
        try:
            results.append(database.extract_one())
        except BusyError as error:
            results.append(error)

    threads = [threading.Thread(target=extract) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert any(isinstance(result, Extracted) for result in results)
    compare()


def test_hash_without_a_key_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [*dataset().columns[:2], {"name": "note", "type": "text", "protect": "hash", "description": "Note."}]
    database.execute(CREATE, FILL)
    bare = database.settings.model_copy(update={"hash_key": None})
    monkeypatch.setattr(type(database), "settings", property(lambda self: bare))
    assert "NETFLIX_HASH_KEY is not set" in database.refused(dataset(columns=columns))


def test_role_that_may_read_some_columns(database: Database, compare: Compare) -> None:
    """With the GRANT that ``sources check`` shows, and without a lock: then a truncated table is noticed afterwards."""
    database.execute(CREATE, "alter table orders add column card text", FILL)
    database.execute("create role clerk login password 'clerk'")
    clerk = Database(database.url.replace("//postgres@", "//clerk@"), "clerk", database.bucket, database.folder)
    try:
        (problem,) = [each.text for each in check_database("shop", [dataset()], clerk.settings) if each.is_problem]
        assert "card" not in problem
        database.execute(problem.partition(": ")[2])
        first = clerk.extract_one()
        assert any("card" in news for news in first.state.news)
        database.execute("update orders set note = 'x' where order_id = 7")
        assert clerk.extract_one().state.changed == 1
        compare()

        def empty(outcome: object) -> None:
            database.execute("set lock_timeout = '5s'", "truncate orders")

        database.execute(CREATE.replace("orders", "other"), "grant select on other to clerk")
        twice = dataset(name="twice", mode="overwrite", extract={"mode": "snapshot"})
        with pytest.raises(SourceUnavailableError, match="orders was truncated or rewritten during the extract"):
            clerk.extract(dataset(name="other", extract={"table": "other"}), twice, report=empty)
    finally:
        database.execute("drop owned by clerk", "drop role clerk")


def test_locked_table_costs_itself(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_SETTINGS", {**session_module._SETTINGS, "lock_timeout": "'200ms'"})
    database.execute(CREATE, FILL, CREATE.replace("orders", "other"))
    landed: list[Any] = []
    with database.connect() as link:
        link.execute("lock table orders in access exclusive mode")
        with pytest.raises(SourceUnavailableError, match="lock timeout"):
            database.extract(dataset(), dataset(name="other", extract={"table": "other"}), report=landed.append)
    assert [each.dataset.name for each in landed] == ["other"]


def test_a_bucket_that_was_emptied_does_not_bring_old_versions_back(
    database: Database, sync: Callable[..., SyncReport], warehouse: Warehouse
) -> None:
    database.execute(CREATE, FILL)
    database.extract_one()
    sync(dataset())
    for path in (database.bucket.home / "s3" / database.bucket.name).rglob("*"):
        if path.is_file():
            path.unlink()
    time.sleep(1.1)  # the local server looks at its folder once a second, and numbers start at the time in seconds
    database.execute("update orders set note = 'after' where order_id = 1")
    database.extract_one()
    sync(dataset())
    (row,) = [row for row in warehouse.query(LATEST)[1] if row[0] == 1]
    assert row[2] == "after"
