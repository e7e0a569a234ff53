"""The emulator itself, through the real connector: what it adds to fakesnow, and what it refuses as Snowflake does.

The other tests against the emulator depend on it: a gap hidden here would hide there.
"""

import datetime
import gzip
import hashlib
import math
import signal
import socket
import subprocess
import sys
import threading
import time
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector.errors import DatabaseError, ProgrammingError

from netflix_assets.storage.local_s3 import local_s3
from netflix_assets_tests.conftest import s3_client
from netflix_assets_tests.emulator import adaptations, fixtures

pytestmark = pytest.mark.emulated

LOADER_FORMAT = """
    type = csv compression = auto field_delimiter = ',' skip_header = 1 field_optionally_enclosed_by = '"' escape = none
    escape_unenclosed_field = none null_if = () empty_field_as_null = false trim_space = false skip_blank_lines = false
    error_on_column_count_mismatch = false encoding = 'UTF8'
"""


@pytest.fixture
def db(snowflake_database):
    return snowflake_database


@pytest.fixture
def cursor(db):
    with db.connect() as connection, connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def ask(cursor):
    """The rows of a statement."""
    return lambda statement, *values: cursor.execute(statement, values or None).fetchall()


@pytest.fixture(scope="module")
def look(snowflake_server):
    """The rows of a query without tables, in one session for all tests."""
    with snowflake_server.new_database("LOOKED_AT") as name, snowflake_server.connect(name) as connection:
        yield lambda query, *values: connection.cursor().execute(query, values or None).fetchall()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False)


def failure(ask, statement, *values):
    with pytest.raises(DatabaseError) as raised:
        ask(statement, *values)
    return raised.value


# ------------------------------------------------------------------------------------------- protocol


def test_a_key_pair_login_creates_nothing(db):
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with db.server.connect("NOT_THERE", authenticator="SNOWFLAKE_JWT", private_key=key, password=None) as connection:
        assert failure(connection.cursor().execute, "create table t (a integer)").errno == 90105
    assert ("NOT_THERE",) not in db.execute("select catalog_name from information_schema.schemata")


def test_a_login_sets_database_schema_role_warehouse_and_parameters(db):
    with db.connect(role="loader", warehouse="load", session_parameters={"QUERY_TAG": "from login"}) as connection:
        asked = "select current_database(), current_schema(), current_role(), current_warehouse(), current_user()"
        assert connection.cursor().execute(asked).fetchone() == (db.name, "PUBLIC", "LOADER", "LOAD", "TESTER")
    last = db.statements()[-1]
    assert (last.role, last.warehouse, last.query_tag, last.text) == ("LOADER", "LOAD", "from login", asked)


def test_values_of_every_type_round_trip(ask):
    late = datetime.datetime(2020, 1, 1, 1, 1, 1, 123457)
    early = datetime.datetime(1950, 1, 1, 1, 1, 1, 999999)
    rows = [
        (1, Decimal("1.25"), 0.1, True, datetime.date(2020, 2, 29), late, "a'\\?"),
        (None,) * 7,
        (-(2**53) - 1, Decimal("-0.01"), -1e300, False, datetime.date(1, 1, 1), early, ""),
    ]
    ask("create table t (i integer, n number(10,2), d double, b boolean, day date, at timestamp, s varchar)")
    placeholders = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * 3)
    assert ask(f"insert into t values {placeholders}", *(value for row in rows for value in row)) == [(3,)]
    assert ask("select * from t") == rows
    assert ask("select ?, ?, ?, ?, ?, ?, ?", *rows[0]) == [rows[0]]
    assert ask("select i from t where at = ? and n = ? and b = ?", rows[0][5], rows[0][1], True) == [(1,)]


def test_null_timestamps_stay_null(look):
    moment = datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)
    rows = look(f"select column1::timestamp_ntz from values (null), ('{moment}'), (null)")
    assert rows == [(None,), (moment,), (None,)]


def test_the_log_lists_every_statement_in_order_with_its_tag(db, cursor):
    cursor.execute("select 1")
    cursor.execute("alter session set query_tag = '{\"run\": \"it''s\"}'")
    cursor.execute("select ?", ("bound",))
    cursor.execute("alter session unset query_tag")
    with pytest.raises(ProgrammingError):
        cursor.execute("select nothing")
    log = db.statements()
    assert [(each.text, each.query_tag) for each in log] == [
        ("select 1", ""),
        ("alter session set query_tag = '{\"run\": \"it''s\"}'", ""),
        ("select ?", '{"run": "it\'s"}'),
        ("alter session unset query_tag", '{"run": "it\'s"}'),
        ("select nothing", ""),
    ]
    assert len({each.session for each in log}) == 1
    assert log[2].bindings == ["bound"]
    assert [each.error is not None for each in log] == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("statement", "errno", "sqlstate"),
    [
        ("selec 1", 1003, "42000"),
        ("select * from nowhere", 2003, "42S02"),
        ("select nothing from values (1)", 904, "42000"),
        ("select 'x'::integer", 100038, "22018"),
        ("select 1 / (column1 - 1) from values (1)", 100051, "22012"),
        ("select 1; select 2", 8, "0A000"),
        ("call something()", 2, "0A000"),
        ("alter session set no_such_parameter = 1", 2043, "42601"),
        ("alter session set query_tag = '" + "x" * 2001 + "'", 1060, "22023"),
        ("show grants to role loader", 2, "0A000"),
    ],
)
def test_failures_are_snowflake_errors_without_delay(look, statement, errno, sqlstate):
    start = time.monotonic()
    error = failure(look, statement)
    assert (error.errno, error.sqlstate) == (errno, sqlstate)
    assert time.monotonic() - start < 5  # the connector would retry an HTTP 500 for minutes


def test_statements_without_a_duckdb_counterpart_are_accepted_and_logged(db, ask):
    statements = [
        "create warehouse if not exists w warehouse_size = xsmall auto_suspend = 60",
        "create role r", "grant usage on warehouse w to role r", "create user u type = service rsa_public_key = 'k'",
        "create or replace storage integration i type = external_stage enabled = true",
        "create resource monitor m with credit_quota = 1", "alter warehouse w set resource_monitor = m",
        "use role r", "use warehouse w", "comment on schema public is 'x'", "revoke usage on warehouse w from role r",
    ]  # fmt: skip
    for statement in statements:
        assert ask(statement) == [("Statement executed successfully.",)]
    assert [each.text for each in db.statements()] == statements
    assert ask("select current_role(), current_warehouse()") == [("R", "W")]


def test_tests_can_end_a_session_and_make_a_statement_fail(db):
    with db.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create table t (a integer)")
        with db.server.failing("^insert", 999, times=1):
            assert failure(cursor.execute, "insert into t values (1)").errno == 999
            cursor.execute("insert into t values (2)")
        with db.server.failing("^insert", 998, after=True), pytest.raises(ProgrammingError):
            cursor.execute("insert into t values (3)")
        assert cursor.execute("select a from t order by a").fetchall() == [(2,), (3,)]
        assert db.end_sessions() == 1
        assert failure(cursor.execute, "select 1").errno == 390104


def test_dagster_snowflake_can_connect(db):
    from dagster_snowflake import SnowflakeResource  # takes seven seconds; not when tests are only collected

    resource = SnowflakeResource(
        account="emulated", user="tester", password="any", database=db.name,
        additional_snowflake_connection_args={**db.server.address(), "paramstyle": "qmark"},
    )  # fmt: skip
    with resource.get_connection() as connection:
        assert connection.cursor().execute("select ?", ("through dagster",)).fetchall() == [("through dagster",)]
    assert [each.text for each in db.statements()] == ["select ?", "COMMIT"]  # this is how Dagster closes a connection


# ------------------------------------------------------------------------------------------- COPY, PUT, REMOVE


@pytest.fixture
def stage(bucket, ask):
    ask(f"create stage landing url = 's3://{bucket.name}/dev' storage_integration = i")
    ask(
        "create temporary table t (c1 varchar, c2 varchar, c3 varchar, name varchar, number integer, key varchar)",
    )


def copy(files, file_format=LOADER_FORMAT, place="@landing", options="on_error = abort_statement force = true"):
    named = f"files = ({', '.join(repr(file) for file in files)})"
    return f"""
        copy into t (c1, c2, c3, name, number, key)
        from (select $1, $2, $3, metadata$filename, metadata$file_row_number, metadata$file_content_key from {place})
        {named} file_format = ({file_format}) {options}
    """


@pytest.mark.usefixtures("stage")
def test_copy_reads_fields_by_number_with_their_metadata(bucket, ask):
    content = b'a,b\r\n1,"x, ""y""\nz"\n2,,3\r\n\nlast'
    bucket.put("dev/m/x.csv", content)
    assert ask(copy(["m/x.csv"]))[0][:4] == (f"s3://{bucket.name}/dev/m/x.csv", "LOADED", 4, 4)
    key = md5(content).hexdigest()
    listed = s3_client(local_s3(bucket.home)).head_object(Bucket=bucket.name, Key="dev/m/x.csv")["ETag"].strip('"')
    assert listed == key
    assert ask("select * from t order by number") == [
        ("1", 'x, "y"\nz', None, "dev/m/x.csv", 1, key),
        ("2", "", "3", "dev/m/x.csv", 2, key),
        ("", None, None, "dev/m/x.csv", 3, key),
        ("last", None, None, "dev/m/x.csv", 4, key),
    ]


@pytest.mark.usefixtures("stage")
def test_copy_detects_gzip_by_content_and_keeps_texts_unchanged(bucket, ask):
    packed = gzip.compress(b"a,b\n\\N,NULL\n") + gzip.compress("\\t, é \n".encode())
    bucket.put("dev/x.csv", packed)
    ask(copy(["x.csv"]))
    assert ask("select c1, c2, key from t order by number") == [
        ("\\N", "NULL", md5(packed).hexdigest()),
        ("\\t", " é ", md5(packed).hexdigest()),
    ]


@pytest.mark.usefixtures("stage")
def test_copy_refuses_the_defaults_of_options(bucket, ask):
    bucket.put("dev/x.csv", "h\n1\n")
    for option in ("null_if = ()", "empty_field_as_null = false", "escape_unenclosed_field = none"):
        message = failure(ask, copy(["x.csv"], LOADER_FORMAT.replace(option, ""))).msg
        assert f"the option {option.split()[0]} = (default) is not emulated" in message


@pytest.mark.usefixtures("stage")
def test_copy_loads_all_files_or_none(bucket, ask):
    bucket.put("dev/good.csv", "h\n1\n")
    bucket.put("dev/bad.csv", 'h\n"1" 2\n')
    bucket.put("dev/latin.csv", b"h\n\xe9\n")
    bucket.put("dev/cut.csv.gz", gzip.compress(b"h\n1\n" * 100)[:-9])
    for bad, errno in (("bad.csv", 100066), ("latin.csv", 100144), ("cut.csv.gz", 100065), ("gone.csv", 91016)):
        assert failure(ask, copy(["good.csv", bad])).errno == errno
    assert ask("select count(*) from t") == [(0,)]


@pytest.mark.usefixtures("stage")
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (copy(["x.csv"] * 1001), "1001 files"),
        (copy(["x.csv"], options="force = true on_error = continue"), "on_error = continue"),
        (copy(["x.csv"], options=""), "on_error = (default)"),
        (copy(["x.csv"], options="force = true purge = true"), "purge = true"),
        (copy(["x.csv"], LOADER_FORMAT + "date_format = auto"), "date_format"),
        (copy(["x.csv"], "format_name = f"), "format_name"),
        (copy(["x.csv"]).replace("$2", "upper($2)"), "upper"),
        (copy(["x.csv"]).replace("$2,", ""), "6 columns, but 5"),
        (copy(["x.csv"], place="@nowhere"), "does not exist"),
    ],
)
def test_copy_refuses_options_that_are_not_emulated(bucket, ask, statement, message):
    bucket.put("dev/x.csv", "h\n1\n")
    assert message in failure(ask, statement).msg


@pytest.mark.usefixtures("stage")
def test_copy_is_fast(bucket, ask):
    rows = "".join(f'{at},"{at % 77}",{at / 2}\n' for at in range(100_000))
    bucket.put("dev/x.csv", f"a,b,c\n{rows}")
    start = time.monotonic()
    ask(copy(["x.csv"]))
    assert time.monotonic() - start < 10  # 1.5 s on an idle machine
    assert ask("select count(*), sum(c2::integer), max(number) from t") == [
        (100_000, sum(at % 77 for at in range(100_000)), 100_000)
    ]


@pytest.mark.usefixtures("stage")
def test_put_copy_and_remove_on_an_internal_stage(tmp_path, ask):
    file = tmp_path / "it's x.csv"
    file.write_text("h\n1,2\n")
    ask("create stage own")
    literal = str(file).replace("'", "\\'")
    for folder in ("one", "two"):
        assert ask(f"put 'file://{literal}' @own/{folder}/ auto_compress = true overwrite = true")[0][6] == "UPLOADED"
    assert [row[0] for row in ask("list @own")] == ["own/one/it's x.csv.gz", "own/two/it's x.csv.gz"]
    ask(copy(["X"], place="@own/one/").replace("'X'", "'it''s x.csv.gz'"))
    (packed,) = ask("list @own/one/")
    assert ask("select c1, c2, name, number, key = ? from t", packed[2]) == [("1", "2", "one/it's x.csv.gz", 1, True)]
    # The client encrypts the file: its key does not depend on the content alone.
    assert ask("select key from t") != [(md5(file.read_bytes()).hexdigest(),)]
    assert ask("remove @own/one/") == [("own/one/it's x.csv.gz", "removed")]
    assert [row[0] for row in ask("list @own")] == ["own/two/it's x.csv.gz"]
    assert "bucket" in failure(ask, "remove @landing/x").msg


# ------------------------------------------------------------------------------------------- transactions, sessions


@pytest.mark.parametrize(
    "ddl",
    [
        "create table u (a integer)", "create temporary table u (a integer)", "create or replace view v as select 1 a",
        "alter table t add column b integer", "drop table t", "truncate table t", "/* x */ create schema s",
        "grant select on table t to role r", "create stage s",
    ],
)  # fmt: skip
def test_ddl_inside_a_transaction_is_refused(ask, ddl):
    ask("create table t (a integer)")
    ask("begin")
    ask("insert into t values (1)")
    assert "emulator: DDL inside a transaction would commit it" in failure(ask, ddl).msg
    ask("rollback")
    assert ask("select count(*) from t") == [(0,)]
    ask(ddl)


def test_rolled_back_rows_are_never_visible(db, ask):
    ask("create table t (a integer)")
    ask("begin transaction")
    ask("insert into t values (?)", 1)
    assert ask("select count(*) from t") == [(1,)]
    assert db.execute("select count(*) from t") == [(0,)]
    ask("rollback")
    assert ask("select count(*) from t") == [(0,)]


def test_a_transaction_sees_commits_of_others_until_its_first_change(db, ask):
    ask("create table t (a integer)")
    ask("begin")
    assert ask("select count(*) from t") == [(0,)]
    db.execute("insert into t values (1)")
    assert ask("select count(*) from t") == [(1,)]
    ask("update t set a = 2")
    ask("commit")
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


def test_waiting_for_a_lock_times_out(db, ask):
    ask("create table t (a integer)")
    ask("begin")
    ask("insert into t values (1)")
    with db.connect(session_parameters={"LOCK_TIMEOUT": 1}) as connection:
        error = failure(connection.cursor().execute, "insert into t values (2)")
    assert error.errno == 625
    assert "insert into t values (1)" in error.msg
    ask("commit")
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


def test_a_temporary_table_belongs_to_its_session(db, ask):
    db.execute("create schema raw", "create table raw.x (a integer)", "insert into raw.x values (0)")
    ask("create or replace temporary table raw.x as select 1 as a")
    with db.connect() as connection, connection.cursor() as other:
        other.execute("create temporary table raw.x (a integer)")
        other.execute("insert into raw.x values (2)")
        other.execute("create temporary table raw.mine (b integer)")
        assert other.execute("select x.a, raw.x.a from raw.x").fetchall() == [(2, 2)]
        assert ask("select raw.x.a from raw.x as one join raw.x on raw.x.a = one.a") == [(1,)]
        assert failure(ask, "select * from raw.mine").errno == 2003
        assert ask("select table_schema, table_name from information_schema.tables") == [("RAW", "X")]
    assert ask("update raw.x set a = 5 where raw.x.a = 1") == [(1, 0)]
    assert ask("delete from raw.x using (select 5 as k) as b where x.a = b.k") == [(1,)]
    ask("drop table raw.x")  # this drops the temporary table, and the permanent one is visible again
    assert ask("select a from raw.x") == [(0,)]
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


def test_databases_have_a_public_schema_and_can_be_recreated(db, ask):
    name = f"{db.name}_other"
    ask(f"create database {name}")
    assert ask("select current_database(), current_schema()") == [(name.upper(), "PUBLIC")]
    ask(f"create table {name}.public.t as select 1 as a")
    ask(f"use database {db.name}")
    assert ask("select current_database(), current_schema()") == [(db.name, "PUBLIC")]
    ask(f"create view v as select a from {name}.public.t")
    assert ask("select a from v") == [(1,)]
    ask(f"drop database {name}")
    assert failure(ask, f"drop database {name}").errno in (904, 2003)
    ask(f"create database {name}")
    assert failure(ask, f"select * from {name}.public.t").errno == 2003
    ask(f"drop database {name}")


# ------------------------------------------------------------------------------------------- SQL


def test_the_information_schema_shows_snowflake_types(ask):
    ask(
        "create table t (a integer, b number(10,2), c varchar, d double, e timestamp, f boolean, g date, h bigint, "
        "i decimal(3,1), j number, k text, l float, m timestamp_ntz)"
    )
    ask("create view v as select sum(a) as s, count(*) as n from t")
    asked = """
        select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns
        where table_schema = ? and table_name = ? order by ordinal_position
    """
    assert ask(asked, "PUBLIC", "T") == [
        ("A", "NUMBER", 38, 0), ("B", "NUMBER", 10, 2), ("C", "TEXT", None, None), ("D", "FLOAT", None, None),
        ("E", "TIMESTAMP_NTZ", None, None), ("F", "BOOLEAN", None, None), ("G", "DATE", None, None),
        ("H", "NUMBER", 38, 0), ("I", "NUMBER", 3, 1), ("J", "NUMBER", 38, 0), ("K", "TEXT", None, None),
        ("L", "FLOAT", None, None), ("M", "TIMESTAMP_NTZ", None, None),
    ]  # fmt: skip
    assert ask(asked, "PUBLIC", "V") == [("S", "NUMBER", 38, 0), ("N", "NUMBER", 38, 0)]
    assert ask("select table_name, table_type from information_schema.tables order by 1") == [
        ("T", "BASE TABLE"),
        ("V", "VIEW"),
    ]


def test_a_column_can_only_be_widened(ask):
    ask("create table t (a number(4,1), b varchar(10), c integer)")
    for done in ("a set data type number(9,1)", "b set data type varchar(20)", "c set data type number(38,0)"):
        ask(f"alter table t alter column {done}")
    for refused in ("a set data type number(9,2)", "a set data type number(5,1)", "b set data type integer"):
        assert failure(ask, f"alter table t alter column {refused}").errno == 40052


def test_merge_counts_rows_and_refuses_two_sources_for_one_row(ask):
    ask("create table t (a integer, g varchar)")
    ask("insert into t values (1, 'old'), (3, 'kept')")
    merge = """
        merge into t using (select column1 as a, column2 as g from values {}) as s on t.a = s.a
        when matched then update set g = s.g when not matched then insert (a, g) values (a, g)
    """
    assert ask(merge.format("(1, 'new'), (2, 'added')")) == [(1, 1)]
    assert ask("select a, g from t order by a") == [(1, "new"), (2, "added"), (3, "kept")]
    assert failure(ask, merge.format("(1, 'x'), (1, 'y')")).errno == 100090


def test_regular_expressions_match_the_whole_text_and_a_backslash_escapes(look):
    assert look(
        r"select regexp_like('abc', 'b'), regexp_like('abc', 'a.c'), regexp_like('12', '\\d+'), "
        r"regexp_like('12', '\d+'), regexp_like('12', $$\d+$$), 'abc' rlike 'b', 'it\'s' = 'it''s'"
    ) == [(False, True, True, False, True, False, True)]
    assert look(r"select regexp_substr('Up (2009)', '\\((\\d{4})\\)', 1, 1, 'e', 1)") == [("2009",)]


@pytest.mark.parametrize(
    ("value", "kind", "typed"),
    [
        ("0x10", "integer", None), ("1_000", "integer", None), (" 5 ", "integer", 5), ("2.7", "integer", 3),
        ("99999999999999999999", "integer", 99999999999999999999), ("9" * 39, "integer", None),
        ("4.25", "number(2,1)", Decimal("4.3")), ("100", "number(2,1)", None), ("1e3", "number(10,2)", Decimal(1000)),
        ("nan", "double", math.nan), ("1e400", "double", None), ("inf", "double", math.inf), ("1_0", "double", None),
        ("yes", "boolean", True), ("OFF", "boolean", False), ("2", "boolean", None),
        ("2020-02-29", "date", datetime.date(2020, 2, 29)), ("2020-02-30", "date", None), ("infinity", "date", None),
        ("1577836800", "date", datetime.date(2020, 1, 1)),
        ("1577836800123", "timestamp_ntz", datetime.datetime(2020, 1, 1, 0, 0, 0, 123000)),
        ("2020-01-01T10:00:00.5", "timestamp", datetime.datetime(2020, 1, 1, 10, 0, 0, 500000)),
    ],
)  # fmt: skip
def test_try_cast_follows_snowflake(look, value, kind, typed):
    (found,) = look(f"select try_cast(column1 as {kind}) from values (?), (null)", value)[0]
    assert found == typed or (found != found and typed != typed)


def test_try_cast_accepts_only_text(look):
    assert failure(look, "select try_cast(5 as integer)").errno == 904


def test_sums_stay_exact_and_division_by_zero_fails(look):
    assert look("select sum(column1), sum(column2) from values (9007199254740993, 0.1), (0, 0.2)") == [
        (9007199254740993, Decimal("0.3"))
    ]
    assert look("select 7 / column1 from values (2)") == [(3.5,)]
    assert failure(look, "select (1 / column1) / 2 from values (0)").errno == 100051


def test_keys_are_not_enforced(ask):
    ask("create table t (a integer primary key, b integer unique, c integer not null, primary key (a, b))")
    ask("insert into t values (1, 1, 1), (1, 1, 1)")
    assert failure(ask, "insert into t values (1, 1, null)").errno == 100072


def test_the_time_zone_is_not_utc_by_default(ask):
    here = "select datediff('hour', current_timestamp()::timestamp_ntz, sysdate())"
    assert ask(here)[0][0] in (7, 8)
    ask("alter session set timezone = 'UTC'")
    assert ask(here) == [(0,)]
    assert ask("select to_timestamp_ntz(0), convert_timezone('UTC', 'Europe/Berlin', '2020-01-01'::timestamp_ntz)") == [
        (datetime.datetime(1970, 1, 1), datetime.datetime(2020, 1, 1, 1))
    ]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select listagg(distinct g, ',') within group (order by g) from t", [("a|b,c",)]),
        ("select approx_count_distinct(a), approx_percentile(a, 0.5) from t", [(3, 2)]),
        ("select f.value::varchar, f.index from t, lateral flatten(input => split(g, '|')) as f order by 1",
         [("a", 0), ("b", 1), ("c", 0)]),
        ("select a from t qualify row_number() over (order by a desc) = 1", [(3,)]),
        ("select dayofweekiso('2020-01-05'::date), dateadd('day', 1, '2020-01-05'::date)",
         [(7, datetime.date(2020, 1, 6))]),
        ("select count(*) from t where mod(hash(*), 1) = 0", [(3,)]),
        ("select iff(a > 1, 'y', 'n'), div0(a, 0), zeroifnull(null) from t where a = 1", [("n", 0, 0)]),
        ("select v.i from (select column1 as i from values (1), (2)) as v", [(1,), (2,)]),
        ("select a as at, g from t order by all limit 1", [(1, "a|b")]),
        ("select a from t order by g desc, a", [(3,), (2,), (1,)]),  # NULL sorts highest
    ],
)  # fmt: skip
def test_functions_match_snowflake(ask, query, rows):
    ask("create table t (a integer, g varchar)")
    ask("insert into t (a, g) with c as (select 1 as z, 'a|b' as g) select z, g from c union all select 2, 'c' from c")
    ask("insert into t values (3, null)")
    assert ask(query) == rows


def test_delete_update_and_insert_from_other_tables(ask):
    ask("create table t (a integer, g varchar)")
    assert ask("insert into t values (1, 'x'), (2, 'y'), (3, 'z')") == [(3,)]
    assert ask("delete from t as a using (select 1 as k) as b where a.a = b.k") == [(1,)]
    assert ask("update t set g = s.g from (select 2 as a, 'new' as g) as s where t.a = s.a") == [(1, 0)]
    assert ask("insert overwrite into t select 3, 'new' union all select 4, 'z'") == [(2,)]
    assert ask("select a, g from t order by a") == [(3, "new"), (4, "z")]


def test_views_and_dynamic_tables(ask):
    ask("create table t as select 1 as a")
    ask("create or replace view v comment = 'x' as select a from t")
    ask("create or replace secure view v copy grants as select a + 1 as a from t")
    ask("create or replace dynamic table d target_lag = '1 hour' warehouse = w as select a from v")
    assert ask("select v.a, d.a from v join d on d.a = v.a") == [(2, 2)]
    ask("comment on column v.a is 'x'")


def test_a_dynamic_table_is_listed_as_one_and_can_be_refreshed(ask):
    ask("create table t as select 1 as a")
    ask("create transient dynamic table d target_lag = '1 hour' warehouse = w as (select a from t)")
    ask("insert into t values (2)")
    assert ask("select a from d") == [(1,)]
    ask("alter dynamic table d set target_lag = '2 hours'")
    ask("alter dynamic table d refresh")
    assert ask("select a from d order by a") == [(1,), (2,)]
    kinds = {row[1]: row[13] for row in ask("show objects")}
    assert (kinds["T"], kinds["D"]) == ("N", "Y")
    ask("drop dynamic table d")
    with pytest.raises(ProgrammingError, match="does not exist"):
        ask("alter dynamic table t refresh")
    with pytest.raises(ProgrammingError, match="needs a warehouse"):
        ask("create dynamic table d target_lag = '1 hour' as select a from t")


def test_large_results_can_be_fetched_as_pandas(cursor):
    cursor.execute("select seq4() as n, 'text' as s from table(generator(rowcount => 30000))")
    frame = cursor.fetch_pandas_all()
    assert (len(frame), int(frame["N"].sum()), list(frame.columns)) == (30000, 449985000, ["N", "S"])


# ------------------------------------------------------------------------------------------- clones and swaps


def test_a_clone_replaces_the_table_with_a_copy(snowflake_database) -> None:
    rows = snowflake_database.execute(
        "create schema a",
        "create schema b",
        "create table a.t as select 1 as n",
        "create transient table b.t as select 2 as n",
        "create or replace transient table b.t clone a.t",
        "insert into a.t values (3)",
        "select n from b.t",
    )
    assert rows == [(1,)]


def test_swapped_schemas_exchange_their_tables(snowflake_database) -> None:
    db = snowflake_database.name
    snowflake_database.execute(
        "create schema a",
        "create schema b",
        "create table a.t as select 1::number(9, 2) as n, 'x' as s",
        "create table b.u as select 2 as n",
        f"alter schema {db}.a swap with {db}.b",
    )
    assert snowflake_database.execute("select n, s from b.t") == [(Decimal("1.00"), "x")]
    assert snowflake_database.execute("select n from a.u") == [(2,)]
    with pytest.raises(ProgrammingError, match="does not exist"):
        snowflake_database.execute(f"alter schema {db}.a swap with {db}.nowhere")
    assert snowflake_database.execute("select n from a.u") == [(2,)]


# ------------------------------------------------------------------------------------------- the process

_PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "netflix_assets_tests.emulator.server", "--s3-folder", sys.argv[1],
    "--log", sys.argv[2]], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline().strip(), child.pid, flush=True)
sys.stdin.read()
"""


def test_the_server_ends_with_its_parent_and_keeps_its_log(tmp_path):
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-c", _PARENT, str(tmp_path), str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        port = int(parent.stdout.readline().split()[0])
        fixtures.SnowflakeEmulator("127.0.0.1", port).execute("select 'kept'")
        parent.send_signal(signal.SIGKILL)
    assert "select 'kept'" in log.read_text()
    deadline = time.monotonic() + 10
    while is_answered(port):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_answered(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
