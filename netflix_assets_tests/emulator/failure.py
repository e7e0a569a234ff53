"""The error of a failed statement."""

import pytest
from snowflake.connector.errors import DatabaseError


def failure(ask, statement, *values):
    with pytest.raises(DatabaseError) as raised:
        ask(statement, *values)
    return raised.value
