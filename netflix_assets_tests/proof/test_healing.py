"""`netflix-assets ui` as a user has it, with its processes killed one after the other: nothing lost, nothing doubled.

One home goes through everything, so the tests run in order. Each starts where the last one has left a UI that ended.
At the end the published tables must equal those of a home that nothing has happened to.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import dagster as dg
import duckdb
import psutil
import pytest

from netflix_assets.defs.jobs import EVERYTHING
from netflix_assets.defs.runs import HAS_PROCESS
from netflix_assets.dev.samples import generate
from netflix_assets.dev.ui import processes_of
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import read_settings
from netflix_assets.storage.local_s3 import local_s3
from netflix_assets_tests.demo import COMMAND, published_tables
from netflix_assets_tests.test_secrets import Trap, credentials
from netflix_assets_tests.waiting import free_port, until

pytestmark = pytest.mark.healing

# Of anything that is waited for, as a guard against a hang. A tick comes every 30 s and a run takes 40 s on two quiet
# cores; on busy ones a run took 6 minutes, and Dagster gave up ticks after 60 s and made others.
TIMEOUT_S = 1_800.0

Found = TypeVar("Found")

# What the processes of this home's UI are called in `ps`.
DAGSTER_DEV, CODE_SERVER, DEFINITIONS = "dagster dev", "code-server start", "dagster api grpc"
WEBSERVER, DAEMON = "dagster_webserver", "dagster._daemon run"
ENDED = "ended, so the UI was stopped"

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
        self.bucket.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = home / "ui.log"
        # That of a database says nothing without an address.
        self.credentials = {name: text for name, text in credentials().items() if "_POSTGRES_" not in name}
        self.process: subprocess.Popen[bytes] | None = None
        self.known = 0  # how many runs there were when it started

    def start(self) -> None:
        """Start it as a script does with `&`: interrupts are ignored in what a shell starts in the background."""
        self.known = len(self.runs())
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [COMMAND, "ui"], env=self.environment(), stdout=output, stderr=output, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
            )  # fmt: skip

    def stop(self, by: signal.Signals = signal.SIGINT) -> None:
        assert self.process is not None
        self.process.send_signal(by)
        assert self.process.wait(TIMEOUT_S) == 0, self.printed()
        assert self.processes() == {}

    def end(self) -> None:
        """Stop it if it still runs."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(TIMEOUT_S)
        assert self.processes() == {}

    def ends_by_killing(self, *pids: int) -> None:
        """The end of one process ends all, with a message."""
        assert self.process is not None
        before = self.log.read_text(errors="replace").count(ENDED)
        for pid in pids:
            self.kill(pid)
        assert self.process.wait(TIMEOUT_S) == 1, self.printed()
        assert self.log.read_text(errors="replace").count(ENDED) == before + 1, self.printed()
        assert self.processes() == {}

    def environment(self) -> dict[str, str]:
        said = {"NETFLIX_HOME": str(self.home), "UI_PORT": str(self.port), "COLUMNS": "200"}
        # A Slack that nobody answers for: alerts must not hold up what heals.
        slack = {"NETFLIX_SLACK_CHANNEL": "C0CANARY", "NETFLIX_SLACK_BASE_URL": "http://127.0.0.1:9/"}
        return {**os.environ, **self.credentials, **said, **slack}

    def printed(self) -> str:
        """The last of what it has printed."""
        return self.log.read_text(errors="replace")[-8_000:]

    def wait(self, look: Callable[[], Found]) -> Found:
        """The first thing found that is not false; the test fails when it takes too long."""
        return until(look, self.printed, seconds=TIMEOUT_S)

    def ask(self, query: str) -> bytes:
        """What the page's server answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            json.dumps({"query": query}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return response.read()

    def has_definitions(self) -> bool:
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
        """All runs that the sensor has requested, oldest first."""
        return self.instance.get_runs(dg.RunsFilter(job_name=EVERYTHING), ascending=True)

    def next_run(self, step: str, known: int | None = None) -> dg.DagsterRun:
        """The first run after the known ones, or after the start, when it has begun a step."""

        def begun() -> dg.DagsterRun | None:
            assert self.process is not None
            assert self.process.poll() is None, self.printed()
            for run in self.runs()[self.known if known is None else known :]:
                started = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
                if any(entry.step_key == step for entry in started):
                    return run
            return None

        return self.wait(begun)

    def ended(self, run: dg.DagsterRun) -> str:
        """How the run has ended, when it has."""

        def status() -> str | None:
            found = self.instance.get_run_by_id(run.run_id)
            return found.status.value if found and found.is_finished else None

        return self.wait(status)

    def worker(self, run: dg.DagsterRun) -> int:
        for entry in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            pid = entry.dagster_event.engine_event_data.metadata.get("pid")
            if pid is not None:
                return int(str(pid.value))
        raise AssertionError("the run has no process")

    # ------------------------------------------------------------ processes

    def processes(self) -> dict[int, str]:
        """The processes of this home's UI, and what they have started, with their command lines."""
        found = {process.pid: " ".join(process.cmdline()) for process in processes_of(self.home)}
        with contextlib.suppress(FileNotFoundError):
            found[self.s3()] = "rclone"
        return found

    def s3(self) -> int:
        return int((self.home / "local-s3.pid").read_text())

    def pid(self, name: str) -> int:
        (pid,) = self.wait(lambda: [pid for pid, command in self.processes().items() if name in command])
        return pid

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    # ------------------------------------------------------------ what consumers see

    def published(self) -> dict[str, tuple[int, int]]:
        return published_tables(self.home)

    def ratings(self) -> int:
        """How many ratings of the users that the tests make up are published."""
        with duckdb.connect(str((self.home / "published/current/netflix.duckdb").resolve()), read_only=True) as served:
            return served.execute("select count(*) from core.fct_ratings where user_id > 900000").fetchone()[0]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    paths = generate(tmp_path_factory.mktemp("samples"), scale=0.01)
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
                yield served
            finally:
                served.end()


def ratings(user: int, count: int, stars: float = 4.0) -> str:
    lines = [f"{user},{movie},{stars},{1_600_000_000 + movie}" for movie in range(1, count + 1)]
    return "\n".join(["userId,movieId,rating,timestamp", *lines, ""])


def test_the_s3_server_killed_in_a_run_comes_back_and_the_files_are_published(ui: Ui, samples: list[Path]) -> None:
    for path in samples:
        shutil.copyfile(path, ui.bucket / path.name)
    ui.put("ratings-mine.csv", ratings(900_001, 10))
    ui.start()
    run = ui.next_run("raw__movielens__genome_scores")
    server = ui.s3()
    ui.kill(server)
    assert ui.ended(run) == "SUCCESS"
    assert ui.s3() != server
    assert ui.ratings() == 10
    ui.wait(ui.has_definitions)
    ui.ends_by_killing(ui.pid(WEBSERVER))


def test_the_end_of_the_daemon_interrupts_a_run(ui: Ui) -> None:
    ui.put("ratings-mine.csv", ratings(900_001, 7, stars=2.0))  # overwritten
    ui.start()
    run = ui.next_run("raw__movielens__ratings")
    ui.ends_by_killing(ui.pid(DAEMON))
    assert ui.ended(run) in ("FAILURE", "CANCELED")


def test_what_has_come_meanwhile_is_loaded_until_the_machine_goes_down(ui: Ui) -> None:
    ui.put("ratings-a.csv", ratings(900_002, 11))
    ui.start()
    ui.next_run("raw__movielens__ratings")
    assert ui.process is not None
    for pid in (ui.process.pid, *ui.processes()):
        ui.kill(pid)
    ui.process.wait()


def test_the_next_start_reports_the_run_that_did_not_end(ui: Ui) -> None:
    *_, interrupted = ui.runs()
    assert interrupted.status == dg.DagsterRunStatus.STARTED
    ui.put("ratings-b.csv", ratings(900_003, 13))
    ui.start()
    assert ui.ended(interrupted) == "FAILURE"
    ui.wait(lambda: f"{interrupted.run_id} did not end and its process is gone" in ui.printed())
    run = ui.next_run("dbt_models")
    ui.kill(ui.worker(run))
    assert ui.ended(run) == "FAILURE"
    ui.ends_by_killing(ui.pid(DAGSTER_DEV))


def test_a_second_ui_is_refused_and_what_a_killed_one_left_is_stopped(ui: Ui) -> None:
    (ui.bucket / "ratings-mine.csv").unlink()
    ui.put("ratings-c.csv", ratings(900_004, 17))
    ui.start()
    run = ui.next_run("dbt_models")
    assert ui.process is not None
    second = subprocess.run([COMMAND, "ui"], env=ui.environment(), capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"already running (process {ui.process.pid}, http://127.0.0.1:{ui.port})" in second.stderr.replace("\n", "")
    left = ui.processes()
    ui.process.kill()
    ui.process.wait()
    assert psutil.pid_exists(ui.pid(DAGSTER_DEV))
    ui.put("ratings-d.csv", ratings(900_005, 19))
    ui.start()
    ui.wait(lambda: "that a killed UI left behind" in ui.printed())
    assert ui.ended(run) in ("FAILURE", "CANCELED")
    ui.wait(ui.has_definitions)
    assert [command for pid, command in ui.processes().items() if pid in left and command != "rclone"] == []


def test_a_run_killed_while_it_publishes_is_repeated_and_a_run_goes_on_without_its_code_server(ui: Ui) -> None:
    run = ui.next_run("published__marts")
    ui.kill(ui.worker(run))
    assert ui.ended(run) == "FAILURE"
    repeated = ui.next_run("raw__movielens__ratings", ui.known + 1)
    assert (repeated.tags["netflix/stale"], repeated.tags["netflix/attempt"]) == (run.tags["netflix/stale"], "2")
    code_server = ui.pid(CODE_SERVER)
    ui.kill(code_server)
    assert ui.ended(repeated) == "SUCCESS"
    assert ui.ratings() == 7 + 11 + 13 + 17 + 19  # what was in the deleted file stays
    ui.wait(ui.has_definitions)
    assert ui.pid(CODE_SERVER) != code_server


def test_an_interrupted_ui_leaves_nothing_behind_and_the_next_start_heals(ui: Ui) -> None:
    known = len(ui.runs())
    ui.put("ratings-e.csv", ratings(900_006, 23))  # the code server that came back starts its run
    ui.next_run("dbt_models", known)
    ui.stop()
    ui.put("ratings-f.csv", ratings(900_007, 29))
    ui.start()
    assert ui.ended(ui.next_run("raw__movielens__ratings")) == "SUCCESS"
    assert ui.ratings() == 7 + 11 + 13 + 17 + 19 + 23 + 29


def test_no_credential_is_shown_or_written(ui: Ui) -> None:
    trap = Trap(ui.home, {**ui.credentials, "local S3": local_s3(ui.home).secret_access_key})
    ui.wait(ui.has_definitions)
    for query in SHOWN:
        trap.printed.append(ui.ask(query))
        assert b'"errors"' not in trap.printed[-1], trap.printed[-1]
    assert b'"warehouse"' in trap.printed[0]
    assert b"netflix/stale" in trap.printed[3]
    assert trap.leaks() == ["local S3 in local-s3.json"]


def test_definitions_that_are_killed_end_the_ui(ui: Ui) -> None:
    ui.ends_by_killing(ui.pid(DEFINITIONS))


def test_what_consumers_see_is_what_a_home_without_accidents_publishes(ui: Ui, tmp_path: Path) -> None:
    ui.put("ratings-mine.csv", ratings(900_001, 7, stars=2.0))  # it was deleted, which leaves its rows
    shutil.copytree(ui.home / "s3" / "landing", tmp_path / "s3" / "landing")
    done = subprocess.run(
        [COMMAND, "run"], env={**ui.environment(), "NETFLIX_HOME": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert ui.published() == published_tables(tmp_path)
    assert ui.instance.get_runs(dg.RunsFilter(statuses=list(HAS_PROCESS))) == []
    assert list((ui.home / "dagster" / "run-locks").iterdir()) == []


def test_a_copy_of_the_home_works_beside_it_and_each_loads_its_own_files(
    ui: Ui, tmp_path_factory: pytest.TempPathFactory
) -> None:
    copy = shutil.copytree(ui.home, tmp_path_factory.mktemp("copy"), symlinks=True, dirs_exist_ok=True)
    with open_instance(read_settings(home=copy)) as instance:
        other = Ui(copy, instance)
        before = ui.ratings()
        try:
            ui.put("ratings-x.csv", ratings(900_008, 31))
            other.put("ratings-y.csv", ratings(900_009, 37))
            ui.start()
            other.start()
            for each in (ui, other):
                assert each.ended(each.next_run("raw__movielens__ratings")) == "SUCCESS"
            assert (ui.ratings(), other.ratings()) == (before + 31, before + 37)
            lasting = {other.s3(), *map(other.pid, (DAGSTER_DEV, CODE_SERVER, DEFINITIONS, WEBSERVER, DAEMON))}
            ui.stop()
            known = len(other.runs())
            other.put("ratings-z.csv", ratings(900_010, 41))
            assert other.ended(other.next_run("raw__movielens__ratings", known)) == "SUCCESS"
            assert other.ratings() == before + 37 + 41
            assert other.processes().keys() >= lasting
            other.stop()
        finally:
            other.end()
