"""The definitions: one connected graph, the same asset keys in every environment, and no need for a network."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from netflix_assets.contracts.loading import CONTRACTS_DIR
from netflix_assets.contracts.model import all_datasets
from netflix_assets.dashboards import pages
from netflix_assets.definitions import build_defs
from netflix_assets.defs.extract.api_assets import response_asset_key
from netflix_assets.defs.extract.database_assets import table_key
from netflix_assets.defs.published import PUBLISHED_KEY
from netflix_assets.defs.schedules import schedules
from netflix_assets.dev.dbt_sources import differences, render, sources_file
from netflix_assets.settings import REPO, SettingsError, read_settings
from netflix_assets.warehouse.builds import BUILD_TABLES
from netflix_assets.warehouse.relations import OPS_TABLES
from netflix_assets_tests.demo import Demo

# What ships. Datasets that somebody adds follow from the contracts, each with its staging model.
SHIPPED = {
    "movielens": ("movies", "ratings", "tags", "links", "genome_tags", "genome_scores"),
    "netflix": ("titles", "credits"),
    "crm": ("customers", "addresses", "support_tickets"),
    "shop": (
        "products", "product_costs", "product_prices", "promotions", "orders", "order_lines", "warehouses",
        "stock_levels", "shipments",
    ),
    "finance": ("cards", "payments", "refunds", "production_orders"),
    "frankfurter": ("rates",),
    "openexchangerates": ("rates",),
    "alphavantage": ("news",),
    "sentiment": ("headlines",),
}  # fmt: skip
SOURCES = [source.source for source in read_settings().sources()]
DATASETS = [dataset.id for dataset in all_datasets(read_settings().sources())]
OPS = (
    "loads", "rejected_rows", "refused_objects", "profiles", "cost_of_assets", "builds", "node_runs", "test_results",
)  # fmt: skip
DBT = {
    "staging": [
        *(f"stg_{dataset.replace('/', '__')}" for dataset in DATASETS),
        *(f"stg_ops__{name}" for name in ("loads", "rejected_rows", "refused_objects", "profiles", "asset_costs")),
        *(f"stg_dbt__{name}" for name in ("builds", "node_runs", "test_results")),
    ],
    "intermediate": [
        "int_movies__parsed", "int_movies__rating_stats", "int_ratings__liked_capped", "int_users__genre_stats",
        "int_users__genre_vectors", "int_users__clusters", "int_users__cluster_assignments", "int_users__rating_days",
        "int_genres__segment_stats", "int_titles__parsed", "int_objects__receipts",
    ],
    # `add-dataset` writes more.
    "core": sorted(path.stem for path in (REPO / "dbt" / "models" / "core").glob("*.sql")),
    "marts": [
        "mart_user_activity", "mart_activity_by_hour", "mart_rating_consistency", "mart_user_segments",
        "mart_similar_users", "mart_movie_releases", "mart_movie_ratings", "mart_ratings_by_genre_year",
        "mart_genre_popularity", "mart_rating_trends", "mart_rating_seasonality", "mart_movie_co_ratings",
        "mart_movie_promotions", "mart_growth_candidates", "mart_content_gaps", "mart_content_mix",
        "mart_content_by_year", "mart_top_actors", "mart_model_runtime", "mart_data_quality",
        "mart_data_completeness", "mart_load_receipts", "mart_pipeline_runs", "mart_dataset_freshness",
        "mart_overview", "mart_rating_trends_by_month", "mart_ratings_by_genre_decade", "mart_segment_sizes",
        "mart_rater_bias", "mart_column_completeness", "mart_weekly_sales", "mart_sales_by_promotion",
        "mart_stock_by_week", "mart_customers_by_month", "mart_revenue_by_month", "mart_exchange_rates",
        "mart_headlines", "mart_sentiment_by_day", "mart_product_margins", "mart_sales_by_product_type",
        "mart_revenue_by_state", "mart_revenue_by_segment", "obt_order_lines", "obt_production_orders",
    ],
    "seeds": ["seed_movie_release_dates", "seed_us_states"],
    "snapshots": ["snap_movies", "snap_tags"],
}  # fmt: skip

PAGES = ("overview", "audience", "content", "recommendations", "business", "data-quality", "pipeline")

EXTRACTED = [dataset for dataset in all_datasets(read_settings().sources()) if dataset.extract]
REQUESTED = [dataset for dataset in all_datasets(read_settings().sources()) if dataset.request]
DATABASES = sorted({dataset.extract.database for dataset in EXTRACTED if dataset.extract})
KEYS = {
    *(table_key(dataset).to_user_string() for dataset in EXTRACTED),
    *(f"api/{dataset.id}" for dataset in REQUESTED),
    *(f"s3/{name}" for name in DATASETS),
    *(f"raw/{name}" for name in DATASETS),
    *(f"ops/{name}" for name in OPS),
    *(f"{layer}/{name}" for layer, names in DBT.items() for name in names),
    "sentiment/headlines",
    "published/marts",
    *(f"dashboards/{name}" for name in PAGES),
}


@pytest.fixture(scope="module")
def home(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo.parsed_in(tmp_path_factory.mktemp("definitions"))


@pytest.fixture(scope="module")
def graph(home: Path) -> Any:
    return build_defs(read_settings(home=home)).resolve_asset_graph()


def test_the_contracts_have_the_datasets_that_ship() -> None:
    assert {f"{source}/{name}" for source, names in SHIPPED.items() for name in names} <= set(DATASETS)


def test_the_graph_holds_exactly_these_assets(graph: Any) -> None:
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == KEYS


def test_the_graph_is_connected_from_the_bucket_to_the_marts(graph: Any) -> None:
    landing = {dg.AssetKey(["s3", *name.split("/")]) for name in DATASETS} | set(map(table_key, EXTRACTED))
    landing |= set(map(response_asset_key, REQUESTED))
    reached, frontier = set(landing), set(landing)
    while frontier:
        frontier = {child for key in frontier for child in graph.get(key).child_keys} - reached
        reached |= frontier
    unreached = {key.to_user_string() for key in graph.get_all_asset_keys() - reached}
    # Built from files in the repository, or from constants; maintained by Snowflake.
    of_the_repository = {"seeds/seed_movie_release_dates", "seeds/seed_us_states", "core/dim_dates"}
    assert unreached == {*of_the_repository, "core/dim_order_statuses", "ops/cost_of_assets"}
    assert graph.get(dg.AssetKey(["raw", "movielens", "ratings"])).parent_keys == {
        dg.AssetKey(["s3", "movielens", "ratings"])
    }
    assert (
        dg.AssetKey(["raw", "movielens", "ratings"])
        in graph.get(dg.AssetKey(["staging", "stg_movielens__ratings"])).parent_keys
    )


def test_a_page_depends_on_its_marts_and_their_publication(graph: Any) -> None:
    for page in pages.PAGES:
        marts = {dg.AssetKey(["marts", query.mart]) for query in page.queries.values()}
        node = graph.get(dg.AssetKey(["dashboards", page.name]))
        assert node.parent_keys == {*marts, PUBLISHED_KEY}, page.name
        assert node.kinds == {"html", "altair"}
        assert node.owners == [node.owners[0]]


def test_every_asset_has_a_description_and_an_owner(graph: Any) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.group_name in {key.path[0], "landing", "raw", "core", "operations", "databases", "apis"}, key
        assert node.kinds, key
        if key.path[0] != "ops":
            assert node.owners, key


def test_the_blocking_checks_are_blocking(graph: Any) -> None:
    for name in DATASETS:
        checks = {
            check.name: graph.get_check_spec(check).blocking
            for check in graph.get_check_keys_for_assets({dg.AssetKey(["raw", *name.split("/")])})
        }
        # A table's age is that of its extract, which finds nothing new if nothing was written.
        of_source = "rows_match_database" if name in {dataset.id for dataset in EXTRACTED} else "is_fresh"
        assert checks == {
            "records_accounted": True,
            "rows_match_ledger": True,
            "no_rejected_rows": False,
            "no_anomaly": False,
            of_source: False,
        }


def test_the_slack_failure_hook_is_on_every_executable_asset(home: Path) -> None:
    defs = build_defs(read_settings(home=home))
    hooked = {
        key
        for each in defs.assets or ()
        if isinstance(each, dg.AssetsDefinition) and {hook.name for hook in each.hook_defs} == {"slack_on_failure"}
        for key in each.keys
    }
    assert hooked == defs.resolve_asset_graph().executable_asset_keys


def test_every_extract_has_a_sensor(home: Path) -> None:  # a branch has none: defs/test_published.py
    sensors = [each.name for each in build_defs(read_settings(home=home)).sensors or []]
    requests = [f"request_{dataset.table}" for dataset in REQUESTED]
    assert sensors == ["landing", *(f"extract_{name}" for name in DATABASES), *requests, "alerts"]


def test_every_job_selects_assets_and_the_main_job_selects_all(home: Path) -> None:
    defs = build_defs(read_settings(home=home))
    selected = {
        job.name: {
            key.to_user_string()
            for key in job.asset_layer.executable_asset_keys & set(job.asset_layer.selected_asset_keys)
        }
        for job in defs.resolve_all_job_defs()
        if not job.name.startswith("__")
    }
    external = {key for key in KEYS if key.startswith(("s3/", "ops/", "postgres/", "api/"))}
    assert selected["everything"] == KEYS - external
    assert selected["ingestion"] == {f"raw/{name}" for name in DATASETS} | {"sentiment/headlines"}
    assert selected["transformation"] == KEYS - external - selected["ingestion"]
    for source in SOURCES:
        own = {key for key in selected["ingestion"] if key.startswith((f"raw/{source}/", f"{source}/"))}
        assert own
        assert selected[source] == selected["transformation"] | own
    for database in DATABASES:
        assert selected[f"extract_{database}"] == {key for key in KEYS if key.startswith(f"postgres/{database}/")}
    for dataset in REQUESTED:
        assert selected[f"request_{dataset.table}"] == {f"api/{dataset.id}"}
    extracts = {f"extract_{database}" for database in DATABASES} | {f"request_{each.table}" for each in REQUESTED}
    assert set(selected) == {"everything", "ingestion", "transformation", *SOURCES, *extracts, "retention"}


def test_every_job_runs_the_tests_of_the_assets_it_builds(home: Path) -> None:
    defs = build_defs(read_settings(home=home))
    graph = defs.resolve_asset_graph()
    for name in ("everything", "ingestion", "transformation", *SOURCES):
        layer = defs.resolve_job_def(name).asset_layer
        built = layer.executable_asset_keys & set(layer.selected_asset_keys)
        wanted = {key for key in graph.get_check_keys_for_assets(built) if key.name != "bucket_matches_ledger"}
        assert wanted
        assert wanted <= set(layer.asset_graph.asset_check_keys), name


@pytest.mark.parametrize(("env", "daily"), [("local", "STOPPED"), ("dev", "STOPPED"), ("production", "RUNNING")])
def test_the_daily_run_is_on_only_in_production_and_retention_everywhere(env: str, daily: str, home: Path) -> None:
    settings = read_settings(home=home, env=env)
    found = {each.name: (each.job_name, each.default_status.value) for each in schedules(settings, settings.sources())}
    assert found == {"daily": ("everything", daily), "tidy": ("retention", "RUNNING")}


# dbt parses the project again for each environment on Snowflake: 20 s of CPU.
@pytest.mark.parametrize(
    "env",
    [
        "local",
        "staging",
        pytest.param("dev", marks=pytest.mark.long),
        pytest.param("production", marks=pytest.mark.long),
    ],
)
def test_definitions_load_in_every_environment_without_network_and_credentials(env: str, home: Path) -> None:
    """In a separate process, where a connection to another host is an error and no AWS variable is set.

    Secrets are references, which cannot be read without a network.
    """
    program = """
import json, socket, sys
def refuse(*args, **kwargs): raise AssertionError(f"network used: {args}")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from netflix_assets.definitions import load_defs
from netflix_assets.settings import current_settings
defs = load_defs(current_settings())
defs.get_repository_def()
print(json.dumps({
    "keys": sorted(key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()),
    "heavy": sorted({"dagster_snowflake", "dagster_aws", "slack_sdk", "snowflake.connector", "pandas", "altair"}
                    & set(sys.modules)),
}))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "NETFLIX_"))}
    secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:netflix-a1B2c3"
    references = {
        f"NETFLIX_{name}": f"{secret}:{name.lower()}::"
        for name in ("SNOWFLAKE_PRIVATE_KEY", "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", "SLACK_TOKEN")
    }
    references["NETFLIX_SLACK_CHANNEL"] = "C0123456789"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, **references, "NETFLIX_ENV": env, "NETFLIX_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert set(loaded["keys"]) == KEYS
    assert loaded["heavy"] == []


def test_an_unknown_environment_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(SettingsError, match=r"NETFLIX_ENV='prod'.*'local', 'dev', 'staging' or 'production'"):
        read_settings(env="prod")


def test_the_location_has_one_name() -> None:
    workspace = yaml.safe_load((REPO / "workspace.yaml").read_text())["load_from"][0]["python_module"]
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    assert workspace["location_name"] == project["code_location_name"] == "netflix_assets"
    assert workspace["module_name"] == project["code_location_target_module"] == "netflix_assets.definitions"


def test_one_contract_entry_adds_a_dataset_to_every_layer(tmp_path: Path, home: Path) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_DIR, contracts)
    with (contracts / "movielens.yaml").open("a") as file:
        file.write(
            """
  reviews:
    description: One row per review.
    mode: append
    key: [review_id]
    freshness: {warn_after_days: 1, fail_after_days: 2}
    columns:
      - {name: review_id, source_name: reviewId, type: integer, description: Number of the review.}
      - {name: text, type: text, description: What it says.}
"""
        )
    settings = read_settings(home=home, contracts=contracts)
    defs = build_defs(settings)
    graph = defs.resolve_asset_graph()
    landing, raw = dg.AssetKey(["s3", "movielens", "reviews"]), dg.AssetKey(["raw", "movielens", "reviews"])
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == KEYS | {
        "s3/movielens/reviews",
        "raw/movielens/reviews",
    }
    assert graph.get(raw).parent_keys == {landing}
    assert {key.name for key in graph.get_check_keys_for_assets({raw})} == {
        "records_accounted",
        "rows_match_ledger",
        "no_rejected_rows",
        "no_anomaly",
        "is_fresh",
    }
    assert {key.name for key in graph.get_check_keys_for_assets({landing})} == {"bucket_matches_ledger", "is_fresh"}
    assert raw in graph.get(dg.AssetKey(["ops", "loads"])).parent_keys
    for key in (landing, raw):
        assert graph.get(key).freshness_policy_or_from_metadata == dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=2), warn_window=timedelta(days=1)
        )
    (source,) = (each for each in settings.sources() if each.source == "movielens")
    assert "movielens_reviews_current" in render(source)
    dbt_file = sources_file(settings.dbt_project, source).read_text()
    assert list(differences(source, dbt_file)) == ["movielens/reviews: in the contract, not among dbt's sources"]


def test_the_ops_sources_of_dbt_are_the_ops_tables() -> None:
    described = {}
    for source in ("ops", "dbt"):
        content = yaml.safe_load((REPO / f"dbt/models/staging/{source}/_{source}__sources.yml").read_text())
        for table in content["sources"][0]["tables"]:
            described[table["name"]] = {column["name"]: column["data_type"] for column in table["columns"]}
    assert described.pop("cost_of_assets")  # deploy/snowflake creates it
    tables = {**OPS_TABLES, **BUILD_TABLES}
    unread = ("load_locks", "erasures", "failing_rows")
    assert described == {name: dict(columns) for name, columns in tables.items() if name not in unread}
