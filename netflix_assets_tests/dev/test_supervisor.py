"""A service is kept going: started again, later and later; one that is silent too; stopped with what it has started."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netflix_assets import supervisor
from netflix_assets.processes import is_alive
from netflix_assets.supervisor import Service, Surroundings, stop_group

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
# Starts another process that knows nothing of interrupts, and writes down its number.
PARENT = """
import subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
child.stdout.readline()
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""


def wait(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(supervisor, "FIRST_DELAY_S", 0.05)
    monkeypatch.setattr(supervisor, "SILENT_S", 0.2)
    return []


@pytest.fixture
def here(tmp_path: Path, told: list[str]) -> Surroundings:
    return Surroundings(tmp_path, os.environ, [], told.append)


def test_what_is_killed_is_started_again(here: Surroundings, told: list[str]) -> None:
    service = Service("daemon", SLEEP, here)
    seen = []
    for _ in range(3):
        (pid,) = service.groups
        seen.append(pid)
        os.kill(pid, signal.SIGKILL)
        wait(lambda: service.look_after() or service.groups[-1] not in seen)
    service.stop(5)
    assert len(set(seen)) == 3
    assert told == ["the daemon was killed (SIGKILL); it is started again in 0 s"] * 3
    assert not is_alive(service.groups[-1], time.time())


def test_the_delay_doubles_up_to_a_limit_and_begins_anew_for_one_that_lasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: now[0])
    told: list[str] = []
    service = Service("daemon", ["false"], Surroundings(tmp_path, os.environ, [], told.append))

    def ends_after(seconds: float) -> str:
        now[0] += seconds
        while len(told) == known:
            service.look_after()
        now[0] += supervisor.LONGEST_DELAY_S
        service.look_after()
        return told[-1].removeprefix("the daemon has ended with exit code 1; it is started again in ")

    delays = []
    for seconds in (0, 0, 0, 0, 0, 0, 0, 0, supervisor.LASTS_S, 0):
        known = len(told)
        delays.append(ends_after(seconds))
    assert delays == ["1 s", "2 s", "4 s", "8 s", "16 s", "32 s", "60 s", "60 s", "1 s", "2 s"]


def test_one_that_has_answered_and_is_silent_is_started_again_and_what_it_started_goes_on(
    here: Surroundings, told: list[str], tmp_path: Path
) -> None:
    answers = [True]
    service = Service("code server", [sys.executable, "-c", PARENT, tmp_path / "child"], here, lambda: answers[0])
    wait((tmp_path / "child").exists)
    wait(lambda: (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    service.look_after()
    answers[0] = False
    wait(lambda: service.look_after() or len(service.groups) == 2)
    assert told == ["the code server has not answered for 0 s; it is started again in 0 s"]
    assert is_alive(child, time.time())
    service.stop(0.5)  # interrupted, and killed because it is deaf
    assert not is_alive(child, time.time())


def test_a_group_that_is_gone_is_no_error(here: Surroundings) -> None:
    service = Service("daemon", SLEEP, here)
    service.stop(5)
    stop_group(service.groups[0], 5)
    service.stop(5)
