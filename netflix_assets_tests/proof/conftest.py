"""How many cases a suite runs."""

from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def cases(pytestconfig: pytest.Config) -> Callable[[int], int]:
    """``cases(bounded)``: the number given with ``--cases``, or this bounded one where none is given."""

    def number(bounded: int) -> int:
        given = pytestconfig.getoption("--cases")
        return bounded if given is None else int(given)

    return number
