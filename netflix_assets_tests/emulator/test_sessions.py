"""Transactions, locks, temporary tables and databases on the emulator."""

import threading

import pytest
from snowflake.connector.errors import ProgrammingError

from netflix_assets_tests.emulator import adaptations
from netflix_assets_tests.emulator.failure import failure

pytestmark = pytest.mark.emulated


@pytest.mark.parametrize(
    "ddl",
    [
        "create table u (a integer)", "create temporary table u (a integer)", "create or replace view v as select 1 a",
        "alter table t add column b integer", "drop table t", "truncate table t", "/* x */ create schema s",
        "grant select on table t to role r", "create stage s",
    ],
)  # fmt: skip
def test_ddl_inside_a_transaction_is_refused(execute, ddl):
    execute("create table t (a integer)")
    execute("begin")
    execute("insert into t values (1)")
    assert "emulator: DDL inside a transaction would commit it" in failure(execute, ddl).msg
    execute("rollback")
    assert execute("select count(*) from t") == [(0,)]
    execute(ddl)


def test_rolled_back_rows_are_never_visible(db, execute):
    execute("create table t (a integer)")
    execute("begin")
    execute("insert into t values (?)", 1)
    assert execute("select count(*) from t") == [(1,)]
    assert db.execute("select count(*) from t") == [(0,)]
    execute("rollback")
    assert execute("select count(*) from t") == [(0,)]


def test_a_transaction_sees_commits_of_others_until_its_first_change(db, execute):
    execute("create table t (a integer)")
    execute("begin")
    assert execute("select count(*) from t") == [(0,)]
    db.execute("insert into t values (1)")
    assert execute("select count(*) from t") == [(1,)]
    execute("update t set a = 2")
    execute("commit")
    assert db.execute("select a from t") == [(2,)]


def test_a_second_writing_transaction_waits_and_then_sees_the_first(db):
    db.execute("create table locks (last integer)", "insert into locks values (0)")
    seen = []

    def take() -> None:
        with db.connect() as connection, connection.cursor() as cursor:
            for _ in range(5):
                cursor.execute("begin")
                cursor.execute("update locks set last = last + 1")
                seen.append(cursor.execute("select last from locks").fetchone()[0])
                cursor.execute("commit")

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == list(range(1, 21))


def test_waiting_for_a_lock_times_out(db, execute):
    execute("create table t (a integer)")
    execute("begin")
    execute("insert into t values (1)")
    with db.connect(session_parameters={"LOCK_TIMEOUT": 1}) as connection:
        error = failure(connection.cursor().execute, "insert into t values (2)")
    assert error.errno == 625
    assert "insert into t values (1)" in error.msg
    execute("commit")
    db.execute("insert into t values (2)")


def test_closing_a_session_rolls_back_and_releases_its_lock(db):
    db.execute("create table t (a integer)")
    with db.connect() as connection:
        connection.cursor().execute("begin")
        connection.cursor().execute("insert into t values (1)")
    assert db.execute("insert into t values (2)", "select a from t") == [(2,)]


def test_a_change_opens_a_transaction_without_autocommit(db):
    db.execute("create table t (a integer)")
    with db.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("insert into t values (1)")
        assert db.execute("select count(*) from t") == [(0,)]
        cursor.execute("commit")
        assert db.execute("select count(*) from t") == [(1,)]


def test_concurrent_sessions_do_not_interfere(db):
    db.execute("create table t (a integer)")
    failed = []

    def work(number: int) -> None:
        try:
            with db.connect() as connection, connection.cursor() as cursor:
                for at in range(10):
                    cursor.execute(f"create or replace table t_{number}_{at} as select {at} as a")
                    cursor.execute("insert into t values (?)", (at,))
                    assert cursor.execute(f"select a from t_{number}_{at}").fetchall() == [(at,)]
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert db.execute("select count(*), sum(a) from t") == [(40, 180)]


def test_a_temporary_table_belongs_to_its_session(db, execute):
    db.execute("create schema raw", "create table raw.x (a integer)", "insert into raw.x values (0)")
    execute("create or replace temporary table raw.x as select 1 as a")
    with db.connect() as connection, connection.cursor() as other:
        other.execute("create temporary table raw.x (a integer)")
        other.execute("insert into raw.x values (2)")
        other.execute("create temporary table raw.mine (b integer)")
        assert other.execute("select x.a, raw.x.a from raw.x").fetchall() == [(2, 2)]
        assert execute("select raw.x.a from raw.x as one join raw.x on raw.x.a = one.a") == [(1,)]
        assert failure(execute, "select * from raw.mine").errno == 2003
        assert execute("select table_schema, table_name from information_schema.tables") == [("RAW", "X")]
    assert execute("update raw.x set a = 5 where raw.x.a = 1") == [(1, 0)]
    assert execute("delete from raw.x using (select 5 as k) as b where x.a = b.k") == [(1,)]
    execute("drop table raw.x")  # this drops the temporary table, and the permanent one is visible again
    assert execute("select a from raw.x") == [(0,)]
    assert db.execute("select a from raw.x") == [(0,)]


def test_a_temporary_table_can_be_described_and_ends_with_its_session(db):
    with db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create temporary table x (a number(5,1), b varchar)")
        described = cursor.execute("describe table x").fetchall()
        assert [row[:2] for row in described] == [("A", "NUMBER(5,1)"), ("B", "VARCHAR(16777216)")]
    with pytest.raises(ProgrammingError):
        db.execute("select * from x")
    names = [row[1] for row in db.execute(f"show schemas in database {db.name}")]
    assert not [name for name in names if name.startswith(adaptations.TEMPORARY_SCHEMA)]


def test_databases_have_a_public_schema_and_can_be_recreated(db, execute):
    name = f"{db.name}_other"
    execute(f"create database {name}")
    assert execute("select current_database(), current_schema()") == [(name.upper(), "PUBLIC")]
    execute(f"create table {name}.public.t as select 1 as a")
    execute(f"use database {db.name}")
    assert execute("select current_database(), current_schema()") == [(db.name, "PUBLIC")]
    execute(f"create view v as select a from {name}.public.t")
    assert execute("select a from v") == [(1,)]
    execute(f"drop database {name}")
    assert failure(execute, f"drop database {name}").errno in (904, 2003)
    execute(f"create database {name}")
    assert failure(execute, f"select * from {name}.public.t").errno == 2003
    execute(f"drop database {name}")
