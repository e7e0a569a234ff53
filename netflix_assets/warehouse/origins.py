"""Which build made each table to publish: a version shares the tables that are as in an earlier version."""

from collections.abc import Iterable

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.node_states import ENDED, NodeStates
from netflix_assets.warehouse.publishing import ServedTable


def made_by(warehouse: Warehouse, served: Iterable[ServedTable]) -> dict[str, str]:
    """``schema.name`` -> the build that made a table, and the fingerprint of its code and loads.

    Only tables that store rows and whose last build succeeded; any other may have changed since.
    """
    if ("ops", "node_states") not in warehouse.columns(("ops",)):  # made by an earlier version of this project
        return {}
    states = {node_id: state for node_id, state in NodeStates(warehouse).all().items() if state.content != ENDED}
    found = {table.full_name: states[table.node_id] for table in served if table.is_stored and table.node_id in states}
    return {name: f"{state.invocation_id} {state.content}" for name, state in sorted(found.items())}
