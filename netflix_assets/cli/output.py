"""What the commands print, and the codes that they exit with."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.status import Status

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_STOPPED = 130

_PIPE_WIDTH = 200  # characters per line of a table that is not printed to a terminal
_NUMERIC = frozenset({
    "objects", "versions", "rows", "rejected", "refused", "load", "record", "line", "ratings", "average", "titles",
})  # fmt: skip

# No markup and no highlighting: file names and values may look like markup.
out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, markup=False, width=None if sys.stderr.isatty() else _PIPE_WIDTH)


class Failure(click.ClickException):
    """An error in one line."""

    exit_code = EXIT_FAILED

    def show(self, file: Any = None) -> None:
        """Print the message."""
        fail(f"netflix-assets: {self.message}")


def say(text: str = "") -> None:
    """Print a result."""
    out.print(text, soft_wrap=True)


def note(text: str) -> None:
    """Print a remark to standard error."""
    err.print(text, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning to standard error."""
    err.print(text, style="yellow", soft_wrap=True)


def fail(text: str) -> None:
    """Print an error to standard error."""
    err.print(text, style="red", soft_wrap=True)


def spinner(text: str) -> "Status":
    """Show what is going on until the block ends; only on a terminal."""
    return err.status(Text(text))


def print_table(columns: Iterable[str], rows: Iterable[Iterable[str]], title: str | None = None) -> None:
    """Print rows under the names of their columns."""
    if title:  # not the table's own, which is wrapped to the width of a narrow table
        out.print(title, style="bold", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for name in columns:
        justify: Literal["left", "right"] = "right" if name in _NUMERIC else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name == "dataset")
    for row in rows:
        table.add_row(*row)
    out.print(table)


def counted(count: int, noun: str) -> str:
    """A number with its noun: ``1 file``, ``2,000 files``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
