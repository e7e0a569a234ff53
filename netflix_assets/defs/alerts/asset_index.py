"""The asset graph by names: the assets of each step, their owners, and what is upstream and downstream."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import dagster as dg

_LAYERS = ("marts", "dashboards", "published", "core")  # all dashboards read what is published: they tell nothing


@dataclass(frozen=True)
class AssetIndex:
    """``specs``: asset -> its spec; ``steps``: step -> its assets."""

    specs: Mapping[str, dg.AssetSpec]
    steps: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, assets: Iterable[dg.AssetsDefinition | dg.AssetSpec]) -> "AssetIndex":
        """The index of these assets."""
        every = list(assets)
        made = [each for each in every if isinstance(each, dg.AssetsDefinition)]
        specs = [each for each in every if isinstance(each, dg.AssetSpec)] + [
            spec for each in made for spec in each.specs
        ]
        return cls(
            specs={spec.key.to_user_string(): spec for spec in specs},
            steps={each.op.name: frozenset(key.to_user_string() for key in each.keys) for each in made},
        )

    def owners(self, assets: Iterable[str]) -> tuple[str, ...]:
        """The owners of these assets."""
        return tuple(dict.fromkeys(owner for each in assets if each in self.specs for owner in self.specs[each].owners))

    def roots(self, assets: Collection[str]) -> list[str]:
        """Those of these assets that are not downstream of another one, by name."""
        return sorted(each for each in assets if self._upstream(each).isdisjoint(assets))

    def downstream(self, assets: Collection[str]) -> list[str]:
        """All assets downstream of these, marts first.

        Not through ``ops/``: its tables describe every load and build, and almost everything reads them.
        """
        readers: dict[str, list[str]] = {}
        for name, spec in self.specs.items():
            for dep in spec.deps:
                if not name.startswith("ops/"):
                    readers.setdefault(dep.asset_key.to_user_string(), []).append(name)
        found = _reached(assets, lambda each: readers.get(each, ()))
        rank = {layer: number for number, layer in enumerate(_LAYERS)}
        return sorted(found - {*assets}, key=lambda each: (rank.get(each.split("/")[0], len(rank)), each))

    def _upstream(self, asset: str) -> set[str]:
        return _reached([asset], self._parents)

    def _parents(self, asset: str) -> list[str]:
        return [dep.asset_key.to_user_string() for dep in self.specs[asset].deps] if asset in self.specs else []


def _reached(start: Collection[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Every asset that is reached from these in one step or more."""
    found: set[str] = set()
    frontier = {*start}
    while frontier:
        frontier = {name for each in frontier for name in following(each)} - found
        found |= frontier
    return found
