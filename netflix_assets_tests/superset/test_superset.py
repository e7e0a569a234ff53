"""The Superset bundle: imported into a real Superset, which then queries every chart (make test-superset)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPO = Path(__file__).parents[2]
DEPLOYED = REPO / "deploy" / "superset"
BUNDLE = DEPLOYED / "bundle"
PYTHON = REPO / ".venv-superset" / "bin" / "python"


def read(folder: str) -> list[dict]:
    return [yaml.safe_load(path.read_text()) for path in sorted((BUNDLE / folder).rglob("*.yaml"))]


def columns_in(chart: dict) -> set[str]:
    """Every column that a chart's query names."""
    (query,) = json.loads(chart["query_context"])["queries"]
    named = [column if isinstance(column, str) else column["sqlExpression"] for column in query["columns"]]
    ordered = [column for column, _ in query["orderby"] if isinstance(column, str)]
    measured = [metric["column"]["column_name"] for metric in query["metrics"] if metric["expressionType"] == "SIMPLE"]
    return {*named, *ordered, *measured, *(condition["col"] for condition in query["filters"])}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "Usage: python deploy/superset/pack.py OUT.zip [URI]"),
        (("bundle.zip", "warehouse"), 2, "'warehouse' is not a SQLAlchemy URI such as snowflake://"),
        (("bundle.zip",), 1, "netflix.duckdb does not exist. To build and publish it: netflix-assets run"),
    ],
)
def test_what_cannot_be_packed_is_named(arguments: tuple[str, ...], code: int, message: str, tmp_path: Path) -> None:
    environment = {**os.environ, "NETFLIX_HOME": str(tmp_path / "home")}
    command = [sys.executable, DEPLOYED / "pack.py", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert message in done.stderr
    assert not (tmp_path / "bundle.zip").exists()


def test_charts_ask_for_columns_that_the_marts_have() -> None:
    datasets = {dataset["uuid"]: dataset["table_name"] for dataset in read("datasets")}
    described = {
        model["name"]: {column["name"] for column in model["columns"]}
        for path in (REPO / "dbt" / "models" / "marts").rglob("mart_*.yml")
        for model in yaml.safe_load(path.read_text())["models"]
    }
    missing = {
        chart["slice_name"]: columns_in(chart) - described[datasets[chart["dataset_uuid"]]] for chart in read("charts")
    }
    assert not {name: columns for name, columns in missing.items() if columns}


@pytest.mark.parametrize("chart", read("charts"), ids=lambda chart: chart["slice_name"])
def test_rows_are_in_an_order_that_they_show(chart: dict) -> None:
    """Superset groups by the columns, so others are unknown where it orders."""
    (query,) = json.loads(chart["query_context"])["queries"]
    assert {column for column, _ in query["orderby"] if isinstance(column, str)} <= set(map(str, query["columns"]))


def test_every_chart_is_on_one_dashboard_and_has_its_dataset() -> None:
    items = [item for each in read("dashboards") for item in each["position"].values() if isinstance(item, dict)]
    shown = [(item["meta"]["uuid"], item["meta"]["sliceName"]) for item in items if item["type"] == "CHART"]
    charts = read("charts")
    assert sorted(shown) == sorted((chart["uuid"], chart["slice_name"]) for chart in charts)
    assert {chart["dataset_uuid"] for chart in charts} == {dataset["uuid"] for dataset in read("datasets")}


@pytest.mark.parametrize("dashboard", read("dashboards"), ids=lambda dashboard: dashboard["slug"])
def test_every_item_of_a_dashboard_has_a_place_on_it(dashboard: dict) -> None:
    items = {key: item for key, item in dashboard["position"].items() if isinstance(item, dict)}
    placed = [child for item in items.values() for child in item.get("children", [])]
    assert sorted([*placed, "ROOT_ID", "HEADER_ID"]) == sorted(items)
    rows = [item for item in items.values() if item["type"] == "ROW"]
    assert {sum(items[child]["meta"]["width"] for child in row["children"]) for row in rows} == {12}


@pytest.mark.superset
@pytest.mark.timeout(1800)
def test_superset_imports_the_bundle_and_every_chart_has_rows(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("Superset is not installed: make test-superset makes its environment")
    superset = PYTHON.with_name("superset")
    environment = {
        **os.environ,
        "NETFLIX_HOME": str(tmp_path / "home"),
        "SUPERSET_HOME": str(tmp_path),
        "SUPERSET_CONFIG_PATH": str(DEPLOYED / "superset_config.py"),
        "SUPERSET_SECRET_KEY": "of-this-test-alone-" * 3,
        "ADMIN_PASSWORD": "of-this-test-alone",
        "FLASK_APP": "superset",
    }

    def run(*command: object) -> str:
        done = subprocess.run(
            [str(part) for part in command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    run(Path(sys.executable).with_name("netflix-assets"), "demo", "--business")
    run(sys.executable, DEPLOYED / "pack.py", "bundle.zip")
    run(superset, "db", "upgrade")
    run(superset, "init")
    account = ["--username", "admin", "--firstname", "A", "--lastname", "A", "--email", "admin@example.com"]
    run(superset, "fab", "create-admin", *account, "--password", environment["ADMIN_PASSWORD"])
    run(superset, "import-dashboards", "--path", "bundle.zip", "--username", "admin")

    answers = json.loads(run(PYTHON, Path(__file__).with_name("query_charts.py")).splitlines()[-1])
    assert sorted(answers) == sorted(chart["slice_name"] for chart in read("charts"))
    faults = {name: answer for name, answer in answers.items() if answer["status"] != 200 or not answer["rows"]}
    assert not faults
