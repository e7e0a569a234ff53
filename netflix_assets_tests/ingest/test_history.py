"""New loads compared with the dataset's history, from the bucket to the raw asset's check."""

from pathlib import Path

import dagster as dg

from netflix_assets.defs.raw.assets import raw_assets
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.ingest.anomalies import MIN_HISTORY
from netflix_assets.ingest.history import compare_with_history
from netflix_assets.ingest.replay import replay_rejects
from netflix_assets.settings import read_settings
from netflix_assets_tests.ingest.test_replay import TEN
from netflix_assets_tests.ingest.test_sync import KEY, LINKS, RATINGS, ratings


def links(nulls: int, rows: int = 100) -> str:
    return "movieId,imdbId,tmdbId\n" + "".join(
        f"{number},{number:07},{'' if number <= nulls else number + 1000}\n" for number in range(1, rows + 1)
    )


def test_an_unusual_load_is_reported_with_its_figures(sync, bucket, warehouse):
    for version in range(MIN_HISTORY):
        bucket.put("movielens/links.csv", links(nulls=version % 2, rows=100 + version))
        assert compare_with_history(LINKS, sync(LINKS).loads, warehouse).unusual == []
    bucket.put("movielens/links.csv", links(nulls=41))
    comparison = compare_with_history(LINKS, sync(LINKS).loads, warehouse)
    assert comparison.earlier == MIN_HISTORY
    [(load, [nulls])] = comparison.unusual
    assert load.load_id == MIN_HISTORY + 1
    assert str(nulls) == "null share of tmdb_id 0.41, usually 0.00 to 0.05"
    # The unusual load is history now and does not make the next one unusual.
    bucket.put("movielens/links.csv", links(nulls=1))
    assert compare_with_history(LINKS, sync(LINKS).loads, warehouse).unusual == []


def test_a_short_history_and_a_run_without_loads_give_no_warning(sync, bucket, warehouse):
    for version in range(MIN_HISTORY - 1):
        bucket.put("movielens/links.csv", links(nulls=0, rows=100 + version))
        sync(LINKS)
    bucket.put("movielens/links.csv", links(nulls=100, rows=10_000))
    comparison = compare_with_history(LINKS, sync(LINKS).loads, warehouse)
    assert (comparison.earlier, comparison.unusual) == (MIN_HISTORY - 1, [])
    assert compare_with_history(LINKS, sync(LINKS).loads, warehouse).unusual == ()


def test_replays_do_not_count_as_history(sync, bucket, warehouse, tmp_path):
    for number in range(MIN_HISTORY):
        bucket.put(f"movielens/ratings-{number}.csv", ratings(*range(1, 101)) + "3,103,7.5,3\n")
    sync(RATINGS)
    assert len(replay_rejects(TEN, warehouse, "replay", tmp_path)) == MIN_HISTORY
    bucket.put(KEY, ratings(*range(1, 101)))
    comparison = compare_with_history(RATINGS, sync(RATINGS).loads, warehouse)
    assert (comparison.earlier, comparison.unusual) == (MIN_HISTORY, [])


def test_the_asset_check_warns_and_the_metadata_shows_the_profile(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path, settle_seconds=0)
    [asset] = [each for each in raw_assets(settings.sources(), settings) if each.key.path[-1] == "links"]
    resources = {"bucket": landing_bucket(settings), "warehouse": warehouse(settings)}

    def drop(content: str) -> tuple[dg.AssetCheckEvaluation, dg.AssetMaterialization]:
        (tmp_path / "upload").write_text(content)
        store.put("movielens/links.csv", tmp_path / "upload")
        result = dg.materialize([asset], resources=resources, instance=instance)
        [check] = [each for each in result.get_asset_check_evaluations() if each.check_name == "no_anomaly"]
        [event] = [
            each for each in result.asset_materializations_for_node(asset.op.name) if each.asset_key == asset.key
        ]
        return check, event

    with landing_bucket(settings).open() as store, dg.DagsterInstance.ephemeral() as instance:
        for version in range(MIN_HISTORY):
            check, event = drop(links(nulls=0, rows=100 + version))
            assert (check.passed, check.description) == (True, None)
        assert [record.data["column"] for record in event.metadata["profiles"].records] == [
            column.name for column in LINKS.columns
        ]
        assert event.metadata["profiles"].records[0].data["row_count"] == 107
        check, _ = drop(links(nulls=41, rows=10))
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.description is not None
    assert check.description.startswith("movielens/links.csv: row count 10, usually ")
    assert "null share of tmdb_id 1, usually 0.00 to 0.02" in check.description
    assert check.metadata["earlier_loads"].value == MIN_HISTORY
