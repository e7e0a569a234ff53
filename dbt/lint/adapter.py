"""Stand-in for dbt's `adapter` when sqlfluff renders the models. Dispatched macros resolve to default__ (DuckDB).

Only sqlfluff loads it (library_path in setup.cfg); dbt does not.
"""

from collections.abc import Callable

from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def dispatch(context: Context, macro_name: str, macro_namespace: str | None = None) -> Callable[..., str]:
    """Return the macro that dbt-duckdb would call for `macro_name`."""
    return context.resolve(f"default__{macro_name}")


def get_relation(*_: object) -> None:
    """Return None: linting never queries a warehouse, so no relation exists."""
