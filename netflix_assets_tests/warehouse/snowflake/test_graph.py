"""The whole graph run by the command with NETFLIX_ENV=production: on the emulator, and live on a Snowflake account.

Both do the same: land sample files, run the graph twice, and compare every table that dbt builds with the table built
from the same files on DuckDB. The live test creates a separate database and drops it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import all_datasets
from netflix_assets.dashboards.pages import PAGES
from netflix_assets.defs.freshness import FRESH
from netflix_assets.settings import ENVIRONMENTS, REPO
from netflix_assets.storage.local_s3 import LocalS3
from netflix_assets_tests.cli import command
from netflix_assets_tests.conftest import landing_key, s3_client
from netflix_assets_tests.emulator.fixtures import SnowflakeEmulator
from netflix_assets_tests.warehouse.snowflake.test_warehouse import make_key

Execute = Callable[..., Sequence[tuple[Any, ...]]]


def run(environment: Mapping[str, str], *arguments: str) -> str:
    done = command.run(Path(environment["NETFLIX_HOME"]), *arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Twins:
    """The same files on both warehouses. ``environment`` holds the variables for Snowflake."""

    environment: Mapping[str, str]
    local: Path
    files: list[str]

    def land_and_run(self) -> None:
        local = {
            "NETFLIX_ENV": "local",
            "NETFLIX_HOME": str(self.local),
            "NETFLIX_S3_ENDPOINT": "",
            "NETFLIX_BUCKET": "",
        }
        for environment in (local, self.environment):
            run(environment, "land", *self.files)
            run(environment, "run")

    def models(self) -> list[tuple[str, str]]:
        """Schema and name of every model and seed in dbt's manifest, so that new ones are covered automatically.

        Run-dependent models are left out: they differ from run to run.
        """
        manifest = json.loads((self.local / "dbt" / "target-local" / "manifest.json").read_text())
        return [
            (node["schema"], node["name"])
            for node in manifest["nodes"].values()
            if node["resource_type"] in ("model", "seed")
            and node["config"]["materialized"] != "ephemeral"
            and "run_dependent" not in node["tags"]
        ]

    def differences(self, execute: Execute, relations: Sequence[tuple[str, str]] | None = None) -> list[str]:
        """Differences between the warehouses, for all models or only for ``relations``."""
        differences = []
        with duckdb.connect(str(self.local / "warehouse.duckdb"), read_only=True) as connection:
            for schema, name in relations or self.models():
                names = [row[0] for row in connection.execute(f"describe {schema}.{name}").fetchall()]
                columns = ", ".join(column for column in names if column != "_digest")  # each has its own hash
                ours = connection.execute(f"select {columns} from {schema}.{name}").fetchall()
                theirs = execute(f"select {columns} from {schema}.{name}")
                if multiset(ours) != multiset(theirs):
                    differences.append(f"{schema}.{name}: {len(ours)} rows on DuckDB, {len(theirs)} on Snowflake")
        return differences


def multiset(rows: Sequence[Sequence[Any]]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(map(comparable, row)) for row in rows)


def comparable(value: Any) -> Any:
    """Convert a value so that both warehouses agree: numbers to nine digits, times without a zone, lists as JSON."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return f"{float(value) + 0.0:.9g}"  # -0.0 equals 0.0: which of the two wins is not defined
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return json.dumps(list(value))
    try:
        return json.dumps(json.loads(value)) if str(value).startswith("[") else str(value)
    except json.JSONDecodeError:  # the film "[REC]"
        return str(value)


def prepare_database(execute: Execute, database: str, stage_url: str, integration: str) -> None:
    """Set up a short-lived test database, as deploy/snowflake does in full."""
    names = ENVIRONMENTS["production"] if not integration else ENVIRONMENTS[os.environ["NETFLIX_ENV"]]
    # Grants on future tables take MANAGE GRANTS, except by the owner of a schema with managed access.
    execute(f"create schema {database}.raw with managed access")
    execute(f"create schema {database}.ops with managed access")
    by = f"storage_integration = {integration}" if integration else ""
    execute(f"create stage {database}.raw.landing url = '{stage_url}' {by}")
    execute(f"create stage {database}.raw.normalised")
    execute(f"create database {database}_SERVING")
    execute(f"grant usage on database {database}_SERVING to role {names.transformer_role}")
    for schema in ("core", "marts", "core_next", "marts_next"):
        execute(f"create schema {database}_SERVING.{schema} with managed access")
        execute(f"grant ownership on schema {database}_SERVING.{schema} to role {names.transformer_role}")
    for role in (names.loader_role, names.transformer_role):
        execute(f"grant all privileges on database {database} to role {role}")
        execute(f"grant all privileges on all schemas in database {database} to role {role}")
        for schema in ("raw", "ops"):
            execute(f"grant select on future tables in schema {database}.{schema} to role {role}")
            execute(f"grant select on future views in schema {database}.{schema} to role {role}")
    for stage, rights in (("landing", "usage"), ("normalised", "read, write")):
        execute(f"grant {rights} on stage {database}.raw.{stage} to role {names.loader_role}")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("sample")
    run({"NETFLIX_HOME": str(folder)}, "generate", str(folder / "files"), "--scale", "0.05")
    return sorted(map(str, (folder / "files").glob("*.csv")))


# ---------------------------------------------------------------- emulated


@contextmanager
def emulated_twins(server: SnowflakeEmulator, s3: LocalS3, files: list[str], folder: Path) -> Iterator[Twins]:
    """Run the graph on these files, on the emulator and on DuckDB."""
    database, bucket = "NETFLIX_PRODUCTION", f"production-{uuid.uuid4().hex[:8]}"
    s3_client(s3).create_bucket(Bucket=bucket)
    address = server.address()
    environment = {
        "NETFLIX_ENV": "production", "NETFLIX_HOME": str(folder / "production"), "NETFLIX_BUCKET": bucket,
        "NETFLIX_S3_ENDPOINT": s3.endpoint, "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key, "NETFLIX_SNOWFLAKE_ACCOUNT": "org-account",
        "NETFLIX_SNOWFLAKE_USER": "NETFLIX_PRODUCTION_RUNNER",
        # A relative path, as a person would give it; dbt runs in another folder.
        "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH": os.path.relpath(make_key(folder)),
        "NETFLIX_SNOWFLAKE_HOST": address["host"],
        "NETFLIX_SNOWFLAKE_PORT": str(address["port"]), "NETFLIX_SNOWFLAKE_PROTOCOL": "http",
    }  # fmt: skip
    with server.new_database(database):
        prepare_database(server.execute, database, f"s3://{bucket}/production/", integration="")
        try:
            twins = Twins(environment, folder / "local", files)
            twins.land_and_run()
            yield twins
        finally:
            server.execute(f"drop database {database}_SERVING")


@pytest.fixture(scope="module")
def emulated(
    snowflake_server: SnowflakeEmulator, s3_server: LocalS3, sample: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Twins]:
    with emulated_twins(snowflake_server, s3_server, sample, tmp_path_factory.mktemp("twins")) as twins:
        yield twins


@pytest.mark.emulated
def test_emulated_production_builds_the_same_tables_as_duckdb(
    emulated: Twins, snowflake_server: SnowflakeEmulator
) -> None:
    assert len(emulated.models()) > 20
    execute = lambda statement: snowflake_server.execute(statement, database="NETFLIX_PRODUCTION")  # noqa: E731
    assert emulated.differences(execute) == []


@pytest.mark.emulated
def test_emulated_consumers_see_the_built_tables(emulated: Twins, snowflake_server: SnowflakeEmulator) -> None:
    execute = lambda statement: snowflake_server.execute(statement, database="NETFLIX_PRODUCTION_SERVING")  # noqa: E731
    served = [each for each in emulated.models() if each[0] in ("core", "marts")]
    assert len(served) > 15
    assert emulated.differences(execute, served) == []
    status = json.loads(run(emulated.environment, "status", "--json"))["published"]
    assert (status["is_latest"], status["problem"]) == (True, None)
    assert status["place"] == "NETFLIX_PRODUCTION_SERVING.CORE and NETFLIX_PRODUCTION_SERVING.MARTS"
    assert execute("select version from marts.publication") == [(status["version"],)]
    keys = {key for (key,) in execute("select object_key from marts.publication_objects")}
    assert keys == {landing_key(Path(file)) for file in emulated.files}


@pytest.mark.emulated
def test_emulated_pages_equal_those_on_duckdb(emulated: Twins) -> None:
    """Both run the same queries, on Snowflake against the serving database: columns, rows and sentences are equal. The
    pages about runs differ.
    """
    for page in PAGES:
        ours, theirs = (
            panels(folder / "dashboards" / page.file_name)
            for folder in (emulated.local, Path(emulated.environment["NETFLIX_HOME"]))
        )
        assert len(ours[0]) == len(page.panels)
        if page.name in ("data-quality", "pipeline"):
            assert {name: each.get("names") for name, each in ours[0].items()} == {
                name: each.get("names") for name, each in theirs[0].items()
            }
        else:
            assert ours == theirs, page.name


def panels(file: Path) -> tuple[dict[str, Any], list[str]]:
    """The rows and charts of a page, and its sentences."""
    html = file.read_text(encoding="utf-8")
    (embedded,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    return json.loads(embedded), re.findall(r'<p class="answer"[^>]*>(.*?)</p>', html)


@pytest.mark.emulated
def test_emulated_second_run_loads_nothing_and_sends_few_statements(
    emulated: Twins, snowflake_server: SnowflakeEmulator
) -> None:
    before = snowflake_server.mark()
    run(emulated.environment, "run")
    sent = snowflake_server.statements(before)
    assert [each.line for each in sent if each.line.lower().startswith(("copy", "put", "insert into raw"))] == []
    tags = [json.loads(each.query_tag or "{}") for each in sent]
    publishing = [tag for tag in tags if tag.get("asset") == "published/marts"]
    assert len(publishing) <= 10, f"{len(publishing)} statements to see that nothing was built since"
    # A page reads which publications exist and what they contain, and is left as it is.
    pages = [tag for tag in tags if str(tag.get("asset")).startswith("dashboards/")]
    assert len(pages) == 2 * len(PAGES), f"{len(pages)} statements of pages"
    assert [tag for tag in tags if "node" in tag] == [], "dbt built something"
    freshness = [tag for tag in tags if tag.get("asset") == FRESH]
    assert len(freshness) <= 12, f"{len(freshness)} statements to see how old things are"
    ours = [
        tag
        for tag in tags
        if tag.get("asset") and "node" not in tag and tag["asset"] != "published/marts"
        if tag["asset"] != FRESH and not tag["asset"].startswith("dashboards/")
    ]
    awaited = [f"raw/{each.id}" for each in all_datasets(load_sources()) if each.source not in ("movielens", "netflix")]
    for name in awaited:
        assert sum(tag["asset"] == name for tag in ours) <= 5, f"{name}: what exists, loaded and refused objects"
    # For the eight datasets of files: what exists, loaded and refused objects, the reconciliation, the bucket check.
    # For dbt's two steps: what exists, what the tables come from, and the last builds.
    loaded = [tag for tag in ours if tag["asset"] not in awaited]
    assert len(loaded) <= 100, f"{len(loaded)} statements of ours"
    assert len(sent) <= 150 + 5 * len(awaited), f"{len(sent)} statements in all"
    assert {json.loads(each.query_tag)["project"] for each in sent if each.query_tag} == {"netflix_assets"}


@pytest.mark.emulated
def test_emulated_loader_runs_no_ddl_inside_a_transaction(snowflake_server: SnowflakeEmulator, emulated: Twins) -> None:
    inside: set[int] = set()
    sent = [each for each in snowflake_server.statements(0) if each.database == "NETFLIX_PRODUCTION"]
    assert "begin" in [each.line for each in sent]
    for each in sent:
        line = each.line.lower()
        if line in ("begin", "commit", "rollback"):
            (inside.add if line == "begin" else inside.discard)(each.session)
        elif each.session in inside:
            assert not line.startswith(("create", "alter", "drop", "truncate", "grant")), line


@pytest.mark.emulated
def test_emulated_idle_sensor_tick_wakes_no_warehouse(emulated: Twins, snowflake_server: SnowflakeEmulator) -> None:
    before = snowflake_server.mark()
    done = subprocess.run(
        [sys.executable, "-c", IDLE_TICK], env={**os.environ, **emulated.environment}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "0 stale sources"), done.stderr
    assert snowflake_server.statements(before) == []


IDLE_TICK = """
from netflix_assets.operations.instance import open_instance
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.defs.landing.sensor import source_status
from netflix_assets.settings import current_settings

settings = current_settings()
with open_instance(settings) as instance, landing_bucket(settings).open() as store:
    print(sum(bool(source_status(source, store, instance).stale) for source in settings.sources()), "stale sources")
"""


@pytest.mark.emulated
def test_emulated_keys_never_reach_logs_or_history(emulated: Twins) -> None:
    key = Path(emulated.environment["NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH"]).read_text().splitlines()[1]
    secrets = (key.encode(), emulated.environment["AWS_SECRET_ACCESS_KEY"].encode())
    files = [path for path in Path(emulated.environment["NETFLIX_HOME"]).rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if any(secret in path.read_bytes() for secret in secrets)] == []


@pytest.mark.emulated
def test_emulated_branch_is_cloned_built_compared_and_dropped(
    emulated: Twins, snowflake_server: SnowflakeEmulator, tmp_path: Path
) -> None:
    project = tmp_path / "dbt"
    shutil.copytree(REPO / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models" / "marts" / "movies" / "mart_ratings_by_genre_year.sql"
    threshold = ">= {{ var('genre_year_min_ratings') }} as"
    assert threshold in model.read_text()
    model.write_text(model.read_text().replace(threshold, threshold.replace(">=", ">= 2 *")))
    # In dev, a pull request has its own schemas. The emulator checks no privileges, so production will do here.
    branch = {**emulated.environment, "NETFLIX_SCHEMA_PREFIX": "pr_7_", "NETFLIX_DBT_PROJECT": str(project)}
    before = snowflake_server.mark()
    printed = run(branch, "branch", "build", "--base", str(REPO / "dbt"))
    assert printed.splitlines()[-1] == (
        "built in pr_7_*: marts/mart_ratings_by_genre_decade, marts/mart_ratings_by_genre_year"
    )
    sent = [each.line.lower() for each in snowflake_server.statements(before)]
    clones = {line for line in sent if line.startswith("create or replace") and " clone " in line}
    tables = [each for each in emulated.models() if each[0] in ("core", "marts", "intermediate")]
    assert len(clones) >= len(tables) - 1  # one is a dynamic table, of which dbt makes a view
    assert all(" pr_7_" in line.replace("netflix_production.", "").partition(" clone ")[0] for line in clones)
    found = json.loads(run(branch, "diff", "--json"))
    differing = {each["name"]: list(each["columns"]) for each in found["tables"] if each["state"] != "same"}
    assert differing == {"marts.mart_ratings_by_genre_year": ["has_enough_ratings"]}
    assert run(branch, "branch", "drop").startswith("dropped 6 schemas: pr_7_core, ")
    execute = lambda statement: snowflake_server.execute(statement, database="NETFLIX_PRODUCTION")  # noqa: E731
    schemas = execute("select lower(schema_name) from information_schema.schemata")
    assert [name for (name,) in schemas if name.startswith("pr_7_")] == []
    assert execute("select count(*) from ops.builds where schema_prefix = 'pr_7_'") == [(0,)]
    assert emulated.differences(execute) == []


# ---------------------------------------------------------------- live

NEEDED = ("NETFLIX_ENV", "NETFLIX_BUCKET", "NETFLIX_SNOWFLAKE_ACCOUNT", "NETFLIX_SNOWFLAKE_USER")


@contextmanager
def own_database() -> Iterator[tuple[str, str, Execute]]:
    """Create a database for this test, with a prefix in the bucket. The admin role must be allowed to create it."""
    import snowflake.connector

    names = ENVIRONMENTS[os.environ["NETFLIX_ENV"]]
    mark = uuid.uuid4().hex[:8]
    database, prefix = f"{names.database}_SMOKE_{mark.upper()}", f"{names.bucket_prefix}smoke-{mark}/"
    with snowflake.connector.connect(
        account=os.environ["NETFLIX_SNOWFLAKE_ACCOUNT"],
        user=os.environ["NETFLIX_SNOWFLAKE_USER"],
        authenticator="SNOWFLAKE_JWT",
        private_key_file=os.environ["NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH"],
        # Empty where a workflow's variable or secret is not set.
        private_key_file_pwd=os.environ.get("NETFLIX_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE") or None,
        role=os.environ.get("NETFLIX_SMOKE_ADMIN_ROLE") or "NETFLIX_SMOKE",
        warehouse=names.transform_warehouse,
    ) as connection:

        def execute(statement: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.cursor().execute(statement).fetchall()]

        execute(f"create database {database}")
        try:
            url = f"s3://{os.environ['NETFLIX_BUCKET']}/{prefix}"
            prepare_database(execute, database, url, integration=f"{names.database}_S3")
            execute(f"use database {database}")
            yield database, prefix, execute
        finally:
            execute(f"drop database if exists {database}_SERVING")
            execute(f"drop database {database}")


@pytest.mark.live
@pytest.mark.skipif(
    any(name not in os.environ for name in (*NEEDED, "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH")),
    reason="needs a Snowflake account: " + ", ".join((*NEEDED, "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH")),
)
def test_live_snowflake_builds_the_same_tables_as_duckdb(sample: list[str], tmp_path: Path) -> None:
    with own_database() as (database, prefix, execute):
        environment = {
            "NETFLIX_HOME": str(tmp_path / "live"),
            "NETFLIX_BUCKET_PREFIX": prefix,
            "NETFLIX_SNOWFLAKE_DATABASE": database,
        }
        twins = Twins(environment, tmp_path / "local", sample)
        try:
            twins.land_and_run()
            assert twins.differences(execute) == []
            served = [each for each in twins.models() if each[0] in ("core", "marts")]
            execute(f"use database {database}_SERVING")
            assert twins.differences(execute, served) == []
            execute(f"use database {database}")
            run(environment, "run")
            assert execute("select count(*) from ops.loads where not is_current") == [(0,)]
        finally:
            remove_files(prefix)


def remove_files(prefix: str) -> None:
    import boto3

    objects = boto3.resource("s3").Bucket(os.environ["NETFLIX_BUCKET"]).objects
    objects.filter(Prefix=prefix).delete()
