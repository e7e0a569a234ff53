"""What ``dagster_dbt_internals`` relies on without dagster-dbt promising it, and what to do when a test breaks."""

import subprocess
import sys
from datetime import UTC, datetime

import dagster_dbt.asset_utils
import pytest
from dagster_dbt import DbtCliResource
from packaging.version import Version

from netflix_assets.defs.dbt.dagster_dbt_internals import FastDbtCliResource, as_dbt_event, selected_nodes
from netflix_assets.warehouse.node_states import NodeState


def test_dagster_dbt_has_the_steps_that_are_left_out() -> None:
    """If it breaks: see what ``DbtCliResource.cli`` does before it starts dbt, and whether it is still slow."""
    assert {"_cli_version", "_initialize_dbt_core_adapter"} <= vars(DbtCliResource).keys()
    assert vars(FastDbtCliResource)["_cli_version"].fget(None) >= Version("1.11")


def test_dagster_dbt_selects_nodes_with_the_function_that_is_replaced() -> None:
    """If it breaks: see how ``dbt_assets`` selects nodes, or remove ``selected_nodes``; it only saves time."""
    original = dagster_dbt.asset_utils.select_unique_ids
    with selected_nodes({"model.a"}):
        assert dagster_dbt.asset_utils.select_unique_ids(select="x", exclude="", selector="") == {"model.a"}
    assert dagster_dbt.asset_utils.select_unique_ids is original


@pytest.mark.parametrize(("node_id", "status", "failures"), [("model.a", "success", None), ("test.a", "warn", 3)])
def test_a_stored_state_is_a_result_of_dbt(node_id: str, status: str, failures: int | None) -> None:
    """If it breaks: see what dagster-dbt reads of dbt's messages. Without it reused nodes are not shown in the UI."""
    now = datetime.now(UTC)
    state = NodeState(node_id, "code", "content", status, failures, None, "run", "invocation", now)
    event = as_dbt_event(state)
    assert event.is_result_event
    assert (event._unique_id, event.raw_event["data"]["num_failures"]) == (node_id, failures)


def test_what_stores_runs_and_events_imports_no_dbt() -> None:
    """The webserver and the daemon import this module; dbt would cost each of them 3 s of CPU and 60 MB."""
    code = "import sys, netflix_assets.defs.dagster_internals; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "dagster" in done.stdout.split()
    assert not {"dagster_dbt", "dbt"} & set(done.stdout.split())
