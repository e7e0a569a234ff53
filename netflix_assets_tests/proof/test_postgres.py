"""The topology of deploy/compose/compose.yaml with each of its processes killed, and new code rolled over old.

PostgreSQL, local S3, code server, daemon and webserver run as compose runs them (compose.py). The tests run in order
and build on each other; after each, everything is whole (``Site.expect``). At the end the published tables must equal
those of a home that nothing has happened to. `make proof SUITE=postgres` runs them.
"""

import json
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
import dagster as dg
import duckdb
import psycopg2
import pytest
import yaml
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import SQLAlchemyError

from netflix_assets.defs.jobs import EVERYTHING
from netflix_assets.defs.landing.cursor import Cursor
from netflix_assets.defs.runs import HOST
from netflix_assets.settings import REPO
from netflix_assets_tests.demo import published_tables
from netflix_assets_tests.proof.compose import HOME, SERVICES, Deployment, build_image
from netflix_assets_tests.waiting import until

pytestmark = pytest.mark.postgres

TIMEOUT_S = 1_800.0  # guards against a hang: a run takes a minute where nothing else goes on
RATING = "userId,movieId,rating,timestamp\n{},1,4.0,1700000000\n"
# How a run that the sensor requests ends, and at which attempt for the same files.
FIRST, KILLED, SECOND = "SUCCESS at 1", "FAILURE at 1", "SUCCESS at 2"

PUBLISHED = Path("published", "current", "netflix.duckdb")

Found = TypeVar("Found")


@dataclass
class Site:
    """A deployment, what was put into its bucket, and how its runs must have ended."""

    deployment: Deployment
    instance: dg.DagsterInstance
    users: list[int] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)  # all runs, oldest first
    checks: dict[tuple[str, str], bool] = field(default_factory=dict)  # of the first run
    steps: set[str] = field(default_factory=set)
    built_with: Path | None = None  # the image of the last run, if it is not the one that serves

    # ------------------------------------------------------------ the bucket

    @property
    def s3(self) -> Any:
        environment = self.deployment.environment("code")
        return boto3.client(
            "s3",
            endpoint_url=environment["NETFLIX_S3_ENDPOINT"],
            region_name="us-east-1",
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def land(self) -> None:
        """Land a file with one rating of another user."""
        user = 900_001 + len(self.users)
        self.users.append(user)
        self.s3.put_object(Bucket="landing", Key=f"movielens/ratings-{user}.csv", Body=RATING.format(user).encode())

    def objects(self) -> set[tuple[str, str]]:
        listed = self.s3.list_objects_v2(Bucket="landing")
        assert not listed["IsTruncated"]
        return {(each["Key"], each["ETag"].strip('"')) for each in listed["Contents"]}

    # ------------------------------------------------------------ runs

    def wait(self, look: Callable[[], Found]) -> Found:
        """The first thing found that is not false, also when PostgreSQL does not answer for a while."""

        def looked() -> Found | None:
            with suppress(SQLAlchemyError, psycopg2.Error, DagsterPostgresException, OSError):
                return look()
            return None

        logs = lambda: "\n".join(f"--- {name}\n{self.deployment.log(name)}" for name in ("code", "daemon"))  # noqa: E731
        return until(looked, logs, seconds=TIMEOUT_S, pause=0.5)

    def runs(self) -> list[dg.DagsterRun]:
        """Oldest first."""
        return self.instance.get_runs(dg.RunsFilter(job_name=EVERYTHING), ascending=True)

    def next_run(self, step: str) -> dg.DagsterRun:
        """The first run that is not expected to have ended, when it has begun a step."""

        def begun() -> dg.DagsterRun | None:
            for run in self.runs()[len(self.ended) :]:
                started = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
                if any(entry.step_key == step for entry in started):
                    return run
            return None

        return self.wait(begun)

    def cursor(self) -> Cursor:
        """What the sensor remembers, in PostgreSQL."""
        (state,) = [each for each in self.instance.all_instigator_state() if each.instigator_name == "landing"]
        assert state.status.value in ("RUNNING", "DECLARED_IN_CODE")
        return Cursor.from_text(state.instigator_data.cursor, 0)

    def results(self, run: dg.DagsterRun) -> tuple[Counter[str], dict[tuple[str, str], bool]]:
        """The steps that have succeeded, with how often, and whether each check passed."""
        steps: Counter[str] = Counter()
        checks = {}
        for entry in self.instance.all_logs(run.run_id):
            event = entry.dagster_event
            if event and event.event_type == dg.DagsterEventType.STEP_SUCCESS:
                steps[event.step_key] += 1
            if event and event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                found = event.asset_check_evaluation_data
                if found.check_name != "no_anomaly":  # a file of one row is one
                    checks[found.asset_key.to_user_string(), found.check_name] = found.passed
        return steps, checks

    # ------------------------------------------------------------ what must be true

    def expect(self, *ended: str) -> None:
        """The next runs end like this. Then nothing is lost, nothing is there twice, and nothing more is asked for."""
        self.ended += ended
        self.wait(lambda: len(self.runs()) >= len(self.ended) and all(run.is_finished for run in self.runs()))
        self.wait(self.has_nothing_to_do)
        runs = self.runs()
        assert [f"{run.status.value} at {run.tags['netflix/attempt']}" for run in runs] == self.ended
        assert f"at {self.cursor().attempt}" in self.ended[-1]
        self.expect_all_steps(runs[-1])
        self.expect_one_load_per_object()
        self.expect_served()
        assert list((self.deployment.dagster_home / "run-locks").iterdir()) == []
        for name in SERVICES.keys() - {"demo"}:
            assert self.deployment.is_healthy(name), self.deployment.log(name)

    def has_nothing_to_do(self) -> bool:
        """Whether a tick of the sensor since the last run's end has found nothing to ask for."""
        (state,) = [each for each in self.instance.all_instigator_state() if each.instigator_name == "landing"]
        (last,) = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        end = self.instance.get_run_record_by_id(self.runs()[-1].run_id).end_time
        return last.status.value == "SKIPPED" and last.timestamp > end

    def expect_all_steps(self, run: dg.DagsterRun) -> None:
        steps, checks = self.results(run)
        self.steps, self.checks = self.steps or set(steps), self.checks or checks
        assert steps == Counter(self.steps)
        assert checks == self.checks

    def expect_one_load_per_object(self) -> None:
        with duckdb.connect(str(self.deployment.home / "warehouse.duckdb"), read_only=True) as warehouse:
            loads = warehouse.execute("select object_key, etag, is_current from ops.loads").fetchall()
            assert len(loads) == len({(key, etag) for key, etag, _ in loads}), "a version was loaded twice"
            assert {(key, etag) for key, etag, is_current in loads if is_current} == self.objects()
            assert warehouse.execute(
                "select count(*) from ops.loads where rows_in <> rows_loaded + rows_rejected"
            ).fetchone() == (0,)
            assert warehouse.execute(
                """
                select count(*)
                from (select load_id, rows_loaded from ops.loads where dataset = 'movielens/ratings') as ledger
                full join (select _load_id, count(*) as n from raw.movielens_ratings group by all) as rows
                    on ledger.load_id = rows._load_id
                where ledger.rows_loaded is distinct from rows.n
                """
            ).fetchone() == (0,)

    def expect_served(self) -> None:
        """What the last build made is served. A run after one that was killed in publishing builds nothing."""
        published = (self.deployment.home / PUBLISHED).resolve()
        with duckdb.connect(str(self.deployment.home / "warehouse.duckdb"), read_only=True) as warehouse:
            (last,) = warehouse.execute(
                "select max_by(run_id, started_at) from ops.builds where part = 'models'"
            ).fetchone()
        assert json.loads(published.with_name("manifest.json").read_text())["run_id"] == last
        with duckdb.connect(str(published), read_only=True) as served:
            query = "select user_id, count(*) from core.fct_ratings where user_id > 900000 group by user_id"
            assert dict(served.execute(query).fetchall()) == dict.fromkeys(self.users, 1)

    def graphql(self, query: str) -> Any:
        """What the webserver answers."""
        url = f"http://127.0.0.1:{self.deployment.ports['3000']}/graphql"
        body = json.dumps({"query": query}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)["data"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("machine")
    deployment = Deployment(folder / "running", build_image(folder / "image"))
    try:
        deployment.up()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_POSTGRES_URL", deployment.environment("code")["DAGSTER_POSTGRES_URL"])
            with dg.DagsterInstance.from_config(str(deployment.dagster_home)) as instance:
                assert "postgres" in type(instance.run_storage).__module__
                yield Site(deployment, instance)
    finally:
        deployment.down()


def test_the_settings_are_those_of_the_project_with_another_storage() -> None:
    own = yaml.safe_load((REPO / "netflix_assets" / "operations" / "dagster.yaml").read_text())
    deployed = yaml.safe_load((REPO / "deploy" / "dagster" / "dagster.yaml").read_text())
    assert deployed == {**own, "storage": {"postgres": {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}}}


def test_what_the_demo_lands_is_published_with_no_other_action(site: Site) -> None:
    command = [word.replace("generate ", "generate --scale 0.01 ") for word in site.deployment.command("demo")]
    landed = site.deployment.run("demo", command)
    assert landed.returncode == 0, landed.stderr
    site.land()
    run = site.next_run("published__marts")
    assert HOST in run.tags
    (repository,) = site.graphql("{repositoriesOrError{... on RepositoryConnection{nodes{"
        "location{name} sensors{name sensorState{status}}}}}}")["repositoriesOrError"]["nodes"]  # fmt: skip
    assert repository["location"] == {"name": "netflix_assets"}
    assert {"name": "landing", "sensorState": {"status": "RUNNING"}} in repository["sensors"]
    site.expect(FIRST)


def test_what_a_run_does_not_need_or_waits_for_is_killed_and_files_come_meanwhile(site: Site) -> None:
    site.land()
    site.next_run("raw__movielens__genome_scores")
    site.deployment.kill("s3")
    site.next_run("dbt_models")
    site.deployment.kill("daemon")
    site.deployment.kill("webserver")
    site.land()
    site.expect(FIRST, FIRST)


def test_the_container_of_the_code_server_is_killed_in_a_run(site: Site) -> None:
    site.land()
    run = site.next_run("dbt_models")
    site.deployment.kill("code")
    site.wait(lambda: site.instance.get_run_by_id(run.run_id).is_finished)  # not after 6 h
    (failure,) = site.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert " is gone" in failure.dagster_event.message
    site.expect(KILLED, SECOND)


def test_the_process_of_a_run_is_killed_while_it_publishes(site: Site) -> None:
    site.land()
    site.next_run("published__marts")
    site.deployment.process("code", "spawn_main").kill()
    site.expect(KILLED, SECOND)


def test_postgres_is_killed_in_a_run(site: Site) -> None:
    """A run whose events cannot be stored for a second fails; one that has none to store in that second does not."""
    site.land()
    run = site.next_run("dbt_models")
    site.deployment.kill("postgres")
    site.wait(lambda: site.instance.get_run_by_id(run.run_id).is_finished)
    site.expect(*((FIRST,) if site.instance.get_run_by_id(run.run_id).is_success else (KILLED, SECOND)))


def test_the_machine_goes_down_in_a_run(site: Site) -> None:
    site.land()
    site.next_run("dbt_models")
    site.deployment.kill_all()
    site.expect(KILLED, SECOND)


def next_version(image: Path, folder: Path) -> Path:
    """An image in which a mart has a column more and a contract another owner."""
    shutil.copytree(image, folder)
    mart = folder / "dbt" / "models" / "marts" / "summary" / "mart_overview"
    sql, yml = mart.with_suffix(".sql"), mart.with_suffix(".yml")
    sql.write_text(
        sql.read_text().replace("1 as overview_number,", "1 as overview_number,\n        2 as code_version,")
    )
    column = "      - {name: code_version, data_type: integer, description: Of the test.}\n"
    yml.write_text(
        yml.read_text().replace("    columns:\n      - name: overview", f"    columns:\n{column}      - name: overview")
    )
    contract = folder / "netflix_assets" / "contracts" / "movielens.yaml"
    contract.write_text(contract.read_text().replace("team:audience-analytics", "team:new-owners"))
    return folder


def code_version(site: Site) -> tuple[str, bool]:
    """The owner of the ratings by the code that the UI shows, and whether the mart that is served has the column."""
    query = '{assetNodes(assetKeys:[{path:["raw","movielens","ratings"]}]){owners{... on TeamAssetOwner{team}}}}'
    (owner,) = site.graphql(query)["assetNodes"][0]["owners"]
    with duckdb.connect(str((site.deployment.home / PUBLISHED).resolve()), read_only=True) as served:
        columns = [name for name, *_ in served.execute("describe marts.mart_overview").fetchall()]
    return owner["team"], "code_version" in columns


def test_new_code_is_rolled_over_the_old_in_a_run_and_back_again(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    old, before = site.deployment.image, site.cursor()
    assert code_version(site) == ("audience-analytics", False)
    new = next_version(old, tmp_path_factory.mktemp("next") / "image")
    site.land()
    site.next_run("dbt_models")
    site.deployment.up(new, grace_s=1)
    site.expect(KILLED, FIRST)  # other code is another request, so the update cost no attempt
    assert code_version(site) == ("new-owners", True)
    site.land()
    site.next_run("dbt_models")
    site.deployment.up(old)
    site.expect(FIRST)  # the new code server ended when its run had ended
    site.built_with = new
    assert code_version(site) == ("audience-analytics", True)
    assert site.cursor().count == before.count + 3


def test_what_consumers_see_is_what_a_home_without_accidents_publishes(site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.deployment.volume("s3", HOME) / "s3", tmp_path / "s3")
    environment = {**site.deployment.environment("demo", site.built_with), "NETFLIX_HOME": str(tmp_path)}
    for own in ("NETFLIX_S3_ENDPOINT", "DAGSTER_HOME"):
        del environment[own]
    command = [sys.executable, "-c", "from netflix_assets.cli import main; main()", "run"]
    done = subprocess.run(  # in the image's folder, so that Python imports that code and not the test's
        command, env=environment, cwd=site.built_with, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert published_tables(site.deployment.home) == published_tables(tmp_path)
