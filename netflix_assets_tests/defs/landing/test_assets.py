"""The descriptions of the landing assets."""

from netflix_assets.contracts.loading import load_sources
from netflix_assets.defs.landing.assets import landing_assets, landing_key


def test_a_landing_asset_describes_the_object_keys_it_accepts() -> None:
    sources = load_sources()
    described = {spec.key: spec.description or "" for spec in landing_assets(sources)}
    ratings = next(dataset for source in sources for dataset in source.datasets if dataset.id == "movielens/ratings")
    files = "`movielens/ratings.csv`, `movielens/ratings-<anything>.csv`, `movielens/ratings/<anything>.csv`"
    assert described[landing_key(ratings)].endswith(f"Files: {files} (also .tsv, .txt; .gz, .zst, .bz2, .zip).")
    assert not any("*" in description for description in described.values())
