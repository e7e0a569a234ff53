"""The Dagster UI for a laptop: local S3, webserver, daemon and code server, as one foreground process."""

import os
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from netflix_assets.instance import open_instance, prepare_dagster_home
from netflix_assets.local_s3 import lease, local_s3
from netflix_assets.runs import reap
from netflix_assets.settings import REPO, Settings

STOP_TIMEOUT_S = 30


class PortTakenError(OSError):
    """Something else listens on the port."""


def serve(settings: Settings, port: int, announce: Callable[[str], None]) -> None:
    """Run until Ctrl-C or SIGTERM, then stop everything that was started.

    Raises: PortTakenError; LocalS3Error.
    """
    _refuse_taken_port(port)
    home = prepare_dagster_home(settings)
    with open_instance(settings) as instance:
        for run_id in reap(instance):
            announce(f"run      {run_id} had not ended and its process is gone: it is reported as failed")
    with ExitStack() as stack:
        if settings.serves_s3:
            stack.enter_context(lease(local_s3(settings.home), settings.bucket))
            announce(f"bucket   {settings.s3_folder / settings.bucket}   (copy a file in here: it is an upload)")
        announce(f"UI       http://127.0.0.1:{port}   (Ctrl-C stops everything)")
        scripts = Path(sysconfig.get_path("scripts"))
        process = subprocess.Popen(
            [scripts / "dagster", "dev", "-w", REPO / "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
            cwd=REPO,
            env={
                **os.environ,
                "DAGSTER_HOME": str(home),
                "NETFLIX_HOME": str(settings.home),
                "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
            },
            start_new_session=True,
            # A shell that starts this command with `&` has interrupts ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            signal.signal(signal.SIGTERM, _interrupt)
            process.wait()
        except KeyboardInterrupt:
            announce("stopping")
        finally:
            _stop(process)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise PortTakenError(f"port {port} is taken; choose another: UI_PORT=3001 make ui")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # dagster dev stops its children on an interrupt, not on SIGTERM
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
