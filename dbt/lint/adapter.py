"""Stands in for dbt's `adapter` when sqlfluff renders the models: every dispatched macro is the default__ one (DuckDB).

Used by setup.cfg (library_path) and by nothing else; dbt never reads it.
"""

from collections.abc import Callable

from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def dispatch(context: Context, macro_name: str, macro_namespace: str | None = None) -> Callable[..., str]:
    """Return the macro that dbt-duckdb would call for `macro_name`."""
    return context.resolve(f"default__{macro_name}")


def get_relation(*_: object) -> None:
    """No relation is there: nothing is asked while linting."""
