"""Dagster's event log on SQLite, without its waiting for the disk at every event.

Dagster opens and closes the file of a run, and that of all runs, two to four times for each event, and every closing
writes a checkpoint to the disk. A run of the graph has 2,000 events, 476 of them before it starts: those alone took
35 s on a busy machine, 6 s of them CPU, and take 1.7 s (1.1 s) with connections that stay open. ``synchronous=normal``
is what SQLite recommends beside its write-ahead log: a process that is killed loses nothing, a power cut may cost the
last events, never the file.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, Pool, StaticPool

_FILES_OPEN = 16  # the one of all runs and those of the runs looked at last


class EventLog(SqliteEventLogStorage):
    """Dagster's own storage, in the place where it always is, with connections that stay open."""

    def __init__(self, dagster_home: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(str(Path(dagster_home) / "history" / "runs"), inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """What dagster.yaml has to say."""
        return {"dagster_home": dg.StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "EventLog":
        """The storage that dagster.yaml asks for."""
        return cls(inst_data=inst_data, **config_value)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event, and touch the run's file: the UI watches it, and what has changed is the log beside it."""
        super().store_event(event)
        os.utime(self.path_for_shard(event.run_id))

    def dispose(self) -> None:
        """Close the files."""
        super().dispose()
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:  # one connection for all threads
            if shard not in self._initialized_dbs:
                self._initdb(self._new_engine(shard, NullPool))
                self._initialized_dbs.add(shard)
            with self._engine(shard).begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            self._engines[shard] = self._new_engine(shard, StaticPool)
            if len(self._engines) > _FILES_OPEN:
                self._engines.popitem(last=False)[1].dispose()
        self._engines.move_to_end(shard)
        return self._engines[shard]

    def _new_engine(self, shard: str, pool: type[Pool]) -> Engine:
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=pool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        event.listen(engine, "connect", _relax)
        return engine


def _relax(connection: Any, _: object) -> None:
    connection.execute("pragma synchronous=normal")
