"""Fixtures: ways to run statements on the emulator through the real connector."""

import pytest


@pytest.fixture
def db(snowflake_database):
    return snowflake_database


@pytest.fixture
def cursor(db):
    with db.connect() as connection, connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def execute(cursor):
    """The rows of a statement."""
    return lambda statement, *values: cursor.execute(statement, values or None).fetchall()


@pytest.fixture(scope="module")
def run_query(snowflake_server):
    """The rows of a query without tables, in one session for all tests."""
    with snowflake_server.new_database("QUERIES") as name, snowflake_server.connect(name) as connection:
        yield lambda query, *values: connection.cursor().execute(query, values or None).fetchall()
