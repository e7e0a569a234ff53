"""Decide which values from the warehouse may appear in metadata, messages and alerts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

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


_QUOTED = re.compile(r"'[^']*'")


def showable(sources: Iterable[Source]) -> Showable:
    """What these contracts allow to be shown."""
    columns = [column for dataset in all_datasets(sources) for column in dataset.columns]
    hidden = {column.name for column in columns if not column.showable}
    return Showable(frozenset({column.name for column in columns} - hidden) if hidden else None)
