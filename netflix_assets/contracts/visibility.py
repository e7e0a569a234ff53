"""Decide which values from the warehouse may appear in metadata, messages and alerts, and how they are written."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import ErrorDetails

from netflix_assets.contracts.model import Source, all_datasets


@dataclass(frozen=True)
class Showable:
    """Which values from the warehouse may be shown.

    ``names``: the columns that no contract hides; None where no contract hides any column.
    """

    names: frozenset[str] | None

    def column(self, name: str) -> bool:
        """Whether a column of any table may be shown: a visible contract column or a count, nothing else derived."""
        return self.names is None or name in self.names or name.startswith("n_")

    def message(self, text: str) -> str:
        """A warehouse message without the values that it quotes."""
        return text if self.names is None else _QUOTED.sub("'(not shown)'", text)


# Control characters, which a terminal obeys, characters that change the order or the lines of what follows them, and
# bytes of file names that are not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text in one line, safe to print: control characters other than TAB are escaped, as in ``\\x1b``."""
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


def printable_lines(text: str) -> str:
    """The text, safe to print, with its line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def plural(number: float, singular: str, plural_form: str = "") -> str:
    """The word that agrees with the number; the plural adds an "s" unless it is given."""
    return singular if number == 1 else plural_form or f"{singular}s"


def counted(number: float, singular: str, plural_form: str = "") -> str:
    """A number with its noun: ``1 file``, ``2,000 files``."""
    return f"{number:,.0f} {plural(number, singular, plural_form)}"


_QUOTED = re.compile(r"'[^']*'")


def showable(sources: Iterable[Source]) -> Showable:
    """What these contracts allow to be shown."""
    columns = [column for dataset in all_datasets(sources) for column in dataset.columns]
    hidden = {column.name for column in columns if not column.showable}
    return Showable(frozenset({column.name for column in columns} - hidden) if hidden else None)


def reason_of(problem: ErrorDetails) -> str:
    """What pydantic says is wrong with a value, without the kind of error that it puts before our own reasons."""
    return problem["msg"].removeprefix("Value error, ")
