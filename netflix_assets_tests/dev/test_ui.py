"""The UI of a home: one at a time, ended by the end of one of its processes, and what it has started is stopped."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import pytest

from netflix_assets.dev import ui
from netflix_assets.dev.ui import UI_OF, PortTakenError, UIEndedError, UIRunsError, processes_of, serve
from netflix_assets.settings import Settings, read_settings
from netflix_assets_tests.storage.test_local_s3 import runs
from netflix_assets_tests.waiting import free_port, until

SLEEP = ["sleep", "600"]
# Starts another process, which ignores interrupts, and ends.
PARENT = """
import subprocess, sys
deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid)
"""
HOLD = """
import sys
from pathlib import Path
from netflix_assets.dev.ui import _only_one
with _only_one(Path(sys.argv[1]), "http://127.0.0.1:1"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setattr(ui, "stop_signal", Event)
    monkeypatch.setattr(ui, "_LOOK_S", 0.05)
    return read_settings(home=tmp_path)


def serve_with(
    command: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch, ended: str = "dagster dev"
) -> list[str]:
    """Serve with something else in the place of ``dagster dev``, until this process has ended; what was announced."""
    announced: list[str] = []
    monkeypatch.setattr(ui, "_dagster_dev", lambda _, environment: subprocess.Popen(command, env=environment))
    with pytest.raises(UIEndedError, match=f"^{ended} ended, so the UI was stopped"):
        serve(settings, free_port(), announced.append)
    return announced


@contextmanager
def held_by_another_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.kill()


def test_the_end_of_a_process_ends_the_ui_and_all_that_it_started(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui, "STOP_TIMEOUT_S", 0.5)
    announced = serve_with([sys.executable, "-c", PARENT], settings, monkeypatch)
    assert processes_of(settings.home) == []
    assert [line.split()[0] for line in announced] == ["bucket", "UI"]
    assert not (settings.home / "local-s3.pid").exists()


def test_definitions_that_do_not_come_back_end_the_ui(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "NO_DEFINITIONS_S", 0.2)
    parent = (
        f"import subprocess, time; subprocess.run(['{sys.executable}', '-c', 'import time; time.sleep(1)', 'grpc'])"
    )
    serve_with([sys.executable, "-c", f"{parent}; time.sleep(600)"], settings, monkeypatch, "the process with.*")
    assert processes_of(settings.home) == []


def test_what_a_killed_ui_left_is_stopped_and_another_homes_processes_are_not(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    with (
        subprocess.Popen(SLEEP, env={UI_OF: str(settings.home)}) as left,
        subprocess.Popen(SLEEP, env={UI_OF: str(other)}) as others,
    ):
        until(lambda: len(processes_of(settings.home)) == len(processes_of(other)) == 1)
        announced = serve_with(["false"], settings, monkeypatch)
        assert announced[0] == "stopping 1 process that a killed UI left behind"
        assert left.wait(1) == -signal.SIGINT
        assert runs(others.pid)
        others.kill()


def test_a_second_ui_of_a_home_is_refused_until_the_first_is_gone(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held_by_another_process(settings.home) as first:
        refusal = rf"is already running \(process {first.pid}, http://127\.0\.0\.1:1\)"
        with pytest.raises(UIRunsError, match=refusal):
            serve(settings, free_port(), print)
        serve_with(["false"], read_settings(home=tmp_path_factory.mktemp("other")), monkeypatch)
        first.kill()
        first.wait()
        serve_with(["false"], settings, monkeypatch)


def test_a_port_that_is_taken_is_named(settings: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} is taken"):
            serve(settings, port, print)
