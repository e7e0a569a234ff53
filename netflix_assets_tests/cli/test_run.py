"""``run``: what it prints and how it exits."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import REPO, read_settings
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.demo import COMMAND, Demo


def test_a_failed_run_exits_1_and_names_the_cause(fresh: Path) -> None:
    (fresh / "s3" / "landing").mkdir(parents=True)
    (fresh / "warehouse.duckdb").write_text("this is no database")
    done = run(fresh, "run", "--select", "raw/movielens/tags")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED" in done.stdout
    assert "not a valid DuckDB database file" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_reported_in_one_line(demo: Demo, fresh: Path) -> None:
    shutil.copytree(demo.home / "dagster", fresh / "dagster")
    done = subprocess.run(
        [COMMAND, "run", "--select", "raw/movielens/tags"],
        env={**os.environ, "NETFLIX_HOME": str(fresh), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]  # after those about progress
    assert line.startswith(f"netflix-assets: Dagster's storage (settings: {fresh / 'dagster' / 'dagster.yaml'})"), line


@pytest.mark.long
def test_the_run_after_an_interrupted_one_succeeds(home: Path) -> None:
    builds = home / "dbt" / "runs"
    before = set(builds.iterdir())
    with subprocess.Popen(
        [COMMAND, "run", "--full-refresh"],
        env={**os.environ, "NETFLIX_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        while set(builds.iterdir()) == before:
            assert running.poll() is None
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)  # as Ctrl-C does to all processes of a terminal
        printed, errors = running.communicate(timeout=60)
    assert (running.returncode, errors.strip().splitlines()[-1]) == (130, "stopped"), printed + errors
    assert "netflix_assets/" not in errors  # a helper process of Dagster may still show a traceback
    assert run(home, "run").returncode == 0


def test_a_killed_run_is_reported_as_failed_by_the_next_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
    settings = read_settings(home=home)
    runs_in_progress = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    with open_instance(settings) as instance:
        with subprocess.Popen(
            [COMMAND, "run", "--select", "raw/movielens/tags"],
            env={**os.environ, "NETFLIX_HOME": str(home)},
            start_new_session=True,
        ) as running:
            while not (found := instance.get_runs(runs_in_progress)):
                assert running.poll() is None
                time.sleep(0.02)
            os.killpg(running.pid, signal.SIGKILL)
        assert [run.run_id for run in instance.get_runs(runs_in_progress)] == [found[0].run_id]

        assert run(home, "run", "--select", "raw/movielens/tags").returncode == 0

        ghost = instance.get_run_by_id(found[0].run_id)
        assert ghost is not None
        assert ghost.status == dg.DagsterRunStatus.FAILURE
        (failure,) = instance.all_logs(ghost.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        assert "the process of the run is gone from " in failure.dagster_event.message


def test_a_refused_file_exits_3_and_says_what_to_do(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "tags-export.csv"
    file.write_bytes("userId,movieId,tag,timestamp\n1,2,héllo,1700000000\n".encode("latin-1"))
    wider = tmp_path / "tags-wider.csv"
    wider.write_text("userId,movieId,tag,timestamp,device\n1,2,hello,1700000000,tv\n")
    assert run(home, "land", str(file), str(wider)).returncode == 0
    done = run(home, "run", "--select", "raw/movielens/tags")
    assert done.returncode == 3, done.stdout + done.stderr
    message = "byte 0xe9 at offset 34 is not valid UTF-8; the file is probably Latin-1 or Windows-1252: save it as 'CSV"
    assert message in done.stderr
    warning = "warning: raw/movielens/tags: movielens/tags-wider.csv: column 'device' is not in the contract; ignored"
    assert warning in done.stderr
    assert message in run(home, "status").stdout
    (home / "s3" / "landing" / "movielens" / file.name).unlink()
    assert message not in run(home, "status").stdout


def test_a_file_that_matches_no_dataset_is_reported(fresh: Path) -> None:
    folder = fresh / "s3" / "landing" / "movielens"
    folder.mkdir(parents=True)
    for name in ("ratings_10.csv", "tags-10.csv"):
        (folder / name).write_text("userId,movieId,tag,timestamp\n1,2,slow,3\n")
    (folder.parent / "titles.csv").write_text("")
    (folder / "tags-link.csv").symlink_to("tags-10.csv")
    messages = (
        "movielens/tags-link.csv is a symbolic link and is not loaded",
        "movielens/ratings_10.csv does not match any dataset and is not loaded; rename it to movielens/ratings-10.csv",
        "titles.csv is outside the sources' folders and is not loaded; move it to netflix/titles.csv",
    )
    done = run(fresh, "run", "--select", "raw/movielens/tags")
    assert (done.returncode, [done.stderr.count(each) for each in messages]) == (0, [1, 1, 1]), done.stderr
    shown = run(fresh, "status").stdout
    assert [shown.count(each) for each in messages] == [1, 1, 1], shown
    of_no_dataset = json.loads(run(fresh, "status", "--json").stdout)["of_no_dataset"]
    assert of_no_dataset == [each.partition(" ")[0] for each in messages]


def test_errors_in_the_dbt_project_are_shown_as_dbt_words_them(fresh: Path) -> None:
    project = fresh / "other-dbt"
    done = run(fresh, "run", NETFLIX_DBT_PROJECT=str(project))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"NETFLIX_DBT_PROJECT={project}" in done.stderr
    shutil.copytree(REPO / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "models" / "marts" / "mart_broken.sql").write_text("select * from {{ ref('nothing') }}\n")
    done = run(fresh, "run", NETFLIX_DBT_PROJECT=str(project))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"dbt cannot read {project}" in done.stderr
    assert "depends on a node named 'nothing' which was not found" in done.stderr.replace("\n", " ")


def test_the_process_that_holds_the_warehouse_is_named_after_a_wait(home: Path) -> None:
    program = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(home / "warehouse.duckdb")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = run(home, "status", NETFLIX_WAREHOUSE_WAIT_SECONDS="1")
        assert done.returncode == 1
        assert f"is held by process {holder.pid}" in done.stderr
        assert "Traceback" not in done.stderr
        quick = {"NETFLIX_WAREHOUSE_WAIT_SECONDS": "0.2", "NETFLIX_STEP_RETRIES": "0"}
        done = run(home, "run", "--select", "raw/movielens/tags", **quick)
        assert done.returncode == 1
        assert re.search(rf"^raw/movielens/tags: HeldError: .* is held by process {holder.pid}", done.stderr, re.M)
    finally:
        holder.kill()
        holder.communicate()
