"""A contract's type changes under incremental models and snapshots: the build works, or says what to do."""

import shutil
from pathlib import Path

import pytest

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.ingest.sync import sync
from netflix_assets.settings import REPO
from netflix_assets.warehouse.builds import Builds
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from netflix_assets_tests.conftest import Bucket
from netflix_assets_tests.proof.quick_dbt import QuickDbt

DATASETS = all_datasets(load_sources())
BEYOND_INTEGER = 3_000_000_000
# The models whose contract has the column; dbt names them, one build after the other.
MODELS = (
    "core/fct_ratings", "core/fct_rating_versions", "core/fct_tags", "core/dim_users",
    "marts/audience/mart_user_activity", "marts/audience/mart_rating_consistency", "marts/audience/mart_user_segments",
)  # fmt: skip


def with_bigint_users(dataset: Dataset) -> Dataset:
    columns = [
        column.model_copy(update={"type": "bigint"}) if column.name == "user_id" else column
        for column in dataset.columns
    ]
    return dataset.model_copy(update={"columns": tuple(columns)})


def sync_all(datasets: list[Dataset], bucket: Bucket, home: Path) -> None:
    with DuckDBWarehouse(home / "warehouse.duckdb", wait_seconds=0) as warehouse:
        for dataset in datasets:
            sync(dataset, bucket.store, warehouse, "run", work_folder=home / "work")
        Builds(warehouse).prepare()


def test_an_integer_that_becomes_a_bigint(bucket: Bucket, tmp_path: Path) -> None:
    project = shutil.copytree(
        REPO / "dbt", tmp_path / "dbt", ignore=shutil.ignore_patterns("target", "logs", "dbt_packages")
    )
    bucket.put("movielens/ratings-1.csv", "userId,movieId,rating,timestamp\n1,1,4.0,1700000000\n")
    bucket.put("movielens/tags-1.csv", "userId,movieId,tag,timestamp\n1,1,old,1700000000\n")
    sync_all(DATASETS, bucket, tmp_path)
    QuickDbt(tmp_path / "before", project).build(tmp_path)

    changed = [with_bigint_users(dataset) for dataset in DATASETS]
    sync_all(changed, bucket, tmp_path)
    with pytest.raises(AssertionError, match=r"fct_ratings.* enforced contract .*user_id .* BIGINT .* INTEGER"):
        QuickDbt(tmp_path / "contract", project).build(tmp_path)

    for model in MODELS:
        file = project / "models" / f"{model}.yml"
        before = file.read_text()
        file.write_text(
            before.replace("name: user_id\n        data_type: integer", "name: user_id\n        data_type: bigint")
        )
        assert file.read_text() != before, model
    after = QuickDbt(tmp_path / "after", project)
    with pytest.raises(
        AssertionError,
        match=r"core.fct_ratings have changed: user_id is now BIGINT\. .*netflix-assets run --full-refresh",
    ):
        after.build(tmp_path)
    after.build(tmp_path, "--full-refresh")

    bucket.put("movielens/ratings-2.csv", f"userId,movieId,rating,timestamp\n{BEYOND_INTEGER},1,3.0,1700000000\n")
    bucket.put("movielens/tags-2.csv", f"userId,movieId,tag,timestamp\n{BEYOND_INTEGER},1,new,1700000000\n")
    sync_all(changed, bucket, tmp_path)
    after.build(tmp_path)
    with DuckDBWarehouse(tmp_path / "warehouse.duckdb", wait_seconds=0) as warehouse:
        for table in ("core.fct_ratings", "core.fct_rating_versions", "core.fct_tags", "snapshots.snap_tags"):
            users = warehouse.execute(f"select user_id from {table} order by user_id")
            assert users == [(1,), (BEYOND_INTEGER,)], table
