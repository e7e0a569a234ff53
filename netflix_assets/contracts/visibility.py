"""Which values from the warehouse may appear in metadata, messages and alerts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from netflix_assets.contracts.model import Source, all_datasets


@dataclass(frozen=True)
class Showable:
    """Which values that have come out of the warehouse may stand in metadata, messages and alerts.

    ``names``: the columns that every contract lets be shown; None where no contract hides any.
    """

    names: frozenset[str] | None

    def column(self, name: str) -> bool:
        """Whether a column of whatever table may be shown: a contract's own, or a count; what is derived may tell."""
        return self.names is None or name in self.names or name.startswith("n_")

    def message(self, text: str) -> str:
        """A message of the warehouse, without the values that it quotes."""
        return text if self.names is None else _QUOTED.sub("'(not shown)'", text)


_QUOTED = re.compile(r"'[^']*'")


def showable(sources: Iterable[Source]) -> Showable:
    """What these contracts let be shown."""
    columns = [column for dataset in all_datasets(sources) for column in dataset.columns]
    hidden = {column.name for column in columns if not column.showable}
    return Showable(frozenset({column.name for column in columns} - hidden) if hidden else None)
