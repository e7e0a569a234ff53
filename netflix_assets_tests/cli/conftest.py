"""Homes for commands to run in."""

from pathlib import Path

import pytest

from netflix_assets_tests.demo import Demo


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
