"""Whatever the contracts accept, the models can build: every edge of every column is landed, tested and published.

The rows are generated from the contracts. One run is real, from the bucket to the pages. The random cases build into
small warehouses, twice each, so that the second build is incremental.
"""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import all_datasets
from netflix_assets.dashboards.pages import PAGES
from netflix_assets.definitions import build_defs
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.ingest.sync import sync
from netflix_assets.operations.run import run_graph
from netflix_assets.settings import read_settings
from netflix_assets.warehouse.builds import Builds
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets_tests.conftest import Bucket
from netflix_assets_tests.demo import Demo
from netflix_assets_tests.proof.arrivals import random
from netflix_assets_tests.proof.edges import combined, edge_rows, file_of, is_valid
from netflix_assets_tests.proof.quick_dbt import QuickDbt

DATASETS = all_datasets(load_sources())

# Thresholds that a few ratings reach, so that marts have rows to test.
THRESHOLDS = {
    "liked_min_likes": 1,
    "co_rating_min_co_likes": 1,
    "consistency_min_ratings": 1,
    "segment_min_ratings": 1,
    "similar_users_min_common": 1,
    "seasonality_min_ratings": 1,
    "growth_min_ratings": 1,
    "genre_year_min_ratings": 1,
    "top_actors_min_titles": 1,
}


def test_every_edge_of_the_contracts_is_built_and_published(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home" / "dagster"))
    settings = read_settings(home=demo.parsed_in(tmp_path / "home"), settle_seconds=0.2)
    chance, expected = random("edges"), {}
    with landing_bucket(settings).open() as store:
        for dataset in DATASETS:
            rows = edge_rows(dataset, chance)
            if dataset.id == "movielens/movies":  # with numbers that no other film has, so that none replaces them
                rows += [["100001", "Future (2999)", "Drama"], ["100002", "Zero (0000)", "Drama"]]
            valid = sum(is_valid(dataset, row) for row in rows)
            key = f"{dataset.key_prefix}.{dataset.format}"
            expected[key] = (len(rows), valid, len(rows) - valid)
            (tmp_path / "upload").write_bytes(file_of(dataset, rows))
            store.put(key, tmp_path / "upload")

    outcome = run_graph(settings, build_defs(settings))

    assert outcome.success, (outcome.errors, outcome.failed_checks, outcome.check_messages)
    assert outcome.failed_checks == ()
    assert outcome.refused == ()
    assert {"published/marts", *(f"dashboards/{page.name}" for page in PAGES)} <= set(outcome.materialized)
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as connection:
        ledger = connection.execute("select object_key, rows_in, rows_loaded, rows_rejected from ops.loads").fetchall()
        years = connection.execute(
            "select original_title, title, release_year from core.dim_movies "
            "where movie_id in (100001, 100002) order by movie_id"
        ).fetchall()
    loads = {key: tuple(counts) for key, *counts in ledger}
    assert {key: loads.get(key) for key in expected} == expected
    (judged,) = loads.keys() - expected.keys()  # by the graph: the headlines of the news
    assert loads[judged][2] == 0
    assert years == [("Future (2999)", "Future (2999)", None), ("Zero (0000)", "Zero (0000)", None)]


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> QuickDbt:
    return QuickDbt(tmp_path_factory.mktemp("quick_dbt"), variables=THRESHOLDS)


def test_any_rows_that_load_can_be_built(
    cases: Callable[[int], int], dbt: QuickDbt, bucket: Bucket, tmp_path: Path
) -> None:
    """Random files: none, one or many rows, at the edges or not, some datasets before the others."""
    for case in range(cases(1)):
        chance, home = random(f"case {case}"), tmp_path / f"case-{case}"
        home.mkdir()
        for delivery in ("first", "second"):
            for dataset in DATASETS:
                rows = combined(dataset, chance, chance.choice([0, 1, 3, 300, 3_000]), chance.choice([0.02, 0.2, 1]))
                bucket.put(
                    f"{dataset.key_prefix}-{case}-{chance.choice('ab')}.{dataset.format}", file_of(dataset, rows)
                )
            with DuckDBWarehouse(home / "warehouse.duckdb", wait_seconds=0) as warehouse:
                for dataset in DATASETS:
                    sync(dataset, bucket.store, warehouse, delivery, work_folder=home / "work")
                Builds(warehouse).prepare()
            try:
                dbt.build(home, without=["unit_test"])
            except AssertionError as error:
                raise AssertionError(f"case {case}, {delivery} delivery: {error}") from error
        for listed in bucket.store.list(""):
            bucket.delete(listed.key)
