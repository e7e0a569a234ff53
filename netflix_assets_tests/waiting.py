"""Wait for what another process does, and find a port that it can use."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(
    look: Callable[[], Found], what: Callable[[], str] | str = "", *, seconds: float = 10, pause: float = 0.05
) -> Found:
    """The first true thing that ``look`` returns, asked every ``pause`` seconds.

    Fails after ``seconds``, with ``what`` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what if isinstance(what, str) else what()}"
        time.sleep(pause)
    return found


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
