"""What the commands print, and the codes that they exit with."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from netflix_assets.contracts.visibility import printable, printable_lines

if TYPE_CHECKING:
    from rich.status import Status

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_NOTHING_LOADED = 4
EXIT_STOPPED = 130

SECONDS_PER_LINE = 10.0  # between progress lines when the output is not a terminal
_PROGRESS_WIDTH = 110  # characters of a message beside the spinner
_PIPE_WIDTH = 200  # characters per line of a table that is not printed to a terminal
_NUMERIC = frozenset({
    "objects", "versions", "rows", "rejected", "refused", "load", "record", "line", "ratings", "average", "titles",
    "polarization", "robust z", "series", "lines", "net", "returned", "cost",
})  # fmt: skip

# No markup, no :emoji: and no highlighting: file names and values may look like these.
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}


def _open_closed_streams() -> None:
    """Connect the standard streams that the caller closed (``>&-``, some daemons) to the null device.

    Otherwise the next files that are opened, such as the warehouse, get their numbers, and what a library or a child
    process prints goes into them.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


class _Console(Console):
    """A console whose reader may stop (``| head -1``): the command goes on unheard. Rich's exits with 1, half done."""

    def on_broken_pipe(self) -> None:
        """Drop what is printed from now on."""
        self.quiet = True
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.file.fileno())
        os.close(null)


_open_closed_streams()
out = _Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, **_PLAIN)
err = _Console(stderr=True, width=None if sys.stderr.isatty() else _PIPE_WIDTH, **_PLAIN)


class Failure(click.ClickException):
    """An error in one line."""

    exit_code = EXIT_FAILED

    def show(self, file: Any = None) -> None:
        """Print the message."""
        fail(f"netflix-assets: {self.message}")


def say(text: str = "") -> None:
    """Print a result in one line."""
    out.print(printable(text), soft_wrap=True)


def note(text: str) -> None:
    """Print a remark to standard error, in one line."""
    err.print(printable(text), soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning to standard error, in one line."""
    err.print(printable(text), style="yellow", soft_wrap=True)


def fail(text: str) -> None:
    """Print an error to standard error."""
    err.print(printable_lines(text), style="red", soft_wrap=True)


@contextmanager
def spinner(text: str) -> "Iterator[Status | _Lines]":
    """Show what is going on until the block ends: beside a spinner on a terminal, else in a line every 10 s."""
    shown = err.status(progress_text(text)) if err.is_terminal else _Lines(progress_text(text))
    with shown as status:
        yield status


class _Lines:
    """Prints to standard error what is going on and for how long, once in a while: a reader of a log sees it live."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._ended = Event()
        self._thread = Thread(target=self._print, name="progress lines", daemon=True)

    def update(self, text: Text | str) -> None:
        """Replace the text of the next line."""
        self._text = text if isinstance(text, Text) else progress_text(text)

    def __enter__(self) -> "_Lines":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _print(self) -> None:
        started = time.monotonic()
        while not self._ended.wait(SECONDS_PER_LINE):
            note(f"{time.monotonic() - started:.0f} s: {self._text.plain}")


def progress_text(message: str) -> Text:
    """What a spinner shows of a message: the start of its first line."""
    return Text(printable(message.strip().partition("\n")[0][:_PROGRESS_WIDTH]))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]], title: str | None = None) -> None:
    """Print rows under the names of their columns."""
    if title:  # not the table's own, which is wrapped to the width of a narrow table
        out.print(title, style="bold", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in columns:
        justify: Literal["left", "right"] = "right" if name in _NUMERIC else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name == "dataset")
    for row in rows:
        table.add_row(*map(printable, row))
    out.print(table)
