"""Processes that are kept going: started again when they end by themselves, stopped with all that they have started.

Knows no Dagster. Does not belong here: which processes there are (``ui.py``).
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FIRST_DELAY_S = 1.0  # before a process is started again; twice as long each time that it does not last
LONGEST_DELAY_S = 60.0
LASTS_S = 120.0  # for one that has lived so long the delays begin anew
SILENT_S = 60.0  # one that has answered and then does not for so long is as good as ended
KILL_TIMEOUT_S = 5.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Surroundings:
    """What the services have in common; ``announce`` is told what has ended, and when it is started again.

    ``inherited``: file descriptors that they keep open, so that a lock on one lasts until the last of them has ended.
    """

    folder: Path
    environment: Mapping[str, str]
    inherited: Sequence[int]
    announce: Callable[[str], None]


class Service:
    """A process that is kept going, the first of a process group of its own.

    ``answers``: whether it does its work; without it, it does for as long as it lives.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        surroundings: Surroundings,
        answers: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.groups: list[int] = []  # also of processes that have ended: what they have started may go on
        self._command, self._surroundings, self._answers = command, surroundings, answers
        self._delay = self._due_at = 0.0
        self._process = self._started()

    def look_after(self) -> None:
        """Start the process again if it has ended and that is due; to be called every second or so."""
        if self._process is None:
            if time.monotonic() >= self._due_at:
                self._process = self._started()
        elif end := self._end_of(self._process):
            lasted = time.monotonic() - self._began_at >= LASTS_S
            self._delay = FIRST_DELAY_S if lasted else min(self._delay * 2 or FIRST_DELAY_S, LONGEST_DELAY_S)
            self._due_at = time.monotonic() + self._delay
            self._process = None
            self._surroundings.announce(f"the {self.name} {end}; it is started again in {self._delay:.0f} s")

    def stop(self, timeout_s: float) -> None:
        """Interrupt the process and what it has started; kill what has not ended in time."""
        for group in self.groups:
            stop_group(group, timeout_s, self._process)

    def _started(self) -> subprocess.Popen[bytes] | None:
        process = subprocess.Popen(
            self._command,
            cwd=self._surroundings.folder,
            env=self._surroundings.environment,
            pass_fds=self._surroundings.inherited,
            start_new_session=True,  # Ctrl-C in the terminal is for whoever supervises, who then stops them in order
            # A shell that starts a command with `&` has interrupts ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._began_at = time.monotonic()
        self._answered_at: float | None = None
        self.groups = [*filter(_has_members, self.groups), process.pid]
        return process

    def _end_of(self, process: subprocess.Popen[bytes]) -> str | None:
        """How the process has ended; None while it goes on."""
        code = process.poll()
        if code is not None:
            return f"was killed ({signal.Signals(-code).name})" if code < 0 else f"has ended with exit code {code}"
        if self._answers is None:
            return None
        now = time.monotonic()
        if self._answers():
            self._answered_at = now
        elif self._answered_at is not None and now - self._answered_at > SILENT_S:
            process.kill()  # it alone: what it has started may do useful work
            process.wait()
            return f"has not answered for {SILENT_S:.0f} s"
        return None


def stop_group(group: int, timeout_s: float, leader: subprocess.Popen[bytes] | None = None) -> None:
    """Interrupt the processes of a group; kill those that have not ended in time.

    ``leader``: the first of them, where it is a child of this process: its end is only seen by waiting for it.
    """
    for by, seconds in ((signal.SIGINT, timeout_s), (signal.SIGKILL, KILL_TIMEOUT_S)):
        deadline = time.monotonic() + seconds
        try:
            os.killpg(group, by)
        except ProcessLookupError:
            return
        while time.monotonic() < deadline:
            if leader is not None:
                leader.poll()
            if not _has_members(group):
                return
            time.sleep(_POLL_S)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
