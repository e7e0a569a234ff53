"""The asset graph by names: the assets of each step, their owners, and what is upstream and downstream."""

from collections.abc import Collection, Iterable, Mapping
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
        readers: dict[str, set[str]] = {}
        for name, spec in self.specs.items():
            for dep in spec.deps:
                readers.setdefault(dep.asset_key.to_user_string(), set()).add(name)
        found: set[str] = set()
        frontier = {*assets}
        while frontier:
            reached = {reader for each in frontier for reader in readers.get(each, ()) if not reader.startswith("ops/")}
            frontier = reached - found
            found |= frontier
        rank = {layer: number for number, layer in enumerate(_LAYERS)}
        return sorted(found - {*assets}, key=lambda each: (rank.get(each.split("/")[0], len(rank)), each))

    def _upstream(self, asset: str) -> set[str]:
        found: set[str] = set()
        frontier = {asset}
        while frontier:
            specs = [self.specs[each] for each in frontier if each in self.specs]
            frontier = {dep.asset_key.to_user_string() for spec in specs for dep in spec.deps} - found
            found |= frontier
        return found
