"""How many cases a suite runs, and that it is one of those that take long."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:  # of all folders
        if Path(__file__).parent in item.path.parents:
            item.add_marker("long")


@pytest.fixture(scope="session")
def cases(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """``cases(bounded)``: the number given with ``--cases``, or this bounded one where none is given."""

    def number(bounded: int) -> int:
        given = pytestconfig.getoption("--cases")
        return bounded if given is None else int(given)

    return number
