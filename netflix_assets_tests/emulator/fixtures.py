"""Fixtures: one emulator per test process, one database per test. ``conftest.py`` of the tests imports them."""

import itertools
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from netflix_assets.storage.local_s3 import LocalS3

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Statement:
    """A statement as the server received it, with its session and its query tag."""

    number: int
    session: int
    query_tag: str
    database: str | None
    schema: str | None
    role: str | None
    warehouse: str | None
    text: str
    bindings: list[str]
    error: str | None

    @property
    def line(self) -> str:
        """The text on one line, with single spaces."""
        return " ".join(self.text.split())


@dataclass(frozen=True)
class SnowflakeEmulator:
    """The address of the emulator, and the statements it received."""

    host: str
    port: int

    def address(self) -> dict[str, Any]:
        """The options that a client needs besides account, user and database."""
        return {"host": self.host, "port": self.port, "protocol": "http"}

    def connect(self, database: str | None = None, **changes: Any) -> "SnowflakeConnection":
        """A connection with server-side binding (``?``), like the product's."""
        options = {
            "account": "emulated", "user": "tester", "password": "any", "database": database, "paramstyle": "qmark",
            "login_timeout": 20, "network_timeout": 120, "ocsp_fail_open": True, **self.address(), **changes,
        }  # fmt: skip
        import snowflake.connector  # takes seconds, and every test session imports these fixtures

        return snowflake.connector.connect(**options)

    @contextmanager
    def new_database(self, name: str | None = None) -> Iterator[str]:
        """Create a database and drop it at the end. The log does not show its creation."""
        name = name or f"TEST_{next(_numbers)}"
        self.post("databases", {"statement": f"create database {name}"})
        try:
            yield name
        finally:
            self.post("databases", {"statement": f"drop database if exists {name}"})

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements in a new session and return the rows of the last one."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                rows = [tuple(row) for row in cursor.execute(statement).fetchall()]
            return rows

    @contextmanager
    def failing(
        self, pattern: str, errno: int, sqlstate: str = "XX000", *, times: int = 1, after: bool = False
    ) -> Iterator[None]:
        """Make statements that match the regular expression fail within the block, instead of or ``after`` running
        them.
        """
        fault = {
            "pattern": pattern, "errno": errno, "sqlstate": sqlstate, "times": times, "after": after,
            "message": f"a fault requested by the test ({pattern})",
        }  # fmt: skip
        self.post("faults", {"faults": [fault]})
        try:
            yield
        finally:
            self.post("faults", {"faults": []})

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://{self.host}:{self.port}/emulator/{path}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            answer = json.load(response)
        if not answer["success"]:
            raise AssertionError(answer["message"])
        return answer

    def mark(self) -> int:
        """The number of statements received so far."""
        return len(self.statements())

    def statements(self, since: int = 0) -> list[Statement]:
        """The statements received after ``since``, in order, from all sessions."""
        url = f"http://{self.host}:{self.port}/emulator/statements?since={since}"
        with urllib.request.urlopen(url, timeout=20) as response:
            return [Statement(**entry) for entry in json.load(response)]


@dataclass(frozen=True)
class SnowflakeDatabase:
    """The new database of one test."""

    name: str
    server: SnowflakeEmulator
    start: int = field(default=0)

    def connect(self, **changes: Any) -> "SnowflakeConnection":
        return self.server.connect(self.name, **changes)

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.execute(*statements, database=self.name)

    def end_sessions(self) -> int:
        """End the database's sessions on the server. Return their number."""
        return self.server.post("end-sessions", {"database": self.name})["ended"]

    def statements(self) -> list[Statement]:
        """The statements sent in this database since the test started."""
        return [each for each in self.server.statements(self.start) if each.database == self.name]


@contextmanager
def running_emulator(s3_folder: Path, *options: str) -> Iterator[SnowflakeEmulator]:
    """Run a server for the duration of the block."""
    command = [sys.executable, "-m", "netflix_assets_tests.emulator.server", "--s3-folder", str(s3_folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield SnowflakeEmulator("127.0.0.1", int(process.stdout.readline()))
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def snowflake_server(s3_server: LocalS3) -> Iterator[SnowflakeEmulator]:
    """The emulator of this test process. Its external stages read the files of ``s3_server``."""
    with running_emulator(s3_server.folder) as server:
        yield server


@pytest.fixture
def snowflake_database(snowflake_server: SnowflakeEmulator) -> Iterator[SnowflakeDatabase]:
    """An empty database, dropped at the end of the test."""
    start = snowflake_server.mark()
    with snowflake_server.new_database() as name:
        yield SnowflakeDatabase(name, snowflake_server, start)
