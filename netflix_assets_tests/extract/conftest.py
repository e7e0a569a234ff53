"""A PostgreSQL for the tests of extracts, and a database of its own for each test."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from netflix_assets_tests.extract.database import Database

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> str:
    return "postgresql://postgres@127.0.0.1:5599"


@pytest.fixture
def database(postgres: str, bucket, tmp_path: Path) -> Iterator[Database]:  # type: ignore[no-untyped-def]
    name = f"shop{next(_numbers)}"
    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as admin:
        admin.execute(f"drop database if exists {name}")
        admin.execute(f"create database {name}")
        yield Database(f"{postgres}/{name}", bucket, tmp_path)
        admin.execute(f"drop database {name} with (force)")
