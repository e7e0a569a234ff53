"""Every use of a private API of dagster-dbt, each with the reason it is needed.

By itself, because importing dagster-dbt takes 3 s of CPU and 60 MB: the webserver and the daemon do without.
A contract test per entry (``netflix_assets_tests/defs/dbt/test_dagster_dbt_internals.py``) says what to do when it
breaks.
"""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import dagster_dbt.asset_utils
from dagster_dbt import DbtCliResource
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from packaging.version import Version

from netflix_assets.warehouse.node_states import NodeState


class FastDbtCliResource(DbtCliResource):
    """dagster-dbt's resource without two slow steps before each call, which this project does not need.

    It calls ``dbt --version``, which imports every adapter (4 s with Snowflake's), and sets up an adapter in this
    process (2 s) for its own row counts and column lineage.
    """

    @property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


def as_dbt_event(state: NodeState) -> DbtCoreCliEventMessage:
    """The event with which dbt would report a node or test, so that dagster-dbt makes the same of it."""
    kind = "LogTestResult" if state.failures is not None else "LogModelResult"
    return DbtCoreCliEventMessage(
        raw_event={
            "info": {"name": kind, "msg": "", "invocation_id": state.invocation_id},
            "data": {
                "node_info": {"unique_id": state.node_id, "node_status": state.status},
                "num_failures": state.failures,
            },
        },
        event_history_metadata={},
    )


@contextmanager
def selected_nodes(unique_ids: Set[str]) -> Iterator[None]:
    """Give dagster-dbt the result of its node selection, for the length of the block.

    Otherwise each start of Dagster imports dbt's selection engine (0.3 s, a tenth of the whole) and asks it twice.
    Selections at run time are not affected.
    """
    module = vars(dagster_dbt.asset_utils)
    original = module["select_unique_ids"]
    module["select_unique_ids"] = lambda *_, **__: set(unique_ids)
    try:
        yield
    finally:
        module["select_unique_ids"] = original
