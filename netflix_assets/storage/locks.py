"""Whether a process is alive, told by a lock that it holds on a file.

The kernel releases a lock when its process ends. Unlike process ids, locks are never reused, and unlike start times
they do not move when the clock is set.
"""

import fcntl
from pathlib import Path


def is_held(lock: Path) -> bool:
    """Whether a living process holds the lock of this file. Raises: FileNotFoundError."""
    with lock.open(encoding="utf-8") as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that look at once do not see each other
        except BlockingIOError:
            return True
    return False
