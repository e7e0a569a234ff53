"""Set how many cases each suite runs, and mark all suites as long."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:  # items of all folders are passed
        if Path(__file__).parent in item.path.parents:
            item.add_marker("long")


@pytest.fixture(scope="session")
def cases(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """``cases(bounded)``: the number given with ``--cases``; ``bounded`` without that option."""

    def number(bounded: int) -> int:
        given = pytestconfig.getoption("--cases")
        return bounded if given is None else int(given)

    return number
