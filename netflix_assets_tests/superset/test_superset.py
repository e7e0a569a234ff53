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
    measured = [metric["column"]["column_name"] for metric in query["metrics"] if metric["expressionType"] == "SIMPLE"]
    return {*named, *measured, *(condition["col"] for condition in query["filters"])}


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


def test_the_dashboard_shows_every_chart_and_each_has_its_dataset() -> None:
    (dashboard,) = read("dashboards")
    items = [item for item in dashboard["position"].values() if isinstance(item, dict)]
    shown = [item["meta"]["uuid"] for item in items if item["type"] == "CHART"]
    charts = read("charts")
    assert sorted(shown) == sorted(chart["uuid"] for chart in charts)
    assert {chart["dataset_uuid"] for chart in charts} == {dataset["uuid"] for dataset in read("datasets")}


@pytest.mark.superset
@pytest.mark.timeout(900)
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

    run(Path(sys.executable).with_name("netflix-assets"), "demo")
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
