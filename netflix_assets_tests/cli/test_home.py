"""``reset`` and ``ui``."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from netflix_assets.dev.ui import processes_of
from netflix_assets.settings import REPO
from netflix_assets.storage.local_s3 import lease, local_s3
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.demo import COMMAND
from netflix_assets_tests.hostile import HOSTILE
from netflix_assets_tests.waiting import free_port

SENSORS = (
    "alerts", "extract_crm", "extract_finance", "extract_shop", "landing",
    "request_alphavantage_news", "request_frankfurter_rates", "request_openexchangerates_rates",
)  # fmt: skip
UI_QUERY = """{
  assetNodes { id }
  sensorsOrError(
    repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "netflix_assets"}
  ) { ... on Sensors { results { name sensorState { status } } } }
}"""


def test_reset_removes_only_state(tmp_path: Path) -> None:
    (tmp_path / "s3" / "landing").mkdir(parents=True)
    (tmp_path / "warehouse.duckdb").touch()
    (tmp_path / "mine.txt").touch()
    assert run(tmp_path, "reset", "--yes").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_reset_refuses_while_a_run_or_the_ui_uses_the_home(fresh: Path) -> None:
    with lease(local_s3(fresh), "landing"):
        done = run(fresh, "reset", "--yes")
        assert (done.returncode, (fresh / "dbt").exists()) == (1, True)
        assert "Stop it first; nothing was removed" in done.stderr
    assert run(fresh, "reset", "--yes").returncode == 0


def test_reset_never_removes_a_source_folder(tmp_path: Path) -> None:
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "dbt_project.yml").touch()
    done = run(tmp_path, "reset", "--yes")
    assert done.returncode == 2
    assert "is a source folder" in done.stderr
    assert (tmp_path / "dbt" / "dbt_project.yml").exists()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with a .env, which Dagster's processes would read in that folder."""
    copy = tmp_path / "project"
    for name in ("netflix_assets", "dbt"):
        shutil.copytree(REPO / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    shutil.copy(REPO / "workspace.yaml", copy)
    (copy / ".env").write_text(f"NETFLIX_HOME={tmp_path / 'another'}\nNETFLIX_ENV=production\nDBT_EMPTY=true\n")
    return copy


def test_the_ui_serves_the_graph_in_one_home_and_stops_cleanly(loaded: Path, project: Path) -> None:
    port = free_port()
    own = {"NETFLIX_HOME": str(loaded), "UI_PORT": str(port), "COLUMNS": "200", "PYTHONPATH": str(project)}
    process = subprocess.Popen(
        [COMMAND, "ui"],
        cwd=project,
        env={**os.environ, **HOSTILE, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    answer: dict[str, object] = {}
    environments: dict[str, dict[str, str]] = {}
    try:
        deadline = time.monotonic() + 120
        while not answer and time.monotonic() < deadline:
            time.sleep(1)
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}/graphql",
                    json.dumps({"query": UI_QUERY}).encode(),
                    {"Content-Type": "application/json"},
                )
                answer = json.load(urllib.request.urlopen(request, timeout=5))["data"]
            except OSError:
                continue
        environments = {" ".join(each.cmdline()): each.environ() for each in processes_of(loaded)}
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert len(answer["assetNodes"]) == 218, output  # type: ignore[arg-type]
    assert answer["sensorsOrError"] == {
        "results": [{"name": name, "sensorState": {"status": "RUNNING"}} for name in SENSORS]
    }
    for part in ("dagster dev", "dagster_webserver", "dagster._daemon", "code-server start", "api grpc"):
        (environment,) = (each for command, each in environments.items() if part in command)
        assert (environment["NETFLIX_HOME"], environment["NETFLIX_ENV"]) == (str(loaded), "local")
        assert not {"DBT_EMPTY", "AWS_PROFILE", "DAGSTER_GRPC_PORT", "PYTHONWARNINGS"} & environment.keys()
    assert process.returncode == 0, output
    assert f"http://127.0.0.1:{port}" in output
    left = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(loaded) not in left
