"""Whether a process that was seen once is still there. Knows no Dagster."""

import os
import subprocess
import time
from pathlib import Path

# A process that is younger than what is known of it has only inherited the number; clocks and roundings differ by less.
_CLOCK_SLACK_S = 5.0


def is_alive(pid: int, seen_at: float) -> bool:
    """Whether the process that was there at a moment (Unix time) goes on; what only waits to be reaped does not."""
    began = _began(pid)
    return began is not None and began <= seen_at + _CLOCK_SLACK_S


def _began(pid: int) -> float | None:
    """When a process began (Unix time); None when there is none of this number, or only its remains."""
    try:
        if not Path("/proc/self/stat").exists():
            return _began_by_ps(pid)
        # After the name, which may hold anything: state, ..., and 20th the start in ticks since the machine's.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        return None
    booted = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    return int(booted.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _began_by_ps(pid: int) -> float | None:
    said = subprocess.run(
        ["ps", "-o", "stat=,etime=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if len(said) != 2 or said[0].startswith("Z"):
        return None
    days, _, clock = said[1].rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return time.time() - seconds - int(days or 0) * 86_400
