"""The emulator's protocol, through the real connector: logins, values, errors, the log, the process.

The other tests against the emulator depend on these modules: a gap hidden here would hide there.
"""

import datetime
import signal
import socket
import subprocess
import sys
import time
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector.errors import ProgrammingError

from netflix_assets_tests.emulator import fixtures
from netflix_assets_tests.emulator.failure import failure
from netflix_assets_tests.waiting import until

pytestmark = pytest.mark.emulated


def test_a_key_pair_login_creates_nothing(db):
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with db.server.connect("NOT_THERE", authenticator="SNOWFLAKE_JWT", private_key=key, password=None) as connection:
        assert failure(connection.cursor().execute, "create table t (a integer)").errno == 90105
    assert ("NOT_THERE",) not in db.execute("select catalog_name from information_schema.schemata")


def test_a_login_sets_database_schema_role_warehouse_and_parameters(db):
    with db.connect(role="loader", warehouse="load", session_parameters={"QUERY_TAG": "from login"}) as connection:
        query = "select current_database(), current_schema()"
        assert connection.cursor().execute(query).fetchone() == (db.name, "PUBLIC")
    last = db.statements()[-1]
    assert (last.role, last.warehouse, last.query_tag, last.text) == ("LOADER", "LOAD", "from login", query)


def test_values_of_every_type_round_trip(execute):
    late = datetime.datetime(2020, 1, 1, 1, 1, 1, 123457)
    early = datetime.datetime(1950, 1, 1, 1, 1, 1, 999999)
    rows = [
        (1, Decimal("1.25"), 0.1, True, datetime.date(2020, 2, 29), late, "a'\\?"),
        (None,) * 7,
        (-(2**53) - 1, Decimal("-0.01"), -1e300, False, datetime.date(1, 1, 1), early, ""),
    ]
    execute("create table t (i integer, n number(10,2), d double, b boolean, day date, moment timestamp, s varchar)")
    placeholders = ", ".join(["(?, ?, ?, ?, ?, ?, ?)"] * 3)
    assert execute(f"insert into t values {placeholders}", *(value for row in rows for value in row)) == [(3,)]
    assert execute("select * from t") == rows
    assert execute("select ?, ?, ?, ?, ?, ?, ?", *rows[0]) == [rows[0]]
    assert execute("select i from t where moment = ? and n = ? and b = ?", rows[0][5], rows[0][1], True) == [(1,)]


def test_null_timestamps_stay_null(run_query):
    moment = datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)
    rows = run_query(f"select column1::timestamp_ntz from values (null), ('{moment}'), (null)")
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
def test_failures_are_snowflake_errors_without_delay(run_query, statement, errno, sqlstate):
    start = time.monotonic()
    error = failure(run_query, statement)
    assert (error.errno, error.sqlstate) == (errno, sqlstate)
    assert time.monotonic() - start < 5  # the connector would retry an HTTP 500 for minutes


def test_statements_without_a_duckdb_counterpart_are_accepted_and_logged(db, execute):
    statements = [
        "create warehouse if not exists w warehouse_size = xsmall auto_suspend = 60",
        "create role r", "grant usage on warehouse w to role r", "create user u type = service rsa_public_key = 'k'",
        "create or replace storage integration i type = external_stage enabled = true",
        "create resource monitor m with credit_quota = 1", "alter warehouse w set resource_monitor = m",
        "use role r", "use warehouse w", "comment on schema public is 'x'", "revoke usage on warehouse w from role r",
    ]  # fmt: skip
    for statement in statements:
        assert execute(statement) == [("Statement executed successfully.",)]
    assert [each.text for each in db.statements()] == statements
    execute("select 1")
    last = db.statements()[-1]
    assert (last.role, last.warehouse) == ("R", "W")


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
    until(lambda: not is_answered(port), "the end of the server")


def is_answered(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
