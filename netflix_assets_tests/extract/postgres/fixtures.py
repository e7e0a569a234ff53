"""A PostgreSQL for a test session, and an empty database on it for each test."""

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from netflix_assets.dev import postgres as servers
from netflix_assets.dev.postgres import Postgres
from netflix_assets_tests.conftest import Bucket
from netflix_assets_tests.extract.postgres.database import Database

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of this session, or of this worker of it."""
    with servers.temporary(tmp_path_factory.mktemp("postgres")) as server:
        # Without it, each extract waits up to 0.6 s until what it has seen is on the disk.
        with connect_admin(server) as admin:
            admin.execute("alter system set wal_writer_delay = '1ms'")
            admin.execute("select pg_reload_conf()")
        yield server


@pytest.fixture
def database(postgres: Postgres, bucket: Bucket, tmp_path: Path) -> Iterator[Database]:
    name = f"shop{next(_numbers)}"
    with connect_admin(postgres) as admin:
        admin.execute(f"create database {name}")
        try:
            yield database_on(postgres, name, bucket, tmp_path)
        finally:
            admin.execute(f"drop database {name} with (force)")


def database_on(server: Postgres, name: str, bucket: Bucket, folder: Path) -> Database:
    """A database of a server, as its superuser."""
    return Database(server.address(name, servers.ADMIN), server.passwords[servers.ADMIN], bucket, folder)


def connect_admin(server: Postgres, name: str = "postgres") -> psycopg.Connection:
    """A connection of the superuser that commits each statement."""
    address = server.address(name, servers.ADMIN)
    return psycopg.connect(address, password=server.passwords[servers.ADMIN], autocommit=True)


def run_program(server: Postgres, program: str, *arguments: str) -> str:
    """What one of PostgreSQL's programs prints, run as the user that owns the server's files."""
    done = subprocess.run(
        [*servers.as_user(), str(servers.programs() / program), *arguments],
        env={"PGPASSFILE": str(server.folder / "pgpass"), "PGPASSWORD": server.passwords[servers.ADMIN]},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
