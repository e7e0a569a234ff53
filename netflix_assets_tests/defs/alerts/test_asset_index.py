"""What alerts say of the asset graph."""

import dagster as dg

from netflix_assets.defs.alerts.asset_index import AssetIndex

GRAPH = {
    "raw/a": [],
    "ops/loads": ["raw/a"],
    "staging/a": ["raw/a"],
    "core/a": ["staging/a"],
    "marts/a": ["core/a"],
    "marts/loads": ["ops/loads"],
    "published/marts": ["marts/a", "marts/loads"],
    "dashboards/a": ["published/marts"],
}


def test_stale_are_the_assets_downstream_marts_first_and_not_all_that_read_records_of_loads() -> None:
    key = dg.AssetKey.from_user_string
    index = AssetIndex.of([dg.AssetSpec(key(name), deps=[*map(key, deps)]) for name, deps in GRAPH.items()])
    assert index.downstream(["raw/a"]) == ["marts/a", "dashboards/a", "published/marts", "core/a", "staging/a"]
    assert index.downstream(["core/a"]) == ["marts/a", "dashboards/a", "published/marts"]
    assert index.downstream(["dashboards/a"]) == []
