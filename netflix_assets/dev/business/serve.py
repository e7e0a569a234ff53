"""Serve the sample databases: until Ctrl-C, or while a command needs them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

from filelock import FileLock, Timeout

from netflix_assets.dev.business.load import load
from netflix_assets.dev.postgres import (
    HOST,
    OWNER,
    Postgres,
    PostgresError,
    is_alive,
    programs,
    running,
    start,
    stop,
    was_stopped,
)
from netflix_assets.dev.signals import stop_signal

_LOOK_S = 1.0


def serve(
    folder: Path, port: int | None, scale: float | None, seed: int | None, announce: Callable[[str], None]
) -> None:
    """Start the server, load the samples into empty databases, say how to use them, and stop it at the end.

    A server that a killed command left behind is taken over. If another command serves this folder, this one only says
    how to use the databases.

    Raises: PostgresError, also when the server ends by itself; ValueError for the scale or the seed.
    """
    stopping = stop_signal()
    try:
        with _started(folder, port, scale, seed) as server:
            _watch(server, stopping, announce)
    except Timeout:
        describe(running(folder), announce)
        announce("another command is already serving it")


@contextmanager
def served(folder: Path) -> Iterator[Postgres]:
    """The sample databases for the length of the block, started and loaded unless another command serves them.

    Raises: PostgresError.
    """
    with ExitStack() as stack:
        try:
            server = stack.enter_context(_started(folder))
        except Timeout:
            server = running(folder)
        yield server


@contextmanager
def _started(
    folder: Path, port: int | None = None, scale: float | None = None, seed: int | None = None
) -> Iterator[Postgres]:
    """The server with its rows, for the length of the block. Raises: Timeout when another command serves the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "command.lock", timeout=0):
        server = start(folder, port)
        try:
            load(server, scale, seed)
            yield server
        finally:
            stop(server)


def _watch(server: Postgres, stopping: Event, announce: Callable[[str], None]) -> None:
    describe(server, announce)
    announce("Ctrl-C stops it; the data is kept")
    while not stopping.wait(_LOOK_S):
        if not is_alive(server):
            if was_stopped(server):
                return
            raise PostgresError(
                f"PostgreSQL ended; its output is in {server.log}. To start it again: netflix-assets dev postgres"
            )
    announce("stopping")


def psql(server: Postgres) -> str:
    """The command that opens psql on the database shop, as the owner of its tables."""
    password = f"PGPASSFILE={server.folder / 'pgpass'}"
    return f"{password} {programs() / 'psql'} -h {HOST} -p {server.port} -U {OWNER} shop"


def describe(server: Postgres, announce: Callable[[str], None]) -> None:
    """Say where the databases are, with which settings the pipeline reads them, and how to change rows."""
    announce(f"PostgreSQL at {HOST}:{server.port} with the databases crm, shop and finance")
    announce("settings with which the pipeline reads them:")
    for name, value in server.settings().items():
        announce(f"export {name}={value}")
    announce(f"to change rows: {psql(server)}")
    announce("to play a day of activity: netflix-assets dev postgres --days 1")
