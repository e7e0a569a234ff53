"""What alerts have to know of the graph: which step makes which assets, whose they are, what is made of them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True)
class Scope:
    """The graph by names. ``steps``: step -> assets; ``with_policy``: the assets that have a freshness policy."""

    steps: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, frozenset[str]]
    owners: Mapping[str, tuple[str, ...]]
    with_policy: tuple[str, ...]

    def owners_of(self, assets: Iterable[str]) -> tuple[str, ...]:
        """Whose these are."""
        return tuple(dict.fromkeys(owner for each in assets for owner in self.owners.get(each, ())))

    def upstream(self, asset: str) -> frozenset[str]:
        """Everything that an asset is made of."""
        found: set[str] = set()
        frontier = set(self.parents.get(asset, ()))
        while frontier:
            found |= frontier
            frontier = {parent for each in frontier for parent in self.parents.get(each, ())} - found
        return frozenset(found)

    def downstream(self, assets: Collection[str]) -> tuple[str, ...]:
        """Everything that is made of these, what people look at first."""
        found = {each for each in self.parents if not self.upstream(each).isdisjoint(assets)} - set(assets)
        order = {layer: place for place, layer in enumerate(("dashboards", "published", "marts", "core"))}
        return tuple(sorted(found, key=lambda each: (order.get(each.split("/")[0], len(order)), each)))


def scope_of(assets: Iterable[dg.AssetsDefinition | dg.AssetSpec]) -> Scope:
    """The scope of these assets."""
    steps, specs = {}, []
    for each in assets:
        if isinstance(each, dg.AssetSpec):
            specs.append(each)
        else:
            specs += each.specs
            steps[each.op.name] = tuple(sorted(key.to_user_string() for key in each.keys))
    return Scope(
        steps=steps,
        parents={
            spec.key.to_user_string(): frozenset(dep.asset_key.to_user_string() for dep in spec.deps) for spec in specs
        },
        owners={spec.key.to_user_string(): tuple(spec.owners) for spec in specs},
        with_policy=tuple(spec.key.to_user_string() for spec in specs if spec.freshness_policy is not None),
    )
