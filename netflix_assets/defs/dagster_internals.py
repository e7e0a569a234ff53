"""Every use of a private API of Dagster, each with the reason it is needed. Those of dagster-dbt are in ``defs/dbt``.

A contract test per entry (``netflix_assets_tests/defs/test_dagster_internals.py``) says what to do when it breaks.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from threading import local
from typing import Any

import dagster as dg

# A launcher answers run monitoring with these. Dagster exports its launchers but not their answers.
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.polling_event_watcher import SqlPollingEventWatcher
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from netflix_assets.defs.runs import HOST, hold_run_lock, pid_host, why_dead


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
        self._instance.add_run_tags(context.dagster_run.run_id, {HOST: pid_host()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may call ``check_run_worker_health``."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process is alive, as far as this machine can see."""
        reason = why_dead(run, self._instance)
        return CheckRunHealthResult(WorkerStatus.RUNNING if reason is None else WorkerStatus.NOT_FOUND, reason)


class EventLogStorage(SqliteEventLogStorage):
    """Dagster's event log in SQLite, which keeps its connections open. The files are the same.

    Dagster's opens an engine and a connection for each statement, compiles the statement again, and empties the
    write-ahead log at each close: 12 ms of CPU and 50 ms on a disk for an event, of which a run has some 1,700. With
    open connections it is 3 ms and 5 ms.
    """

    _MAX_OPEN = 8  # the index and the runs that were asked for last

    def __init__(self, base_dir: str) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._batch = local()  # of each thread: how to get the connections of the batch that it stores
        super().__init__(base_dir)
        # Dagster watches for changes of the database file. Now they stay in the write-ahead log for a while.
        self._watcher = SqlPollingEventWatcher(self)
        self.has_table = cache(super().has_table)  # type: ignore[method-assign]  # asked for each materialization

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events in one transaction of each database; Dagster's method makes two or three for each event.

        Dagster collects the events that plan a run, 900 for all assets and checks, if $DAGSTER_EVENT_BATCH_SIZE is set.
        """
        with self._db_lock, ExitStack() as transactions:
            self._batch.connection = cache(lambda shard: transactions.enter_context(self._begin(shard)))
            try:
                super().store_event_batch(events)
            finally:
                del self._batch.connection

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if hasattr(self._batch, "connection"):
            yield self._batch.connection(shard)
            return
        with self._db_lock, self._begin(shard) as connection:
            yield connection

    @contextmanager
    def _begin(self, shard: str) -> Iterator[Connection]:
        with self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        if shard in self._engines and not Path(self.path_for_shard(shard)).exists():  # removed by `retention`
            self._engines.pop(shard).dispose()
        if shard not in self._engines:
            engine = _open_engine(self.conn_string_for_shard(shard))
            self._initdb(engine)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        while len(self._engines) > self._MAX_OPEN:
            self._engines.popitem(last=False)[1].dispose()
        return self._engines[shard]

    def watch(self, run_id: str, cursor: str | None, callback: Callable[..., Any]) -> None:
        """Call back for each new event of a run; polls."""
        self._watcher.watch_run(run_id, cursor, callback)

    def end_watch(self, run_id: str, handler: Callable[..., Any]) -> None:
        """Stop calling back."""
        self._watcher.unwatch_run(run_id, handler)

    def dispose(self) -> None:
        """Close the connections."""
        self._watcher.close()
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _open_engine(connection_string: str) -> Engine:
    """An engine with one open connection, which one thread at a time may use."""
    engine = create_engine(
        connection_string,
        poolclass=StaticPool,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    # With a write-ahead log, a killed process loses nothing. A power cut may lose a run's last events, and then the run
    # is reported as failed; what it loaded is in the warehouse and its ledger.
    event.listen(engine, "connect", lambda connection, _: connection.execute("pragma synchronous = normal"))
    return engine


class SqliteStorage(DagsterSqliteStorage):
    """Dagster's storage in SQLite with the event log above."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = EventLogStorage(str(Path(base_dir, "history", "runs")))

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "SqliteStorage":
        """Create the storage from its entry in dagster.yaml."""
        return cls.from_local(inst_data=inst_data, **config_value)


def last_result(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
    """The last result of a check, passed or not; None if there is none.

    Dagster's public ``get_latest_asset_check_evaluation_record`` gives none while a run has planned the check again.
    """
    ended = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}
    records = instance.event_log_storage.get_asset_check_execution_history(check, limit=1, status=ended)
    evaluations = (record.event.dagster_event.asset_check_evaluation_data for record in records)  # type: ignore[union-attr]
    return next(evaluations, None)
