"""The error of a failed statement."""

import pytest
from snowflake.connector.errors import DatabaseError


def failure(execute, statement, *values):
    with pytest.raises(DatabaseError) as raised:
        execute(statement, *values)
    return raised.value
