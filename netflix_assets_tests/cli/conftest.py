"""Homes for commands to run in."""

from pathlib import Path

import pytest

from netflix_assets_tests.cli import persons
from netflix_assets_tests.demo import Demo, create_once


@pytest.fixture(scope="module")
def home(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo's home for the tests of one file."""
    return demo.copied_to(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def loaded(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the demo's home for one test."""
    return demo.copied_to(tmp_path / "home")


@pytest.fixture
def fresh(demo: Demo, tmp_path: Path) -> Path:
    """A home that holds the parsed dbt project alone."""
    return demo.parsed_in(tmp_path)


@pytest.fixture(scope="session")
def two_versions(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo's home after a second run, with two persons more; the first version stays pinned."""
    return create_once(tmp_path_factory, "two-versions", lambda home: persons.arrive(demo.copied_to(home)))
