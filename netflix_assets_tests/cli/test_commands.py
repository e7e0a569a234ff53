"""The command, started as a user starts it: what it prints and how it exits."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import dagster as dg
import pytest

from netflix_assets.contracts.loading import CONTRACTS_DIR
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import REPO, read_settings
from netflix_assets.storage.local_s3 import lease, local_s3
from netflix_assets_tests.demo import COMMAND, SCALE, Demo

UI_QUERY = """{
  assetNodes { id }
  sensorsOrError(
    repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "netflix_assets"}
  ) { ... on Sensors { results { name sensorState { status } } } }
}"""


def run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={
            **os.environ,
            "NETFLIX_HOME": str(home),
            "NETFLIX_SETTLE_SECONDS": "0.2",
            "COLUMNS": "200",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def home(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo.copied_to(tmp_path_factory.mktemp("cli"))


@pytest.fixture
def fresh(demo: Demo, tmp_path: Path) -> Path:
    return demo.parsed_in(tmp_path)


def test_the_demo_builds_everything_and_shows_a_few_answers(demo: Demo) -> None:
    assert "90 assets built" in demo.printed
    assert "Which films are rated most" in demo.printed
    assert "What share are series" in demo.printed
    assert (demo.home / "dashboards" / "index.html").as_uri() in demo.printed


def test_a_second_demo_loads_nothing_and_answers_the_same(demo: Demo, home: Path) -> None:
    done = run(home, "demo", "--scale", str(SCALE))
    assert done.returncode == 0
    assert "nothing to do" in done.stdout
    answers = demo.printed[demo.printed.index("Which films are rated most") : demo.printed.index("The files are in")]
    assert answers in done.stdout


def test_status_tells_the_ledger(home: Path) -> None:
    done = run(home, "status", "--json")
    assert done.returncode == 0, done.stderr
    states = {each["dataset"]: each for each in json.loads(done.stdout)["datasets"]}
    assert set(states) == {
        *(f"movielens/{name}" for name in ("movies", "ratings", "tags", "links", "genome_tags", "genome_scores")),
        *(f"netflix/{name}" for name in ("titles", "credits")),
    }
    titles = states["netflix/titles"]
    assert (titles["state"], titles["rows"], titles["rejected"]) == ("loaded", 1_342, 0)
    ratings = states["movielens/ratings"]
    assert (ratings["state"], ratings["objects"], ratings["versions"], ratings["rejected"]) == ("loaded", 10, 10, 5)
    assert ratings["rows"] == 3_000
    shown = run(home, "status").stdout
    assert "movielens/ratings" in shown
    assert "3,000" in shown


def test_status_of_a_new_home_says_awaited(tmp_path: Path) -> None:
    done = run(tmp_path, "status")
    assert done.returncode == 0
    assert done.stdout.count("awaited") == 8
    assert done.stdout.count("awaited (optional)") == 2


def test_rejects_are_listed_shown_and_exported_and_mended(home: Path, tmp_path: Path) -> None:
    listed = json.loads(run(home, "rejects", "list", "--json").stdout)
    assert len(listed) == 5
    assert "rating '7.5' is above the maximum 5.0" in run(home, "rejects", "list").stdout
    first = listed[0]
    shown = run(home, "rejects", "show", first["dataset"], str(first["load_id"]), str(first["record_number"])).stdout
    assert first["reason"] in shown
    assert first["raw_text"] in shown

    exported = tmp_path / "ratings-mended.csv"
    done = run(home, "rejects", "export", "movielens/ratings", str(exported))
    assert done.returncode == 0, done.stderr
    lines = exported.read_text().splitlines()
    assert lines[0] == "userId,movieId,rating,timestamp"
    texts = [each["raw_text"] for each in listed]
    assert {text.count(",") for text in texts} == {2, 3}  # one lacks a field, and its fields stay where they are
    assert lines[1:] == [text.ljust(len(text) + 3 - text.count(","), ",") for text in texts]

    exported.write_text("userId,movieId,rating,timestamp\n1,2,4.0,1700000000\n")
    assert run(home, "land", str(exported)).returncode == 0
    assert run(home, "run", "--select", "raw/movielens/ratings").returncode == 0
    states = {each["dataset"]: each for each in json.loads(run(home, "status", "--json").stdout)["datasets"]}
    assert (states["movielens/ratings"]["objects"], states["movielens/ratings"]["rows"]) == (11, 3_001)


def test_a_failed_run_exits_1_and_names_the_cause(fresh: Path) -> None:
    (fresh / "s3" / "landing").mkdir(parents=True)
    (fresh / "warehouse.duckdb").write_text("this is no database")
    done = run(fresh, "run", "--select", "raw/movielens/tags")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED" in done.stdout
    assert "not a valid DuckDB database file" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_disk_without_room_is_told_in_a_line(demo: Demo, fresh: Path) -> None:
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
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"netflix-assets: Dagster's storage (settings: {fresh / 'dagster' / 'dagster.yaml'})"), line


@pytest.mark.long
def test_an_interrupted_run_says_stopped_and_the_next_one_heals(home: Path) -> None:
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
        os.killpg(running.pid, signal.SIGINT)  # Ctrl-C is for all processes of the terminal
        printed, told = running.communicate(timeout=60)
    assert (running.returncode, told.strip().splitlines()[-1]) == (130, "stopped"), printed + told
    assert "netflix_assets/" not in told  # a helper process of Dagster's does show a traceback of its own
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
        (told,) = instance.all_logs(ghost.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        assert f"the process of the run (pid {running.pid} on " in told.dagster_event.message


def test_a_refused_file_exits_3_and_says_what_to_do(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "tags-export.csv"
    file.write_bytes("userId,movieId,tag,timestamp\n1,2,héllo,1700000000\n".encode("latin-1"))
    wider = tmp_path / "tags-wider.csv"
    wider.write_text("userId,movieId,tag,timestamp,device\n1,2,hello,1700000000,tv\n")
    assert run(home, "land", str(file), str(wider)).returncode == 0
    done = run(home, "run", "--select", "raw/movielens/tags")
    assert done.returncode == 3, done.stdout + done.stderr
    message = "byte 0xe9 at offset 34 is not valid UTF-8; the file is probably Latin-1 or Windows-1252: save it as 'CSV"
    assert message in done.stderr.replace("\n", "")
    warning = "raw/movielens/tags: movielens/tags-wider.csv: column 'device' is not in the contract; ignored"
    assert warning in done.stderr.replace("\n", "")
    assert message in run(home, "status").stdout.replace("\n", "")


def test_a_refused_file_is_judged_again_after_replay(fresh: Path) -> None:
    assert "nothing to replay" in run(fresh, "replay").stdout
    for name in ("tags-a.csv", "tags-b.csv"):
        (fresh / name).write_bytes(b"")
        assert run(fresh, "land", str(fresh / name)).returncode == 0
    assert run(fresh, "run", "--select", "raw/movielens/tags").returncode == 3

    done = run(fresh, "replay", "movielens/ratings")
    assert (done.returncode, "nothing to replay" in done.stdout) == (0, True)
    done = run(fresh, "replay", "--object", "movielens/tags-c.csv")
    assert (done.returncode, "no file movielens/tags-c.csv in the bucket is refused" in done.stderr) == (1, True)
    done = run(fresh, "replay", "movielens/tags", "--object", "movielens/tags-a.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "movielens/tags-a.csv was refused: the file is empty (0 bytes)",
        "1 forgotten; to judge them again: netflix-assets run",
    ]
    [tags] = [
        each
        for each in json.loads(run(fresh, "status", "--json").stdout)["datasets"]
        if each["dataset"] == "movielens/tags"
    ]
    assert [each["object"] for each in tags["refused"]] == ["movielens/tags-b.csv"]
    assert run(fresh, "run", "--select", "raw/movielens/tags").returncode == 3
    assert "2 forgotten" in run(fresh, "replay").stdout


def test_rejected_records_are_loaded_after_a_change_of_the_contract(fresh: Path) -> None:
    contracts = fresh / "contracts"
    shutil.copytree(CONTRACTS_DIR, contracts)
    assert "0 rejected records" in run(fresh, "rejects", "replay", "movielens/ratings").stdout
    (fresh / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,2,4.0,1\n1,3,7.5,2\nx,4,4.0,3\n")
    assert run(fresh, "land", str(fresh / "ratings.csv")).returncode == 0
    here = {"NETFLIX_CONTRACTS": str(contracts)}
    done = run(fresh, "run", "--select", "raw/movielens/ratings", **here)
    assert done.returncode == 0
    assert re.search(r"^check warns: raw/movielens/ratings: no_rejected_rows: 2 records; look at", done.stderr, re.M)

    file = contracts / "movielens.yaml"
    file.write_text(file.read_text().replace("max: 5.0", "max: 8.0"))
    done = run(fresh, "rejects", "replay", "movielens/ratings", **here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "movielens/ratings.csv: 1 records pass now and were loaded (load 2 replays load 1)",
        "1 rejected records of movielens/ratings are left; see `netflix-assets rejects list`",
        "to build what follows from them: netflix-assets run",
    ]
    again = run(fresh, "rejects", "replay", "movielens/ratings", **here)
    assert again.stdout.splitlines() == [done.stdout.splitlines()[1]]
    [ratings] = [
        each
        for each in json.loads(run(fresh, "status", "--json").stdout)["datasets"]
        if each["dataset"] == "movielens/ratings"
    ]
    assert [ratings[name] for name in ("objects", "versions", "rows", "rejected")] == [1, 1, 2, 1]
    assert list((fresh / "tmp").iterdir()) == []
    rerun = run(fresh, "run", "--select", "raw/movielens/ratings", **here)
    assert (rerun.returncode, "0 failed" in rerun.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("land", "nonexistent.csv"), "nonexistent.csv"),
        (("land", __file__), "is no file of a known dataset"),
        (("land", "--as", "movielens/nothing", __file__), "the contracts know movielens/movies"),
        (("run", "--select", "raw/movielens/nothing"), "nothing"),
        (("rejects", "list", "--dataset", "x/y"), "no dataset 'x/y'"),
        (("replay", "x/y"), "no dataset 'x/y'"),
        (("generate", "--scale", "-1", "out"), "scale"),
        (("unknown",), "No such command"),
    ],
)
def test_wrong_use_exits_2_without_a_traceback(home: Path, arguments: tuple[str, ...], says: str) -> None:
    done = run(home, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_names_the_variable(tmp_path: Path) -> None:
    done = run(tmp_path, "status", NETFLIX_ENV="prod")
    assert done.returncode == 2
    assert "NETFLIX_ENV='prod'" in done.stderr
    assert "Traceback" not in done.stderr


def test_generate_replaces_no_other_file(tmp_path: Path) -> None:
    real = tmp_path / "a" / "ratings-2024.csv"
    real.parent.mkdir()
    real.write_text("mine")
    done = run(tmp_path, "generate", str(real.parent), "--scale", "0.01")
    assert (done.returncode, real.read_text()) == (2, "mine")
    assert f"{real} is there already and is another file" in done.stderr.replace("\n", "")
    assert [path.name for path in real.parent.iterdir()] == [real.name]


def test_letters_that_the_terminal_does_not_have_are_no_error(tmp_path: Path) -> None:
    done = run(tmp_path, "generate", str(tmp_path / "hüllen"), "--scale", "0.01", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"h\xfcllen/movies.csv" in done.stdout


def test_a_damaged_note_of_the_local_s3_is_named(tmp_path: Path) -> None:
    (tmp_path / "s3" / "landing").mkdir(parents=True)
    (tmp_path / "local-s3.json").write_text("")
    done = run(tmp_path, "status")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "local-s3.json is damaged: remove it" in done.stderr.replace("\n", "")


def test_generate_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        assert run(tmp_path, "generate", str(tmp_path / folder), "--scale", "0.02").returncode == 0
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert {"ratings-2024.csv", "titles.csv", "credits.csv"} <= set(files)
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_reset_removes_only_what_the_commands_made(tmp_path: Path) -> None:
    (tmp_path / "s3" / "landing").mkdir(parents=True)
    (tmp_path / "warehouse.duckdb").touch()
    (tmp_path / "mine.txt").touch()
    assert run(tmp_path, "reset", "--yes").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_reset_leaves_what_a_run_or_the_ui_works_with(fresh: Path) -> None:
    with lease(local_s3(fresh), "landing"):
        done = run(fresh, "reset", "--yes")
        assert (done.returncode, (fresh / "dbt").exists()) == (1, True)
        assert "is under way; stop it first" in done.stderr
    assert run(fresh, "reset", "--yes").returncode == 0


def test_demo_leaves_the_files_of_others_alone(fresh: Path) -> None:
    mine = fresh / "s3" / "landing" / "movielens" / "movies.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("movieId,title,genres\n1,Mine (2001),Drama\n")
    done = run(fresh, "demo", "--scale", "0.01")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the bucket has movielens/movies.csv, which is not of these samples" in done.stderr
    assert [path.name for path in mine.parent.iterdir()] == ["movies.csv"]
    assert "Mine" in mine.read_text()


def test_a_file_that_belongs_to_no_dataset_is_told(fresh: Path) -> None:
    folder = fresh / "s3" / "landing" / "movielens"
    folder.mkdir(parents=True)
    for name in ("ratings_10.csv", "tags-10.csv"):
        (folder / name).write_text("userId,movieId,tag,timestamp\n1,2,slow,3\n")
    told = "movielens/ratings_10.csv belongs to no dataset by its name"
    done = run(fresh, "run", "--select", "raw/movielens/tags")
    assert (done.returncode, done.stderr.count(told)) == (0, 1), done.stderr
    assert told in run(fresh, "status").stdout
    assert json.loads(run(fresh, "status", "--json").stdout)["of_no_dataset"] == ["movielens/ratings_10.csv"]


def test_what_dbt_cannot_read_is_told_in_its_words(fresh: Path) -> None:
    project = fresh / "dbt-of-its-own"
    done = run(fresh, "run", NETFLIX_DBT_PROJECT=str(project))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"NETFLIX_DBT_PROJECT={project}" in done.stderr
    shutil.copytree(REPO / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "models" / "marts" / "mart_broken.sql").write_text("select * from {{ ref('nothing') }}\n")
    done = run(fresh, "run", NETFLIX_DBT_PROJECT=str(project))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert f"dbt cannot read {project}" in done.stderr
    assert "depends on a node named 'nothing' which was not found" in done.stderr.replace("\n", " ")


def test_a_held_warehouse_is_waited_for_and_its_holder_named(home: Path) -> None:
    program = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(home / "warehouse.duckdb")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = run(home, "status", NETFLIX_WAREHOUSE_WAIT_SECONDS="1")
        assert done.returncode == 1
        assert f"is held by process {holder.pid}" in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr
        quick = {"NETFLIX_WAREHOUSE_WAIT_SECONDS": "0.2", "NETFLIX_STEP_RETRIES": "0"}
        done = run(home, "run", "--select", "raw/movielens/tags", **quick)
        assert done.returncode == 1
        assert re.search(rf"^raw/movielens/tags: HeldError: .* is held by process {holder.pid}", done.stderr, re.M)
    finally:
        holder.kill()
        holder.communicate()


def test_the_ui_serves_the_graph_and_stops_cleanly(home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [COMMAND, "ui"],
        env={**os.environ, "NETFLIX_HOME": str(home), "UI_PORT": str(port), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    answer: dict[str, object] = {}
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
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert len(answer["assetNodes"]) == 106, output  # type: ignore[arg-type]
    assert answer["sensorsOrError"] == {
        "results": [{"name": name, "sensorState": {"status": "RUNNING"}} for name in ("alerts", "landing")]
    }
    assert process.returncode == 0, output
    assert f"http://127.0.0.1:{port}" in output
    left = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(home) not in left


def test_two_files_that_would_become_one_object_are_not_landed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n")
    done = run(tmp_path / "home", "land", str(tmp_path / "a" / "ratings.csv"), str(tmp_path / "b" / "ratings.csv"))
    assert done.returncode == 2
    assert "would both become movielens/ratings.csv" in done.stderr
    assert not (tmp_path / "home" / "s3" / "landing" / "movielens").exists()


def test_a_file_that_no_dataset_would_find_is_not_landed(tmp_path: Path) -> None:
    file = tmp_path / "export.txt"
    file.write_text("userId,movieId,rating,timestamp\n")
    done = run(tmp_path / "home", "land", "--as", "movielens/ratings", str(file))
    assert done.returncode == 2
    assert "must end in .csv or .csv.gz" in done.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ratings_09.csv", "movielens/ratings takes ratings.csv, ratings-<anything>.csv (also .csv.gz). Rename it"),
        ("ratings (1).csv", "movielens/ratings takes ratings.csv, ratings-<anything>.csv (also .csv.gz). Rename it"),
        ("tagsx.csv", "movielens/tags takes tags.csv, tags-<anything>.csv (also .csv.gz). Rename it"),
        ("other.csv", "netflix/titles takes titles.csv, titles-<anything>.csv (also .csv.gz)"),
        ("RATINGS-8.CSV", "rename it to 'ratings-8.csv'"),
        ("ratings-\a.csv", "the name 'ratings-\\x07.csv' has a character that cannot be printed in it"),
    ],
)
def test_a_name_that_no_dataset_takes_is_answered_with_what_helps(tmp_path: Path, name: str, says: str) -> None:
    file = tmp_path / name
    file.write_text("userId,movieId,rating,timestamp\n")
    done = run(tmp_path / "home", "land", str(file))
    assert done.returncode == 2
    assert says in done.stderr
    assert "*" not in done.stderr


def test_a_pipe_is_not_landed_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "ratings.csv"
    os.mkfifo(pipe)
    done = run(tmp_path / "home", "land", str(pipe))
    assert done.returncode == 2
    assert f"{pipe} is no regular file" in done.stderr


def test_an_export_of_rejects_does_not_write_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "half-mended.csv"
    file.write_text("mine")
    done = run(tmp_path / "home", "rejects", "export", "movielens/ratings", str(file))
    assert done.returncode == 2
    assert f"{file} is there already; name another file" in done.stderr
    assert file.read_text() == "mine"


def test_a_fetch_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    done = run(tmp_path, "fetch", "movielens", "--base-url", "http://127.0.0.1:9", no_proxy="127.0.0.1")
    assert done.returncode == 1, done.stdout + done.stderr
    assert not (tmp_path / "downloads").exists()


def test_reset_never_removes_a_source_folder(tmp_path: Path) -> None:
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "dbt_project.yml").touch()
    done = run(tmp_path, "reset", "--yes")
    assert done.returncode == 2
    assert "is a source folder" in done.stderr
    assert (tmp_path / "dbt" / "dbt_project.yml").exists()


def test_values_that_look_like_markup_are_printed_as_they_are(fresh: Path) -> None:
    file = fresh / "tags-[red]x.csv"
    file.write_text("userId,movieId,tag,timestamp\n1,2,good,1\n[/b],2,bad,1\n")
    home = fresh / "home"
    assert "tags-[red]x.csv" in run(home, "land", str(file)).stdout
    assert run(home, "run", "--select", "raw/movielens/tags").returncode == 0
    assert "user_id '[/b]' is not an integer" in run(home, "rejects", "list").stdout
