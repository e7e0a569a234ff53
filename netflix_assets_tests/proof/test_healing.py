"""`netflix-assets ui` as a user has it, with its processes killed one after the other: nothing lost, nothing doubled.

One home goes through everything; at the end its published tables must be those of a home that nothing has happened to.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import duckdb
import pytest

from netflix_assets.defs.jobs import EVERYTHING
from netflix_assets.dev.samples import generate
from netflix_assets.operations.instance import open_instance
from netflix_assets.processes import is_alive
from netflix_assets.settings import read_settings
from netflix_assets.storage.local_s3 import local_s3
from netflix_assets_tests.demo import COMMAND
from netflix_assets_tests.test_secrets import Trap, credentials

pytestmark = pytest.mark.healing

TIMEOUT_S = 240.0  # of anything that is waited for: a tick comes every 30 s, a run takes 40 s on two cores

Found = TypeVar("Found")

# What a process is called in `ps`, as far as it is one of this home's.
CODE_SERVER, DEFINITIONS, WEBSERVER, DAEMON = "code-server start", "api grpc", "dagster-webserver", "dagster-daemon run"

REPOSITORY = 'repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "netflix_assets"}'
SENSORS = f"{{ sensorsOrError({REPOSITORY}) {{ ... on Sensors {{ results {{ name }} }} }} }}"
# Where the page shows configuration and what processes have said.
SHOWN = (
    f"""{{ allTopLevelResourceDetailsOrError({REPOSITORY}) {{
        ... on ResourceDetailsList {{ results {{ name configuredValues {{ key value type }} }} }} }} }}""",
    "{ instance { info executablePath } }",
    "{ workspaceOrError { ... on Workspace { locationEntries { name displayMetadata { key value } } } } }",
    """{ runsOrError { ... on Runs { results { runId runConfigYaml tags { key value } eventConnection { events {
        ... on MessageEvent { message } ... on ErrorEvent { error { message stack } } } } } } } }""",
    f"""{{ sensorsOrError({REPOSITORY}) {{ ... on Sensors {{ results {{
        name sensorState {{ ticks {{ status skipReason cursor error {{ message stack }} }} }} }} }} }} }}""",
)


class Ui:
    """A home with `netflix-assets ui` over it."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.home, self.instance = home, instance
        self.bucket = home / "s3" / "landing" / "movielens"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = home / "ui.log"
        self.credentials = credentials()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [COMMAND, "ui"], env=self.environment(), stdout=output, stderr=output, start_new_session=True
            )
        self.wait(self.answers)

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(90) == 0, self.printed()

    def environment(self) -> dict[str, str]:
        said = {"NETFLIX_HOME": str(self.home), "UI_PORT": str(self.port), "COLUMNS": "200"}
        # A Slack that nobody answers for: alerts must not hold up what heals.
        slack = {"NETFLIX_SLACK_CHANNEL": "C0CANARY", "NETFLIX_SLACK_BASE_URL": "http://127.0.0.1:9/"}
        return {**os.environ, **self.credentials, **said, **slack}

    def printed(self) -> str:
        """What the UI says itself, and the last of what its processes say."""
        text = self.log.read_text(errors="replace")
        own = [line for line in text.splitlines() if re.match("the |bucket |UI |run |stopping", line)]
        return "\n".join([*own, text[-5_000:]])

    def wait(self, look: Callable[[], Found]) -> Found:
        """The first thing found that is not false; the test fails when it takes too long."""
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := look()):
            assert time.monotonic() < deadline, self.printed()
            time.sleep(0.02)
        return found

    def ask(self, query: str) -> bytes:
        """What the page's server answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.read()

    def answers(self) -> bool:
        """Whether the page's server has the definitions."""
        try:
            return b'"name":"landing"' in self.ask(SENSORS)
        except OSError:
            time.sleep(0.3)
            return False

    # ------------------------------------------------------------ the bucket

    def put(self, name: str, text: str) -> None:
        """What a user does: copy a file."""
        source = self.home / "mine.csv"
        source.write_text(text)
        shutil.copyfile(source, self.bucket / name)

    # ------------------------------------------------------------ runs

    def runs(self) -> list[dg.DagsterRun]:
        """All runs that the sensor has asked for, oldest first."""
        return self.instance.get_runs(dg.RunsFilter(job_name=EVERYTHING), ascending=True)

    def next_run(self, known: int, step: str) -> dg.DagsterRun:
        """The first run after the known ones, when it has begun a step."""

        def begun() -> dg.DagsterRun | None:
            for run in self.runs()[known:]:
                started = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
                if any(entry.step_key == step for entry in started):
                    return run
            return None

        return self.wait(begun)

    def finished(self, known: int, count: int) -> list[str]:
        """How the next runs have ended, when so many have, and nothing else is under way or asked for."""

        def ended() -> list[dg.DagsterRun] | None:
            runs = self.runs()[known:]
            return runs if len(runs) >= count and all(run.is_finished for run in runs) else None

        found = self.wait(ended)
        assert len(found) == count, self.printed()
        return [run.status.value for run in found]

    def worker(self, run: dg.DagsterRun) -> int:
        for entry in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            pid = entry.dagster_event.engine_event_data.metadata.get("pid")
            if pid is not None:
                return int(str(pid.value))
        raise AssertionError("the run has no process")

    # ------------------------------------------------------------ processes

    def processes(self) -> dict[int, str]:
        """The processes of this home's UI, and what they have started, with their command lines."""
        noted = (self.home / "ui.lock").read_text()
        groups = {str(group) for group in json.loads(noted)["groups"]} if noted else set()
        listed = subprocess.run(["ps", "-ewwo", "pid=,pgid=,stat=,args="], capture_output=True, text=True, check=True)
        found = {}
        for line in listed.stdout.splitlines():
            pid, group, state, command = line.split(maxsplit=3)
            if not state.startswith("Z") and (group in groups or str(self.home) in command):
                found[int(pid)] = command
        return found

    def pid(self, name: str) -> int:
        (pid,) = self.wait(lambda: [pid for pid, command in self.processes().items() if name in command])
        return pid

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    # ------------------------------------------------------------ what consumers see

    def published(self) -> dict[str, tuple[int, int]]:
        return published(self.home)

    def ratings(self) -> int:
        return self.published()["core.fct_ratings"][0]


def published(home: Path) -> dict[str, tuple[int, int]]:
    """Rows, and a sum of their hashes whatever their order, of every published table that does not describe runs.

    Without the number of the load that brought a row: a run that was killed has used one up.
    """
    (manifest,) = home.glob("dbt/target-local/manifest.json")
    nodes = json.loads(manifest.read_text())["nodes"].values()
    run_dependent = {node["name"] for node in nodes if "run_dependent" in node["tags"]}
    with duckdb.connect(str((home / "published/current/netflix.duckdb").resolve()), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return {
            f"{schema}.{table}": connection.execute(
                f"""
                select count(*), coalesce(sum(hash(t)::hugeint), 0)
                from (select columns(lambda name: name <> '_load_id') from {schema}.{table}) as t
                """
            ).fetchone()
            for schema, table in tables
            if table not in run_dependent
        }


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    paths = generate(tmp_path_factory.mktemp("samples"), scale=0.03)
    return [path for path in paths if path.stem not in ("titles", "credits")]


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    home = tmp_path_factory.mktemp("healing")
    settings = read_settings(home=home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        with open_instance(settings) as instance:
            served = Ui(home, instance)
            try:
                served.start()
                yield served
            finally:
                served.stop()
            assert served.processes() == {}


def ratings(user: int, count: int, stars: float = 4.0) -> str:
    lines = [f"{user},{movie},{stars},{1_600_000_000 + movie}" for movie in range(1, count + 1)]
    return "\n".join(["userId,movieId,rating,timestamp", *lines, ""])


@pytest.fixture(scope="module")
def full(ui: Ui, samples: list[Path]) -> int:
    """The home with the samples in it, by one run; the number of ratings that consumers see."""
    ui.bucket.mkdir()
    for path in samples:
        shutil.copyfile(path, ui.bucket / path.name)
    assert ui.finished(0, 1) == ["SUCCESS"]
    return ui.ratings()


def test_copying_files_changes_what_consumers_see(ui: Ui, full: int) -> None:
    known = len(ui.runs())
    ui.put("ratings-mine.csv", ratings(900_001, 10))
    assert ui.finished(known, 1) == ["SUCCESS"]
    assert ui.ratings() == full + 10


def test_overwriting_replaces_the_files_rows_and_deleting_leaves_them(ui: Ui, full: int) -> None:
    known = len(ui.runs())
    ui.put("ratings-mine.csv", ratings(900_001, 7, stars=2.0))
    assert ui.finished(known, 1) == ["SUCCESS"]
    assert ui.ratings() == full + 7
    (ui.bucket / "ratings-mine.csv").unlink()
    assert ui.finished(known, 2) == ["SUCCESS", "SUCCESS"]
    assert ui.ratings() == full + 7


def test_the_daemon_killed_in_a_run_comes_back_and_the_run_goes_on(ui: Ui, full: int) -> None:
    known, before = len(ui.runs()), ui.ratings()
    ui.put("ratings-a.csv", ratings(900_002, 11))
    ui.next_run(known, "dbt_models")
    daemon = ui.pid(DAEMON)
    ui.kill(daemon)
    assert ui.finished(known, 1) == ["SUCCESS"]
    assert ui.ratings() == before + 11
    assert ui.pid(DAEMON) != daemon
    assert "the daemon was killed (SIGKILL); it is started again in 1 s" in ui.printed()


@pytest.mark.parametrize(
    ("step", "user"), [("raw__movielens__ratings", 900_010), ("dbt_models", 900_011), ("published__marts", 900_012)]
)
def test_the_process_of_a_run_killed_in_a_step_is_another_run(ui: Ui, full: int, step: str, user: int) -> None:
    known, before = len(ui.runs()), ui.ratings()
    ui.put(f"ratings-{user}.csv", ratings(user, 13))
    run = ui.next_run(known, step)
    time.sleep(2 if step == "dbt_models" else 0)
    ui.kill(ui.worker(run))
    assert ui.finished(known, 2) == ["FAILURE", "SUCCESS"]
    assert ui.ratings() == before + 13


def test_the_s3_server_killed_in_a_run_comes_back(ui: Ui, full: int) -> None:
    known, before = len(ui.runs()), ui.ratings()
    ui.put("ratings-s3.csv", ratings(900_030, 17))
    ui.next_run(known, "raw__movielens__genome_scores")
    server = ui.pid("rclone serve s3")
    ui.kill(server)
    assert ui.finished(known, 1) == ["SUCCESS"]
    assert ui.ratings() == before + 17
    assert ui.pid("rclone serve s3") != server


@pytest.mark.parametrize(("which", "user"), [(CODE_SERVER, 900_040), (DEFINITIONS, 900_041), (WEBSERVER, 900_042)])
def test_a_server_killed_in_a_run_comes_back_and_the_run_goes_on(ui: Ui, full: int, which: str, user: int) -> None:
    known, before = len(ui.runs()), ui.ratings()
    name = f"ratings-{user}.csv"
    ui.put(name, ratings(user, 19))
    ui.next_run(known, "dbt_models")
    killed = ui.pid(which)
    ui.kill(killed)
    ui.wait(lambda: not is_alive(killed, time.time()))
    assert ui.finished(known, 1) == ["SUCCESS"]
    assert ui.ratings() == before + 19
    ui.wait(ui.answers)
    assert ui.pid(which) != killed
    ui.put(name, ratings(user, 18))  # and the next file is loaded as ever
    assert ui.finished(known, 2) == ["SUCCESS", "SUCCESS"]
    assert ui.ratings() == before + 18


def test_no_credential_is_shown_or_written(ui: Ui, full: int) -> None:
    trap = Trap(ui.home, {**ui.credentials, "local S3": local_s3(ui.home).secret_access_key})
    for query in SHOWN:
        trap.printed.append(ui.ask(query))
        assert b'"errors"' not in trap.printed[-1], trap.printed[-1]
    assert b'"warehouse"' in trap.printed[0]
    assert b"netflix/behind" in trap.printed[3]
    assert trap.leaks() == ["local S3 in local-s3.json"]


def test_ctrl_c_in_a_run_leaves_nothing_behind_and_the_next_start_heals(ui: Ui, full: int) -> None:
    known, before = len(ui.runs()), ui.ratings()
    ui.put("ratings-stopped.csv", ratings(900_050, 23))
    ui.next_run(known, "dbt_models")
    processes = ui.processes()
    ui.stop()
    assert [pid for pid in processes if is_alive(pid, time.time())] == []
    assert ui.processes() == {}
    ui.start()
    assert ui.finished(known, 2)[1] == "SUCCESS"
    assert ui.ratings() == before + 23


def test_a_killed_ui_is_taken_over_and_a_second_one_is_refused(ui: Ui, full: int) -> None:
    assert ui.process is not None
    second = subprocess.run([COMMAND, "ui"], env=ui.environment(), capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"runs already, as process {ui.process.pid}: http://127.0.0.1:{ui.port}" in second.stderr.replace("\n", "")
    left, killed = ui.processes(), ui.process.pid
    ui.kill(killed)
    ui.process.wait()
    ui.start()
    # What the killed one has left answers until the new one stops it.
    ui.wait(lambda: f"the UI that was process {killed} was killed: stopping what it has left" in ui.printed())
    ui.wait(lambda: not [pid for pid in set(left) & set(ui.processes()) if "rclone" not in left[pid]])
    ui.wait(ui.answers)
    known, before = len(ui.runs()), ui.ratings()
    ui.put("ratings-after.csv", ratings(900_060, 5))
    assert ui.finished(known, 1) == ["SUCCESS"]
    assert ui.ratings() == before + 5


def test_what_consumers_see_is_what_a_home_without_accidents_publishes(ui: Ui, full: int, tmp_path: Path) -> None:
    ui.put("ratings-mine.csv", ratings(900_001, 7, stars=2.0))  # it was deleted, which leaves its rows
    shutil.copytree(ui.home / "s3" / "landing", tmp_path / "s3" / "landing")
    done = subprocess.run(
        [COMMAND, "run"], env={**ui.environment(), "NETFLIX_HOME": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert ui.published() == published(tmp_path)
    current: Any = ui.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    assert len(current) <= 1
