"""The Dagster UI for a laptop: local S3, code server, webserver and daemon, kept going until Ctrl-C.

They are processes of their own, as in production, so that the end of one costs the others nothing: a run goes on under
the code server whatever becomes of webserver, daemon and S3. Does not belong here: how a process is kept going
(``supervisor.py``).
"""

import fcntl
import json
import os
import signal
import socket
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import TextIO

import yaml
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient

from netflix_assets.defs.runs import reap
from netflix_assets.operations.instance import open_instance, prepare_dagster_home
from netflix_assets.processes import is_alive
from netflix_assets.settings import REPO, Settings
from netflix_assets.storage.local_s3 import LocalS3, LocalS3Error, lease, local_s3, revive
from netflix_assets.supervisor import Service, Surroundings, stop_group

START_TIMEOUT_S = 300.0  # of the code server: the first time it parses the dbt project
STOP_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 5
_LOOK_S = 1.0


class PortTakenError(OSError):
    """Something else listens on the port."""


class UIRunsError(OSError):
    """A UI of this home runs already."""


def serve(settings: Settings, port: int, announce: Callable[[str], None]) -> None:
    """Run until Ctrl-C, SIGTERM or the end of the terminal, then stop everything that was started.

    Raises: UIRunsError; PortTakenError; LocalS3Error.
    """
    stopping = _stop_signal()
    with ExitStack() as stack:
        lock = stack.enter_context(_only_one(settings, announce))
        _refuse_taken_port(port)
        environment = _environment(settings)
        with open_instance(settings) as instance:
            for run_id in reap(instance):
                announce(f"run      {run_id} had not ended and its process is gone: it is reported as failed")
        server = stack.enter_context(lease(local_s3(settings.home), settings.bucket)) if settings.serves_s3 else None
        if server:
            announce(f"bucket   {settings.s3_folder / settings.bucket}   (copy a file in here: it is an upload)")
        url = f"http://127.0.0.1:{port}"
        announce(f"UI       {url}   (Ctrl-C stops everything)")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services: list[Service] = []
        _note(lock, url, services)
        stack.callback(_stop, services, announce)
        for service in _services(port, folder, Surroundings(REPO, environment, [lock.fileno()], announce), stopping):
            services.append(service)
            _note(lock, url, services)
        while not stopping.wait(_LOOK_S):
            if server:
                _keep(server, announce)
            for service in services:
                service.look_after()
            _note(lock, url, services)


def _stop_signal() -> Event:
    """What is set when the process is to stop."""
    stopping = Event()
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, lambda *_: stopping.set())
    return stopping


def _services(port: int, folder: Path, surroundings: Surroundings, stopping: Event) -> Iterator[Service]:
    """The processes in the order of their start; each is given out as soon as it runs.

    ``folder`` takes the code server's socket; the path of one has 107 characters at most.
    """
    location = yaml.safe_load((REPO / "workspace.yaml").read_text(encoding="utf-8"))["load_from"][0]["python_module"]
    address, workspace = str(folder / "code"), folder / "workspace.yaml"
    server = {"socket": address, "location_name": location["location_name"]}
    workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
    dagster = Path(sysconfig.get_path("scripts")) / "dagster"

    command = [dagster, "code-server", "start", "-m", location["module_name"], "-s", address, "--log-level", "warning"]
    answers = partial(_answers, address)
    yield Service("code server", command, surroundings, answers)
    deadline = time.monotonic() + START_TIMEOUT_S
    # Whoever looks at a code server that is not there yet shows an error for a while.
    while not answers() and time.monotonic() < deadline:
        if stopping.wait(_LOOK_S / 2):
            return
    options = ["-w", str(workspace)]
    yield Service("webserver", [f"{dagster}-webserver", "-h", "127.0.0.1", "-p", str(port), *options], surroundings)
    yield Service("daemon", [f"{dagster}-daemon", "run", *options], surroundings)


def _answers(address: str) -> bool:
    """Whether the process behind the code server, which has the definitions, answers."""
    try:
        DagsterGrpcClient(socket=address).get_server_id(timeout=ANSWER_TIMEOUT_S)
    except DagsterUserCodeUnreachableError:
        return False
    return True


def _keep(server: LocalS3, announce: Callable[[str], None]) -> None:
    try:
        if revive(server):
            announce("the local S3 had ended; it is started again")
    except LocalS3Error as error:
        announce(str(error))


def _stop(services: Sequence[Service], announce: Callable[[str], None]) -> None:
    announce("stopping")
    for service in reversed(services):  # the code server last: runs that go on are interrupted with it
        service.stop(STOP_TIMEOUT_S)


@contextmanager
def _only_one(settings: Settings, announce: Callable[[str], None]) -> Iterator[TextIO]:
    """Hold the lock of this home's UI, for as long as any of its processes is there; stops what a killed UI has left.

    Raises: UIRunsError.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "ui.lock").open("a+", encoding="utf-8") as lock:
        if not _lock(lock):
            lock.seek(0)
            noted = json.loads(lock.read() or "{}")
            if not noted or is_alive(noted["pid"], noted["at"]):
                who = f", as process {noted['pid']}: {noted['url']}" if noted else ""
                raise UIRunsError(f"a UI of {settings.home} runs already{who}")
            announce(f"the UI that was process {noted['pid']} was killed: stopping what it has left")
            for group in noted["groups"]:
                stop_group(group, STOP_TIMEOUT_S)
            if not _lock(lock):
                raise UIRunsError(f"processes of a UI of {settings.home} do not end; groups: {noted['groups']}")
        try:
            yield lock
        finally:
            lock.truncate(0)


def _lock(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _note(lock: TextIO, url: str, services: Iterable[Service]) -> None:
    """Write down what is to be stopped if this process is killed."""
    groups = [group for service in services for group in service.groups]
    lock.seek(0)
    if json.loads(lock.read() or "{}").get("groups") == groups:
        return
    lock.truncate(0)
    lock.write(json.dumps({"pid": os.getpid(), "at": time.time(), "url": url, "groups": groups}))
    lock.flush()


def _environment(settings: Settings) -> Mapping[str, str]:
    scripts = sysconfig.get_path("scripts")
    return {
        **os.environ,
        "DAGSTER_HOME": str(prepare_dagster_home(settings)),
        "NETFLIX_HOME": str(settings.home),
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise PortTakenError(f"port {port} is taken; choose another: UI_PORT=3001 make ui")
