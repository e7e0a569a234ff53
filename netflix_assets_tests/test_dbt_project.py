"""The dbt project by itself: no Dagster, its own profiles.yml, one command after another as an analyst types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from netflix_assets.resources import warehouse
from netflix_assets.settings import REPO, read_settings

DBT = Path(sys.executable).with_name("dbt")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose raw tables exist and are empty: nothing has landed yet."""
    folder = tmp_path_factory.mktemp("dbt")
    settings = read_settings(home=folder)
    with warehouse(settings).open() as connection:
        for source in settings.sources():
            for dataset in source.datasets:
                connection.prepare(dataset)
    return folder


def dbt(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [DBT, "--warn-error", *arguments],
        cwd=REPO / "dbt",
        env={
            **os.environ,
            "NETFLIX_HOME": str(home),
            "DBT_TARGET_PATH": str(home / "target"),
            "DBT_LOG_PATH": str(home / "logs"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_command_works_by_itself(home: Path) -> None:
    assert "All checks passed!" in dbt(home, "debug")
    assert "Completed successfully" in dbt(home, "seed")
    assert "Completed successfully" in dbt(home, "run")
    assert "21 of 21 OK" in dbt(home, "run", "--select", "stg_movielens__movies+")
    assert "Completed successfully" in dbt(home, "snapshot")
    assert "PASS=" in dbt(home, "test")
    dbt(home, "source", "freshness")
    dbt(home, "docs", "generate")
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from seeds.seed_movie_release_dates").fetchone()[0] > 10
        assert connection.execute("select count(*) from marts.mart_movie_releases").fetchone()[0] == 0
        assert connection.execute("select count(*) from snapshots.snap_tags").fetchone()[0] == 0


def test_every_model_and_column_is_described_and_every_model_tested(home: Path) -> None:
    manifest = json.loads((home / "target" / "manifest.json").read_text())
    catalog = json.loads((home / "target" / "catalog.json").read_text())
    tested = {
        parent
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        for parent in node["depends_on"]["nodes"]
    }
    tested |= {parent for node in manifest["unit_tests"].values() for parent in node["depends_on"]["nodes"]}
    built = {
        name: node for name, node in manifest["nodes"].items() if node["resource_type"] in ("model", "snapshot", "seed")
    }
    assert len(built) > 70
    for name, node in built.items():
        assert node["description"], name
        if node["config"]["materialized"] == "ephemeral":
            continue  # tested as part of what it becomes a part of
        assert name in tested, name
        described = {column for column, entry in node["columns"].items() if entry["description"]}
        in_warehouse = {column.lower() for column in catalog["nodes"][name]["columns"]}
        assert in_warehouse - described - {"dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to"} == set(), (
            name
        )


def test_only_staging_reads_sources(home: Path) -> None:
    manifest = json.loads((home / "target" / "manifest.json").read_text())
    for name, node in manifest["nodes"].items():
        if node["resource_type"] in ("model", "snapshot") and node["fqn"][1] != "staging":
            assert not [parent for parent in node["depends_on"]["nodes"] if parent.startswith("source.")], name


def test_every_kind_of_node_has_its_place(home: Path) -> None:
    manifest = json.loads((home / "target" / "manifest.json").read_text())
    nodes = manifest["nodes"].values()
    materialized = {node["config"]["materialized"] for node in nodes if node["resource_type"] == "model"}
    assert materialized == {"view", "table", "incremental", "ephemeral"}
    kinds = {"model", "seed", "snapshot", "analysis", "test", "operation"}
    assert {node["resource_type"] for node in nodes} == kinds
    for node in nodes:
        if node["resource_type"] == "model" and node["fqn"][1] in ("core", "marts"):
            assert node["config"]["contract"]["enforced"], node["name"]
