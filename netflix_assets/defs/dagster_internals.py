"""Every use of a private API of Dagster and dagster-dbt, each with the reason it is needed.

A contract test per entry (``netflix_assets_tests/defs/test_dagster_internals.py``) says what to do when it breaks.
"""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import dagster as dg
import dagster_dbt.asset_utils
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster_dbt import DbtCliResource
from packaging.version import Version

from netflix_assets.defs.runs import HOST, tags_of_this_process, this_host, what_ended


class _InThisProcess(InProcessExecutor):
    """Dagster's own executor, which first says where the run goes on: only its process knows that."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        plan_context.instance.add_run_tags(plan_context.run_id, tags_of_this_process())
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process")
def in_this_process(_: dg.InitExecutorContext) -> InProcessExecutor:
    """All steps of a run in the process of the run: a fresh process for each costs seconds of imports."""
    return _InThisProcess(retries=RetryMode.ENABLED)


class RunLauncher(DefaultRunLauncher):
    """Dagster's own launcher that also knows whether the process of a run is still there.

    With it Dagster's run monitoring reports a killed run as failed within its polling interval (dagster.yaml).
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run, and say on which machine: the code server's processes are here."""
        self._instance.add_run_tags(context.dagster_run.run_id, {HOST: this_host()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """It does."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process is there, as far as that can be told from here."""
        reason = what_ended(run, self._instance)
        return CheckRunHealthResult(WorkerStatus.RUNNING if reason is None else WorkerStatus.NOT_FOUND, reason)


class FastDbtCliResource(DbtCliResource):
    """dagster-dbt's resource without two steps before each call that nothing here needs.

    It asks ``dbt --version``, which imports every adapter (4 s with Snowflake's), and it sets up an adapter in this
    process (2 s) for its own row counts and column lineage.
    """

    @property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


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
