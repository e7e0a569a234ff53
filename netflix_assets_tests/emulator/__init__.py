"""A Snowflake for tests: a server that speaks Snowflake's protocol and runs its SQL on DuckDB.

It is fakesnow plus two kinds of additions. Some fill gaps: ``adaptations.py``, ``stages.py`` and ``copy_into.py``.
Others close differences that would let a wrong program pass: ``session.py``. It does not prove that a statement works
on Snowflake.
"""
