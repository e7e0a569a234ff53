"""The dbt project without Dagster: its own profiles.yml, and the commands that an analyst types, one after another."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
from packaging.version import Version

from netflix_assets.defs.dbt.project import project_state
from netflix_assets.defs.dbt.results import layer_of
from netflix_assets.defs.dbt.translator import key_of_tests
from netflix_assets.defs.resources import warehouse
from netflix_assets.dev import docs
from netflix_assets.dev.questions import PAGE, QuestionError, is_current, questions
from netflix_assets.settings import REPO, read_settings
from netflix_assets_tests.defs.dbt import rules
from netflix_assets_tests.defs.dbt.rules import RULES, Fault, Project, Rule
from netflix_assets_tests.demo import Demo

DBT = Path(sys.executable).with_name("dbt")
# 1.12 also writes the metrics in the OSI format. That has no cumulative metrics, of which dbt warns.
STRICT = (
    ["--warn-error-options", '{"error": "all", "silence": ["MFConverterIssue"]}']
    if Version(version("dbt-core")) >= Version("1.12")
    else ["--warn-error"]
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with empty raw tables: nothing has landed yet."""
    folder = tmp_path_factory.mktemp("dbt")
    settings = read_settings(home=folder)
    with warehouse(settings).open() as connection:
        for source in settings.sources():
            for dataset in source.datasets:
                connection.prepare(dataset)
    return folder


def dbt(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [DBT, *STRICT, *arguments],
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


@pytest.mark.long
def test_each_dbt_command_works_without_dagster(home: Path) -> None:
    assert "All checks passed!" in dbt(home, "debug")
    assert "Completed successfully" in dbt(home, "seed")
    assert "Completed successfully" in dbt(home, "run")
    (done,) = set(re.findall(r"PASS=(\d+) .* TOTAL=(\d+)", dbt(home, "run", "--select", "stg_movielens__movies+")))
    assert done[0] == done[1] != "0"
    assert "Completed successfully" in dbt(home, "snapshot")
    assert "PASS=" in dbt(home, "test")
    dbt(home, "source", "freshness")
    docs.build(read_settings(home=home))
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from seeds.seed_movie_release_dates").fetchone()[0] > 10
        assert connection.execute("select count(*) from marts.mart_movie_releases").fetchone()[0] == 0
        assert connection.execute("select count(*) from snapshots.snap_tags").fetchone()[0] == 0


@pytest.fixture(scope="module")
def manifest(demo: Demo) -> Path:
    """dbt's manifest of the demo, parsed without a warning. To parse it once more takes dbt 20 s of CPU."""
    parsed = demo.home / "dbt" / "target-local"
    lines = (parsed / "dbt.log").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["info"]["level"] for line in lines} == {"info"}
    return parsed / "manifest.json"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_node_follows_the_rule(rule: Rule, manifest: Path) -> None:
    assert [f"{name}: {fault}" for name, fault in rule(Project.read(manifest, REPO / "dbt"))] == []


# For each rule, a change of the manifest that breaks it, and the fault it must report.
BREAKS: dict[Rule, tuple[Callable[[Project], None], Fault]] = {
    rules.everything_is_described: (
        lambda project: edit(project, "mart_movie_ratings")["columns"]["n_ratings"].update(description=" "),
        ("mart_movie_ratings", "column n_ratings has no description"),
    ),
    rules.descriptions_end_with_the_grain: (
        lambda project: edit(project, "dim_users").update(description="The users. Grain: one row per user. And more."),
        ("dim_users", "its description does not end with 'Grain: one row per ...'"),
    ),
    rules.every_model_names_its_columns: (
        lambda project: edit(project, "stg_movielens__links").update(columns={}),
        ("stg_movielens__links", "lists no columns"),
    ),
    rules.every_model_is_tested: (
        lambda project: drop_tests(project, "int_users__genre_vectors"),
        ("int_users__genre_vectors", "has neither a data test nor a unit test"),
    ),
    rules.every_model_has_a_tested_key: (
        lambda project: drop_tests(project, "fct_tags", "unique_combination"),
        ("fct_tags", "has no test of its key (unique, unique_combination or is_a_history)"),
    ),
    rules.single_keys_are_not_null: (
        lambda project: drop_tests(project, "dim_movies", "not_null", "no_nulls_in_columns"),
        ("dim_movies", "its key movie_id may be null"),
    ),
    rules.layers_read_only_what_they_may: (
        lambda project: edit(project, "mart_user_activity")["depends_on"]["nodes"].append(
            "model.netflix_assets.stg_movielens__tags"
        ),
        ("mart_user_activity", "is in marts but reads stg_movielens__tags in staging"),
    ),
    rules.what_describes_runs_stores_no_rows: (
        lambda project: edit(project, "mart_load_receipts")["config"].update(materialized="table"),
        ("mart_load_receipts", "is tagged run_dependent but stores rows"),
    ),
    rules.counted_tables_name_a_dataset: (
        lambda project: edit(project, "fct_tags")["config"]["meta"]["one_row_per"].update(dataset="movielens/tag"),
        ("fct_tags", "one_row_per: no contract has a dataset movielens/tag"),
    ),
    rules.names_show_the_layer: (
        lambda project: edit(project, "fct_tags").update(name="tags_fact"),
        ("tags_fact", "is in core but starts with none of dim_, fct_, bridge_"),
    ),
    rules.foreign_keys_have_relationships: (
        lambda project: drop_tests(project, "mart_similar_users", "relationships"),
        ("mart_similar_users", "column similar_user_id has no relationships test to dim_users"),
    ),
    rules.core_and_marts_have_contracts: (
        lambda project: edit(project, "fct_ratings")["config"].update(contract={"enforced": False}),
        ("fct_ratings", "has no enforced contract"),
    ),
    rules.everything_has_an_owner: (
        lambda project: edit(project, "seed_movie_release_dates")["config"].update(meta={}),
        ("seed_movie_release_dates", "has no owner in meta (team:...)"),
    ),
    rules.every_mart_is_shown_somewhere: (
        lambda project: project.manifest["exposures"].pop("exposure.netflix_assets.dashboard_pipeline"),
        ("mart_pipeline_runs", "is in no exposure"),
    ),
    rules.every_file_is_a_node: (
        lambda project: project.manifest["nodes"].pop("model.netflix_assets.dim_tags"),
        ("dim_tags", "is a file in models/ but not a node"),
    ),
}


def edit(project: Project, name: str) -> dict[str, Any]:
    """The node with this name, to be changed in place."""
    (node,) = (node for node in project.built() if node["name"] == name)
    return cast(dict[str, Any], node)


def drop_tests(project: Project, name: str, *kinds: str) -> None:
    """Remove the tests of these kinds from a node, or all its tests and every unit test."""
    node = edit(project, name)
    for test in project.tests(node):
        if not kinds or rules.kind(test) in kinds:
            del project.manifest["nodes"][test["unique_id"]]
    if not kinds:
        project.manifest["unit_tests"].clear()


@pytest.mark.parametrize("rule", BREAKS, ids=lambda rule: rule.__name__)
def test_a_rule_names_the_node_that_breaks_it(rule: Rule, manifest: Path) -> None:
    broken = Project.read(manifest, REPO / "dbt")
    change, fault = BREAKS[rule]
    change(broken)
    assert fault in list(rule(broken))


def test_only_what_dbt_reads_makes_it_parse_again(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path, dbt_project=tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.sql").write_text("select 1")
    before = project_state(settings)
    for folder in ("target", "logs", "lint/__pycache__"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "left").write_text("by dbt and sqlfluff")
    assert project_state(settings) == before
    (tmp_path / "models" / "a.sql").write_text("select 2")
    assert project_state(settings) != before


def test_undeclared_unused_and_unexplained_variables_are_reported(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text(
        "vars:\n  fine: 1  # why\n  # above\n  also_fine: 2\n\n  unused: 3  # why\n  bare: 4\n"
    )
    (tmp_path / "model.sql").write_text("{{ var('fine') + var(\"also_fine\") + var('bare') + var('unknown') }}")
    assert list(rules.variables_are_declared_used_and_explained(Project({}, tmp_path))) == [
        ("dbt_project.yml", "var unused is not used"),
        ("dbt_project.yml", "var unknown is used but not declared"),
        ("dbt_project.yml", "var bare has no comment"),
    ]


def test_every_rule_has_a_case_that_breaks_it() -> None:
    assert {*BREAKS, rules.variables_are_declared_used_and_explained} == set(RULES)


@pytest.mark.long
def test_every_column_in_the_warehouse_is_described(home: Path, manifest: Path) -> None:
    """The YAML files list exactly the columns of the tables, by the catalog of the generated documentation."""
    if not (home / "docs" / "catalog.json").exists():
        dbt(home, "build")
        docs.build(read_settings(home=home))
    catalog = json.loads((home / "docs" / "catalog.json").read_text())
    nodes = [node for node in Project.read(manifest, REPO / "dbt").built() if rules.is_table(node)]
    assert len(nodes) > 60
    for node in nodes:
        in_warehouse = {column.lower() for column in catalog["nodes"][node["unique_id"]]["columns"]}
        assert in_warehouse == set(node["columns"]), node["name"]


def test_every_kind_of_node_has_its_layer(manifest: Path) -> None:
    nodes = Project.read(manifest, REPO / "dbt").manifest["nodes"].values()
    materialized = {node["config"]["materialized"] for node in nodes if node["resource_type"] == "model"}
    assert materialized == {"view", "table", "incremental", "ephemeral"}
    kinds = {"model", "seed", "snapshot", "analysis", "test", "operation"}
    assert {node["resource_type"] for node in nodes} == kinds
    assert "analysis.netflix_assets.movie_analysis" in {node["unique_id"] for node in nodes}
    activity = (REPO / "dbt" / "models" / "marts" / "audience" / "mart_activity_by_hour.sql").read_text()
    assert "dynamic_table" in activity  # a materialized view on Snowflake; DuckDB has none


def test_every_page_of_the_dashboard_is_an_exposure(manifest: Path) -> None:
    exposures = Project.read(manifest, REPO / "dbt").manifest["exposures"].values()
    assert [exposure["name"] for exposure in exposures if exposure["type"] == "dashboard"] == [
        f"dashboard_{page}"
        for page in ("overview", "audience", "content", "recommendations", "business", "data_quality", "pipeline")
    ]


def test_the_questions_page_matches_the_dbt_analyses() -> None:
    assert is_current(questions(REPO / "dbt"), PAGE), "make questions"


@pytest.mark.parametrize(
    ("entries", "files", "fault"),
    [
        (["q01_a"], {}, "question without a query, or query without a question: q01_a"),
        ([], {"q02_b": "select 1"}, "question without a query, or query without a question: q02_b"),
        (
            ["q03_c"],
            {"q03_c": "select 1 from {{ ref('dim_movies') }}"},
            "q03_c: the query must read exactly one mart and use no other Jinja",
        ),
        (
            ["q04_d"],
            {"q04_d": "select 1 from {{ ref('mart_a') }} cross join {{ ref('mart_b') }}"},
            "q04_d: the query must read exactly one mart and use no other Jinja",
        ),
    ],
)
def test_an_invalid_question_is_named(tmp_path: Path, entries: list[str], files: dict[str, str], fault: str) -> None:
    folder = tmp_path / "analyses" / "questions"
    folder.mkdir(parents=True)
    described = [{"name": name, "description": "How.", "config": {"meta": {"question": "What?"}}} for name in entries]
    (folder / "_questions.yml").write_text(json.dumps({"analyses": described}))
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    with pytest.raises(QuestionError) as raised:
        questions(tmp_path)
    assert str(raised.value) == fault


def test_every_published_table_is_compared_by_a_key_of_identifiers_where_it_has_one(manifest: Path) -> None:
    parsed = json.loads(manifest.read_text())
    keys = {
        node["name"]: key_of_tests(parsed, unique_id)
        for unique_id, node in parsed["nodes"].items()
        if node["resource_type"] == "model" and layer_of(node) in ("core", "marts")
    }
    assert [name for name, key in keys.items() if not key] == []
    assert keys["fct_ratings"] == ["user_id", "movie_id"]
    assert keys["mart_top_actors"] == ["person_id"]  # not its rank
    assert keys["mart_movie_co_ratings"] == ["movie_id", "liked_movie_id"]  # not rank_for_movie
    assert keys["mart_growth_candidates"] == ["genre_key", "decade"]  # not the shorter growth_rank


def test_a_key_that_is_tested_for_some_rows_only_is_no_key(manifest: Path) -> None:
    parsed = json.loads(manifest.read_text())
    (users,) = (unique_id for unique_id, node in parsed["nodes"].items() if node["name"] == "dim_users")
    for child in parsed["child_map"][users]:
        if child in parsed["nodes"]:
            parsed["nodes"][child]["config"]["where"] = "user_id > 3"
    assert key_of_tests(parsed, users) == []
