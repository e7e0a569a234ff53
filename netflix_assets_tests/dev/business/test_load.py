"""The sample databases in a real PostgreSQL: what is loaded, played and granted."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import dict_row

from netflix_assets.contracts.model import all_datasets
from netflix_assets.dev.business import make_world
from netflix_assets.dev.business.load import WITHHELD, load, play_days
from netflix_assets.dev.business.world import DATABASE_OF, KEY_OF, KEYS, Event, World
from netflix_assets.dev.postgres import DATABASES, OWNER, READER, Postgres, PostgresError, temporary
from netflix_assets.settings import read_settings

SCALE = 0.02


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder, temporary(Path(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def loaded(server: Postgres) -> Postgres:
    assert load(server, SCALE, 1) is not None
    return server


def select(server: Postgres, database: str, statement: str, user: str = OWNER) -> list[dict[str, Any]]:
    with server.connect(database, user) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return [
            {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}
            for row in cursor.execute(statement).fetchall()
        ]


def rows_of(server: Postgres, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = select(server, DATABASE_OF[table], f"select * from {table}")
    return {tuple(row[column] for column in KEY_OF[table]): row for row in rows}


def test_the_databases_have_the_rows_of_the_generator(loaded: Postgres) -> None:
    world = make_world(SCALE, 1)
    for table in KEY_OF:
        assert rows_of(loaded, table) == world.tables[table], table


def test_types_vary(loaded: Postgres) -> None:
    found = {
        row["data_type"]
        for database in KEYS
        for row in select(
            loaded, database, "select data_type from information_schema.columns where table_schema = 'public'"
        )
    }
    assert found >= {
        "ARRAY", "bigint", "boolean", "bytea", "character", "date", "double precision", "integer", "jsonb", "numeric",
        "real", "smallint", "text", "timestamp with time zone", "uuid",
    }  # fmt: skip


def test_a_loaded_sample_is_kept_and_another_is_refused(loaded: Postgres) -> None:
    assert load(loaded) is None
    assert load(loaded, SCALE) is None
    with pytest.raises(PostgresError, match=r"crm has the sample of scale 0\.02 and seed 1.*remove"):
        load(loaded, SCALE, 2)


@pytest.mark.parametrize("database", DATABASES)
def test_the_reader_reads_and_cannot_write(loaded: Postgres, database: str) -> None:
    table = {"crm": "customers", "shop": "orders", "finance": "refunds"}[database]
    assert select(loaded, database, f"select updated_at, xmin from {table} limit 1", READER)
    for statement in (
        f"delete from {table}",
        f"update {table} set updated_at = now()",
        f"truncate {table}",
        "create table mine (id integer)",
        "create schema mine",
        "create temporary table mine (id integer)",
        "select * from simulation.transactions",
        "copy (select 1) to program 'true'",
    ):
        with closing(loaded.connect(database, READER)) as connection, connection.cursor() as cursor:
            cursor.execute("set transaction read write")  # what it may by itself is no protection
            with pytest.raises(errors.InsufficientPrivilege):
                cursor.execute(statement)


def test_the_reader_has_limits(loaded: Postgres) -> None:
    (row,) = select(
        loaded, "shop",
        "select current_setting('default_transaction_read_only') as read_only, "
        "current_setting('statement_timeout') as timeout, rolsuper, rolcreatedb, rolcreaterole, rolreplication "
        "from pg_roles where rolname = current_user", READER,
    )  # fmt: skip
    assert row == {
        "read_only": "on", "timeout": "15min", "rolsuper": False, "rolcreatedb": False, "rolcreaterole": False,
        "rolreplication": False,
    }  # fmt: skip


def test_the_reader_is_granted_what_the_contracts_need() -> None:
    left_out = {
        dataset.extract.table: dataset.extract.left_out
        for dataset in all_datasets(read_settings().sources())
        if dataset.extract is not None and dataset.extract.left_out
    }
    assert left_out == WITHHELD


@pytest.mark.parametrize(
    ("table", "column"), [("cards", "card_number"), ("cards", "holder"), ("payments", "card_number")]
)
def test_the_reader_cannot_read_card_numbers_unless_it_is_granted(loaded: Postgres, table: str, column: str) -> None:
    for statement in (f"select {column} from {table}", f"select * from {table}", f"copy {table} to stdout"):
        with pytest.raises(errors.InsufficientPrivilege):
            select(loaded, "finance", statement, READER)
    assert select(loaded, "finance", f"select updated_at from {table} limit 1", READER)
    with closing(loaded.connect("finance")) as owner, owner.cursor() as cursor:
        cursor.execute(f"grant select ({column}) on {table} to {READER}")
        owner.commit()
        assert select(loaded, "finance", f"select {column} from {table} limit 1", READER)
        cursor.execute(f"revoke select ({column}) on {table} from {READER}")
        owner.commit()


def test_a_new_table_is_not_readable_until_it_is_granted(loaded: Postgres) -> None:
    with closing(loaded.connect("shop")) as owner, owner.cursor() as cursor:
        cursor.execute("create table reviews (id integer primary key)")
        owner.commit()
        with pytest.raises(errors.InsufficientPrivilege):
            select(loaded, "shop", "select * from reviews", READER)
        cursor.execute("drop table reviews")
        owner.commit()


def test_nobody_gets_in_without_a_password(loaded: Postgres) -> None:
    for password in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host="127.0.0.1", port=loaded.port, dbname="crm", user=READER, password=password)


def test_days_are_played_as_the_generator_says(loaded: Postgres) -> None:
    """After every commit of the first day, the tables that it wrote are as the generator has them."""
    compared: Counter[str] = Counter()

    def compare(event: Event, world: World) -> None:
        moment, transaction = event
        if transaction.day == 1:
            for table in {change.table for change in transaction.changes}:
                compared[f"{moment} {transaction.ends}"] += 1
                assert rows_of(loaded, table) == world.tables[table], transaction.kind

    world, last = play_days(loaded, 7, compare)
    assert last == 7
    assert min(compared.values()) > 3
    assert set(compared) == {"begin commit", "end commit", "begin rollback", "end rollback"}
    for table in KEY_OF:
        assert rows_of(loaded, table) == world.tables[table], table


def test_a_day_that_was_interrupted_is_completed(loaded: Postgres) -> None:
    class StopError(Exception):
        pass

    def stop(event: Event, world: World) -> None:
        if event[0] == "end" and event[1].kind == "late_move":
            raise StopError

    before = play_days(loaded, 0)[1]
    with pytest.raises(StopError):
        play_days(loaded, 1, stop)
    world, last = play_days(loaded, 1)
    assert last == before + 2
    for table in KEY_OF:
        assert rows_of(loaded, table) == world.tables[table], table


def test_new_rows_by_hand_do_not_get_in_the_way(loaded: Postgres) -> None:
    """They have numbers that the generator never reaches."""
    with closing(loaded.connect("shop")) as owner, owner.cursor() as cursor:
        cursor.execute(
            "insert into orders (order_number, customer_id, status, currency, country_code) "
            "values (gen_random_uuid(), 1, 'placed', 'USD', 'US') returning order_id"
        )
        number = cursor.fetchone()[0]
        owner.commit()
        assert number >= 900_000_000
        play_days(loaded, 1)
        cursor.execute("delete from orders where order_id = %s", (number,))
        owner.commit()


def test_a_row_that_somebody_holds_is_named(loaded: Postgres) -> None:
    with closing(loaded.connect("shop")) as owner, owner.cursor() as cursor:
        cursor.execute("lock table orders")
        with pytest.raises(PostgresError, match=r"lock timeout.*What is done of the day is kept"):
            play_days(_impatient(loaded), 1)


def _impatient(server: Postgres) -> Postgres:
    class Impatient(Postgres):
        def connect(self, database: str, user: str = OWNER) -> Any:
            connection = super().connect(database, user)
            connection.cursor().execute("set lock_timeout to '200ms'")
            connection.commit()
            return connection

    return Impatient(server.folder, server.port, server.passwords)
