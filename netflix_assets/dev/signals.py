"""How a command that serves until Ctrl-C learns that it has to stop."""

import signal
from threading import Event


def stop_signal() -> Event:
    """The event that is set when this process has to stop: Ctrl-C, SIGTERM or the end of the terminal."""
    stopping = Event()
    # Signals with a handler are back to their default in child processes. Those that a shell ignores for what it starts
    # with `&` would stay ignored.
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, lambda *_: stopping.set())
    return stopping
