"""An index of the asset graph: the assets of each step, their owners, and what is upstream and downstream."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import dagster as dg

_LAYERS = ("dashboards", "published", "marts", "core")  # consumers look at these first


@dataclass(frozen=True)
class AssetIndex:
    """The asset graph by names. ``steps``: step -> assets; ``with_policy``: assets with a freshness policy."""

    steps: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, frozenset[str]]
    owners: Mapping[str, tuple[str, ...]]
    with_policy: tuple[str, ...]

    @classmethod
    def of(cls, assets: Iterable[dg.AssetsDefinition | dg.AssetSpec]) -> "AssetIndex":
        """The index of these assets."""
        steps, specs = {}, []
        for each in assets:
            if isinstance(each, dg.AssetSpec):
                specs.append(each)
            else:
                specs += each.specs
                steps[each.op.name] = tuple(sorted(key.to_user_string() for key in each.keys))
        by_name = {spec.key.to_user_string(): spec for spec in specs}
        return cls(
            steps=steps,
            parents={
                name: frozenset(dep.asset_key.to_user_string() for dep in spec.deps) for name, spec in by_name.items()
            },
            owners={name: tuple(spec.owners) for name, spec in by_name.items()},
            with_policy=tuple(name for name, spec in by_name.items() if spec.freshness_policy is not None),
        )

    def owners_of(self, assets: Iterable[str]) -> tuple[str, ...]:
        """The owners of these assets."""
        return tuple(dict.fromkeys(owner for each in assets for owner in self.owners.get(each, ())))

    def upstream(self, asset: str) -> frozenset[str]:
        """All assets upstream of an asset."""
        found: set[str] = set()
        frontier = set(self.parents.get(asset, ()))
        while frontier:
            found |= frontier
            frontier = {parent for each in frontier for parent in self.parents.get(each, ())} - found
        return frozenset(found)

    def downstream(self, assets: Collection[str]) -> tuple[str, ...]:
        """All assets downstream of these, dashboards first."""
        found = {each for each in self.parents if not self.upstream(each).isdisjoint(assets)} - set(assets)
        rank = {layer: number for number, layer in enumerate(_LAYERS)}
        return tuple(sorted(found, key=lambda each: (rank.get(each.split("/")[0], len(rank)), each)))
