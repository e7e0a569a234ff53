"""Every use of a private API of Dagster and dagster-dbt, each with the reason it is needed.

A contract test per entry (``netflix_assets_tests/defs/test_dagster_internals.py``) says what to do when it breaks.
"""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import dagster as dg
import dagster_dbt.asset_utils

# A launcher answers run monitoring with these. Dagster exports its launchers but not their answers.
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_dbt import DbtCliResource
from packaging.version import Version

from netflix_assets.defs.runs import HOST, hold_run_lock, this_host, why_dead


class _LockingExecutor(dg.Executor):
    """Dagster's in-process executor, with the run's lock held while it executes.

    ``dg.Executor`` is public; the contexts that it receives are not exported, so they have no types here.
    """

    def __init__(self, executor: dg.Executor) -> None:
        self._executor = executor

    @property
    def retries(self) -> Any:
        """The retry mode of the wrapped executor."""
        return self._executor.retries

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        """Execute the run and yield its events."""
        with hold_run_lock(plan_context.instance, plan_context.run_id):
            yield from self._executor.execute(plan_context, execution_plan)


_in_process_executor: Any = dg.in_process_executor


@dg.executor(name="in_process", config_schema=_in_process_executor.config_schema)
def locking_in_process_executor(context: dg.InitExecutorContext) -> dg.Executor:
    """Run all steps in the run's process: a fresh process for each step costs seconds of imports."""
    return _LockingExecutor(_in_process_executor.executor_creation_fn(context))


class RunLauncher(dg.DefaultRunLauncher):
    """Dagster's launcher, which can also tell whether a run's process is still alive.

    With it, Dagster's run monitoring reports a killed run as failed within its polling interval (dagster.yaml).
    """

    def launch_run(self, context: Any) -> None:
        """Launch the run, and record this machine: until it executes, only the code server knows its process."""
        self._instance.add_run_tags(context.dagster_run.run_id, {HOST: this_host()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may call ``check_run_worker_health``."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process is alive, as far as this machine can see."""
        reason = why_dead(run, self._instance)
        return CheckRunHealthResult(WorkerStatus.RUNNING if reason is None else WorkerStatus.NOT_FOUND, reason)


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
