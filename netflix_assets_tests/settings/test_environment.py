"""The environment of each child process: nothing of the machine that steers it, and no secret that it does not need."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import duckdb
import psutil
import pytest

from netflix_assets.defs.dbt.project import dbt_project, dbt_resource, exported
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.settings import PACKAGE, REPO, Settings, environment, read_settings
from netflix_assets.settings.environment import for_dagster, for_dbt
from netflix_assets.storage.local_s3 import local_s3
from netflix_assets_tests import hostile
from netflix_assets_tests.cli.command import run_installed
from netflix_assets_tests.conftest import Bucket
from netflix_assets_tests.demo import SCALE, Demo, published_tables
from netflix_assets_tests.hostile import HOSTILE, NOWHERE, PROXIES

KEY = "-----BEGIN PRIVATE KEY-----\ncanary-key\n-----END PRIVATE KEY-----"
CANARIES = {"NETFLIX_SLACK_TOKEN": "canary-slack", "NETFLIX_HEARTBEAT_URL": "https://example.com/canary-heartbeat"}
PASSED_ON = {*PROXIES, "TZ", "no_proxy"}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**HOSTILE, **CANARIES, "NETFLIX_SLACK_CHANNEL": "C01"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def local(machine: None, tmp_path: Path) -> Settings:
    return read_settings(home=tmp_path)


@pytest.fixture
def staging(machine: None, tmp_path: Path) -> Settings:
    access = {"account": "org-acc", "user": "RUNNER", "private_key": KEY}
    return read_settings(env="staging", home=tmp_path, bucket="my-bucket", snowflake=access)


def canaries(made: Mapping[str, str]) -> set[str]:
    return {name for name, value in made.items() if "canary" in value}


@pytest.mark.parametrize("make", [for_dbt, for_dagster])
@pytest.mark.parametrize("name", sorted(set(HOSTILE) - PASSED_ON))
def test_a_variable_of_the_machine_does_not_reach_a_child(
    local: Settings, make: Callable[[Settings], dict[str, str]], name: str
) -> None:
    assert make(local).get(name) != HOSTILE[name]


def test_a_child_has_only_the_secrets_that_it_needs(local: Settings, staging: Settings) -> None:
    assert canaries(environment.for_rclone("id", "key")) == set()
    assert canaries(for_dbt(local)) == set()
    assert canaries(for_dbt(staging)) == {"NETFLIX_SNOWFLAKE_PRIVATE_KEY"}
    assert canaries(for_dagster(local)) == set(CANARIES)
    aws = {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    assert canaries(for_dagster(staging)) == {*CANARIES, *aws, "NETFLIX_SNOWFLAKE_PRIVATE_KEY"}


def test_every_process_is_started_with_an_environment_of_its_own() -> None:
    calls = [
        (path.name, ast.unparse(call.func), {each.arg for each in call.keywords})
        for path in PACKAGE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
    ]
    started = {(name, "env" in given) for name, called, given in calls if called.startswith(("subprocess.", "os.exec"))}
    assert started == {("ui.py", True), ("local_s3.py", True), ("postgres.py", True)}


def test_make_passes_on_where_packages_come_from_and_nothing_that_steers_pip_or_python() -> None:
    kept = {"PIP_INDEX_URL": "https://example.com/simple", "PIP_CERT": "/ca.pem"}
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", "-", "shown"],
        input="include Makefile\nshown:\n\t@env\n",
        cwd=REPO,
        env={
            **os.environ,
            **HOSTILE,
            **kept,
            "PIP_TARGET": "/nowhere",
            "PIP_CONSTRAINT": "/nowhere",
            "PYTHONPATH": "/no",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    passed_on = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert {*kept.items(), ("PIP_USER", "0")} <= passed_on.items()
    steering = {"PIP_TARGET", "PIP_CONSTRAINT", "PYTHONPATH", "GIT_DIR", *hostile.DBT, *hostile.PYTHON} - {"PIP_USER"}
    assert steering & passed_on.keys() == set()


@pytest.mark.parametrize("env", ["local", "dev"])
def test_dagsters_processes_read_the_settings_of_the_command(
    machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str
) -> None:
    """Relative paths are resolved once, by the command, and not again in the folder of the code server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETFLIX_OWN", "for an asset that a user adds")
    access = {"account": "org-acc", "user": "me", "private_key": KEY, "port": 8443}
    settings = read_settings(env=env, home="here", contracts="contracts", schema_prefix="my_", snowflake=access)
    made = for_dagster(settings)
    assert (made["DAGSTER_HOME"], made["NETFLIX_OWN"]) == (
        str(tmp_path / "here" / "dagster"),
        "for an asset that a user adds",
    )
    with environment.in_place_of_mine(made):
        monkeypatch.chdir("/")
        assert read_settings() == settings


def test_what_a_child_needs_of_the_machine_is_passed_on(local: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {"HOME": "/home/me", "TMPDIR": "/scratch", "SSL_CERT_FILE": "/ca.pem", "REQUESTS_CA_BUNDLE": "/ca.pem"}
    for name, value in {**needed, "PATH": "/opt/bin", "DAGSTER_POSTGRES_URL": "postgresql://db"}.items():
        monkeypatch.setenv(name, value)
    for made in (for_dbt(local), for_dagster(local)):
        assert needed.items() <= made.items()
        assert made["PATH"] == f"{Path(sys.executable).parent}:/opt/bin"
    assert for_dagster(local)["DAGSTER_POSTGRES_URL"] == "postgresql://db"
    assert "DAGSTER_POSTGRES_URL" not in for_dbt(local)


@pytest.mark.parametrize(
    ("given", "exceptions"),
    [({}, "localhost,127.0.0.1,::1"), ({"NO_PROXY": "a.com, localhost"}, "a.com,localhost,127.0.0.1,::1"),
     ({"no_proxy": "*"}, "*"), ({"no_proxy": "a.com", "NO_PROXY": "b.com"}, "a.com,b.com,localhost,127.0.0.1,::1")],
)  # fmt: skip
def test_a_proxy_is_passed_on_but_not_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Mapping[str, str], exceptions: str
) -> None:
    for name, value in {**PROXIES, **given}.items():
        monkeypatch.setenv(name, value)
    for made in (for_dbt(read_settings(home=tmp_path)), for_dagster(read_settings(home=tmp_path))):
        assert PROXIES.items() <= made.items()
        assert made["no_proxy"] == made["NO_PROXY"] == exceptions


def test_without_a_proxy_there_are_no_exceptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS an exception in the environment makes Python ignore the proxies of the system's settings."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    assert "no_proxy" not in for_dagster(read_settings(home=tmp_path))


@pytest.mark.parametrize(
    ("changes", "has_aws"),
    [({}, False), ({"s3_endpoint": NOWHERE}, True), ({"env": "staging"}, True),
     ({"sns_topic_arn": "arn:aws:sns:eu-central-1:123456789012:t"}, True),
     ({"events_queue_url": f"{NOWHERE}/1/q"}, True)],
)  # fmt: skip
def test_aws_variables_are_there_where_something_uses_aws(
    machine: None, tmp_path: Path, changes: Mapping[str, str], has_aws: bool
) -> None:
    settings = read_settings(home=tmp_path, **changes)
    assert (hostile.AWS.items() <= for_dagster(settings).items()) is has_aws
    landing_bucket(settings)
    assert (hostile.AWS.items() <= for_dagster(settings).items()) is has_aws


def test_the_address_of_s3_is_that_of_the_settings_or_else_of_aws_variables(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = local_s3(bucket.home)
    bucket.put("movielens/tags.csv", b"x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    for variable, setting in ((NOWHERE, server.endpoint), (server.endpoint, None)):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", variable)
        settings = read_settings(env="dev", bucket=bucket.name, bucket_prefix="", s3_endpoint=setting)
        with landing_bucket(settings).open() as store:
            assert [each.key for each in store.list("movielens/")] == ["movielens/tags.csv"]


def test_commands_reach_the_local_bucket_whatever_the_machine_says(demo: Demo, tmp_path: Path) -> None:
    demo.parsed_in(tmp_path / "home")
    file = tmp_path / "tags.csv"
    file.write_text("userId,movieId,tag,timestamp\n1,1,good,1700000000\n")
    done = run_installed(tmp_path / "home", "land", str(file), **HOSTILE)
    assert (done.returncode, done.stdout) == (0, "tags.csv -> s3://landing/movielens/tags.csv\n"), done.stderr
    assert (tmp_path / "home" / "s3" / "landing" / "movielens" / "tags.csv").read_bytes() == file.read_bytes()
    done = run_installed(tmp_path / "home", "run", "--select", "raw/movielens/tags", **HOSTILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_clients_in_the_process_ignore_aws_variables_and_avoid_the_proxy_for_this_machine(local: Settings) -> None:
    landing_bucket(local)
    assert not any(name.startswith("AWS_") for name in os.environ)
    assert getproxies()["http"] == NOWHERE
    assert proxy_bypass("127.0.0.1:9000")
    assert not proxy_bypass("s3.amazonaws.com")


@pytest.fixture
def loaded(demo: Demo, tmp_path: Path) -> Path:
    return demo.copied_to(tmp_path / "home")


def test_dbt_ignores_the_machine(loaded: Path, machine: None) -> None:
    settings = read_settings(home=loaded)
    with exported(settings):
        dbt = dbt_resource(settings, dbt_project(settings)).cli(
            ["run", "--select", "stg_movielens__movies"], target_path=loaded / "target"
        )
    its_environment = psutil.Process(dbt.process.pid).environ()
    assert canaries(its_environment) == set()
    assert {name for name, value in HOSTILE.items() if its_environment.get(name) == value} <= PASSED_ON - {"TZ"}
    dbt.wait()
    with duckdb.connect(str(loaded / "warehouse.duckdb"), read_only=True) as connection:
        films, read = connection.execute(
            "select (select count(*) from staging.stg_movielens__movies), count(*) from raw.movielens_movies_current"
        ).fetchone()
    assert films == read > 0


@pytest.mark.long
@pytest.mark.parametrize("limit", ["50%", "1500MB"])
def test_dbt_takes_the_memory_that_it_may(demo: Demo, tmp_path: Path, limit: str) -> None:
    """Half of what the machine or the container has, or what NETFLIX_MEMORY_LIMIT says."""
    settings = read_settings(home=demo.parsed_in(tmp_path / "home"), memory_limit=limit)
    show = ["dbt", "show", "--inline", "select current_setting('memory_limit') as found", "--output", "json", "--quiet"]
    shown = subprocess.run(
        [*show, "--target-path", str(tmp_path / "target")],
        cwd=settings.dbt_project, env=for_dbt(settings), check=True, capture_output=True, text=True,
    )  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{limit}'")
        (expected,) = connection.execute("select current_setting('memory_limit')").fetchone()
    assert json.loads(shown.stdout)["show"] == [{"found": expected}]


@pytest.mark.long
def test_a_run_on_a_hostile_machine_publishes_what_it_publishes_elsewhere(demo: Demo, tmp_path: Path) -> None:
    """In another time zone, too: every table is the same, and the times in those that describe runs are UTC."""
    home = demo.parsed_in(tmp_path / "home")
    before = datetime.now(UTC)
    done = run_installed(home, "demo", "--scale", str(SCALE), **HOSTILE)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = published_tables(demo.home)
    assert len(expected) > 30
    assert {name: rows for name, rows in published_tables(home).items() if rows != expected[name]} == {}
    assert set(published_tables(home)) == set(expected)
    times = run_times(home, set(expected))
    assert {name for name, at in times.items() if not before <= at <= datetime.now(UTC)} == set()
    assert len(times) == 9
    shown = json.loads(run_installed(home, "status", "--json", **HOSTILE).stdout)
    last_loaded = max(datetime.fromisoformat(at) for each in shown["datasets"] if (at := each["last_loaded_at"]))
    assert last_loaded == times["marts.mart_dataset_freshness.last_loaded_at"]


def run_times(home: Path, without: set[str]) -> dict[str, datetime]:
    """The newest of each timestamp in the other published tables, those that describe runs, read as UTC."""
    with duckdb.connect(str((home / "published" / "current" / "netflix.duckdb").resolve()), read_only=True) as served:
        columns = served.execute(
            "select schema_name || '.' || table_name, column_name from duckdb_columns() "
            "where not internal and data_type like 'TIMESTAMP%'"
        ).fetchall()
        newest = {
            f"{table}.{column}": served.execute(f"select max({column}) from {table}").fetchone()[0]
            for table, column in columns
            if table not in without
        }
    return {name: at.replace(tzinfo=UTC) for name, at in newest.items()}
