"""The Dagster UI for a laptop: ``dagster dev`` over the local S3 and the sample databases, until Ctrl-C.

When one of its processes dies, everything stops with a message. The next start reports the runs that did not end and
loads their files. ``dagster dev`` restarts its code server by itself, and the local S3 is restarted here.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from netflix_assets.defs.runs import reap
from netflix_assets.dev.business.serve import psql, served
from netflix_assets.dev.postgres import DATABASES, PostgresError
from netflix_assets.dev.signals import stop_signal
from netflix_assets.operations.instance import open_instance, prepare_dagster_home
from netflix_assets.settings import REPO, Settings
from netflix_assets.settings.environment import UI_OF, for_dagster
from netflix_assets.storage.local_s3 import LocalS3, LocalS3Error, lease, local_s3, revive

STOP_TIMEOUT_S = 30.0
KILL_TIMEOUT_S = 5.0
NO_DEFINITIONS_S = 30.0  # a code server that was killed has a new process for its definitions after 5 to 15 s
_LOOK_S = 1.0


class PortTakenError(OSError):
    """Something else listens on the port."""


class UIRunsError(OSError):
    """A UI of this home is already running."""


class UIEndedError(OSError):
    """A process of the UI ended by itself."""

    def __init__(self, process: str) -> None:
        super().__init__(f"{process} ended, so the UI was stopped; its output is above. To start it again: make ui")


def serve(settings: Settings, port: int, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, SIGTERM or the end of the terminal, then stop everything that was started.

    Raises: UIRunsError; PortTakenError; UIEndedError; LocalS3Error.
    """
    stopping, url = stop_signal(), f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.enter_context(_only_one(settings.home, url))
        if left := len(processes_of(settings.home)):
            announce(f"stopping {left} {'process' if left == 1 else 'processes'} that a killed UI left behind")
            _stop(settings.home)
        _refuse_taken_port(port)
        prepare_dagster_home(settings)
        environment = {**for_dagster(settings), UI_OF: str(settings.home.resolve())}
        with open_instance(settings) as instance:
            for run_id in reap(instance):
                announce(f"run      {run_id} did not end and its process is gone; reported as failed")
        server = stack.enter_context(lease(local_s3(settings.home), settings.bucket)) if settings.serves_s3 else None
        if server:
            announce(f"bucket   {settings.s3_folder / settings.bucket}   (copy a file in here: it is an upload)")
        environment |= stack.enter_context(_sample_databases(settings, announce))
        announce(f"UI       {url}   (Ctrl-C stops everything)")
        dagster = stack.enter_context(_dagster_dev(port, environment))
        stack.callback(_stop, settings.home)
        watched = _Definitions(dagster.pid)
        while not stopping.wait(_LOOK_S):
            if server:
                _keep(server, announce)
            if dagster.poll() is not None:
                raise UIEndedError("dagster dev")
            if watched.are_gone():
                raise UIEndedError("the process with the definitions (dagster api grpc)")
        announce("stopping")


def processes_of(home: Path) -> list[psutil.Process]:
    """The processes of this home's UI and all that they have started, also when the UI itself was killed."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is another user's
            if process.environ().get(UI_OF) == str(home.resolve()) and process.pid != os.getpid():
                found.append(process)
    return found


class _Definitions:
    """Whether the code server has its definitions, which ``dagster dev`` does not watch.

    They are in a process below the code server's (``dagster api grpc``). Without it, no sensor ticks and no run starts.
    """

    def __init__(self, dagster_dev: int) -> None:
        self._dagster_dev = dagster_dev
        self._seen_at: float | None = None

    def are_gone(self) -> bool:
        """Whether they were there and have been gone for a while."""
        now = time.monotonic()
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self._dagster_dev).children(recursive=True):
                if "grpc" in process.cmdline():
                    self._seen_at = now
        return self._seen_at is not None and now - self._seen_at > NO_DEFINITIONS_S


@contextmanager
def _only_one(home: Path, url: str) -> Iterator[None]:
    """Hold the lock of this home's UI; the kernel releases it with the process. Raises: UIRunsError."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "ui.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise UIRunsError(f"a UI of {home} is already running ({lock.read()})") from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, {url}")
        lock.flush()
        yield


@contextmanager
def _sample_databases(settings: Settings, announce: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Serve the sample databases if this home has them. Yields the variables of those that have no other address."""
    folder, unset = settings.home / "postgres", [name for name in DATABASES if name not in settings.databases]
    with ExitStack() as stack:
        variables: dict[str, str] = {}
        if unset and (folder / "server.json").exists():
            try:
                server = stack.enter_context(served(folder))
                variables = server.settings(unset)
                announce(f"databases {', '.join(unset)}   (to change rows: {psql(server)})")
            except PostgresError as error:
                announce(f"the sample databases are not served: {error}")
        yield variables


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise PortTakenError(f"port {port} is taken; choose another: UI_PORT=3001 make ui")


def _dagster_dev(port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # "superseded" by `dg dev`, which starts the same but reads settings from the user's home directory.
    quiet = ["-W", "ignore:Function `dev_command`"]
    command = ["-m", "dagster", "dev", "-w", str(REPO / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
    # Its processes read .env in their folder, and each would prefer that to the settings of this one: not in the
    # repository. A session of its own: Ctrl-C in the terminal is for this process, which then stops all.
    return subprocess.Popen(
        [sys.executable, *quiet, *command], cwd=environment["DAGSTER_HOME"], env=environment, start_new_session=True
    )


def _keep(server: LocalS3, announce: Callable[[str], None]) -> None:
    try:
        if revive(server):
            announce("the local S3 had ended; it is running again")
    except LocalS3Error as error:
        announce(str(error))


def _stop(home: Path) -> None:
    """Interrupt all processes of this home's UI; kill those that do not end in time."""
    for by, seconds in ((signal.SIGINT, STOP_TIMEOUT_S), (signal.SIGKILL, KILL_TIMEOUT_S)):
        deadline = time.monotonic() + seconds
        for process in processes_of(home):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(by)
        while processes_of(home):
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_S / 4)
        else:
            return
