"""A Snowflake for tests: a server that speaks Snowflake's protocol and runs its SQL on DuckDB.

It is fakesnow with two kinds of additions: gaps that are filled (``adaptations.py``, ``stages.py``, ``copy_into.py``)
and differences closed that would let a wrong program pass (``session.py``). It is no proof that a statement works on
Snowflake.
"""
