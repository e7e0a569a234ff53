"""What `deploy/` makes on Snowflake and AWS: the names that the product uses, least privilege, and safe to run again.

There is no account here, so each statement is held against its documented form: by sqlglot where it knows the
statement, else by the list of forms below. The emulator shows that a second run loses nothing and that the cost views
add up; it checks no privilege.
"""

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlglot
import yaml
from sqlglot import exp
from sqlglot.tokens import TokenType

from netflix_assets.contracts.loading import CONTRACTS_DIR, load_sources
from netflix_assets.dev import snowflake_setup
from netflix_assets.settings import ENVIRONMENTS, REPO, Settings, SnowflakeSettings
from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse, query_tag
from netflix_assets_tests.dev.setup_command import (
    EXTERNAL_ID,
    QUEUE_ARN,
    ROLE_ARN,
    USER_ARN,
    printed,
    run,
    setup_options,
    write_keys,
)
from netflix_assets_tests.emulator.fixtures import SnowflakeEmulator

ENVS = ("dev", "staging", "production")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    write_keys(folder)
    return folder


@pytest.fixture(scope="module")
def setups(keys: Path) -> dict[str, list[str]]:
    return {env: statements(printed("setup", "--env", env, *setup_options(keys))) for env in ENVS}


@pytest.fixture(scope="module")
def teardowns() -> dict[str, list[str]]:
    return {env: statements(printed("teardown", "--env", env, "--confirm", f"NETFLIX_{env.upper()}")) for env in ENVS}


def statements(sql: str) -> list[str]:
    """The statements of a file, each on one line and without comments."""
    found, first, last = [], None, None
    for token in sqlglot.tokenize(sql, dialect="snowflake"):
        if token.token_type is TokenType.SEMICOLON:
            found.append(" ".join(sql[first : last + 1].split()))
            first = None
        else:
            first, last = token.start if first is None else first, token.end
    assert first is None, "the last statement has no semicolon"
    return found


# ------------------------------------------------------------------------------------------------ form

NAME = r"NETFLIX_[A-Z]+(_[A-Z0-9]+)?(\.[A-Z_]+){0,2}"
TEXT = r"'[^'\\]*'"

# What sqlglot takes unread, as a Command: the whole statement, by Snowflake's documentation.
COMMANDS = {
    "create role": rf"create role if not exists {NAME} comment = {TEXT}",
    "create user": rf"create user if not exists {NAME} type = service",
    "create schema": rf"create schema if not exists {NAME} with managed access",
    "create resource": rf"create resource monitor if not exists {NAME} with credit_quota = \d+ frequency = monthly "
    r"start_timestamp = immediately triggers( on \d+ percent do (notify|suspend|suspend_immediate))+",
    "grant ownership": rf"grant ownership on schema {NAME} to role {NAME} copy current grants",
    "grant role": rf"grant role {NAME} to (role sysadmin|user {NAME})",
    "grant select": rf"grant select on (all|future) (tables|views) in schema {NAME} to role {NAME}",
    "alter user": rf"alter user {NAME} set( (type = service|rsa_public_key = {TEXT}|default_role = {NAME}|"
    rf"default_warehouse = {NAME}|default_secondary_roles = \(\)|(timezone|timestamp_type_mapping|query_tag) = {TEXT}|"
    rf"comment = {TEXT}))+",
    "alter database": rf"alter database {NAME} set data_retention_time_in_days = \d+ comment = {TEXT}",
    "alter schema": rf"alter schema {NAME} set data_retention_time_in_days = \d+",
    "alter warehouse": rf"alter warehouse {NAME} set( (warehouse_size = xsmall|auto_suspend = \d+|auto_resume = true|"
    rf"statement_timeout_in_seconds = \d+|statement_queued_timeout_in_seconds = \d+|resource_monitor = {NAME}|"
    rf"comment = {TEXT}))+",
    "alter resource": rf"alter resource monitor {NAME} set credit_quota = \d+",
    "alter storage": rf"alter storage integration {NAME} set( (enabled = true|storage_aws_role_arn = {TEXT}|"
    rf"storage_allowed_locations = \({TEXT}\)|comment = {TEXT}))+",
    "alter stage": rf"alter stage {NAME} set url = {TEXT} storage_integration = {NAME}",
    "drop user": rf"drop user if exists {NAME}",
    "drop resource": rf"drop resource monitor if exists {NAME}",
}
PARSED = {
    "use role",
    *(f"create {kind}" for kind in ("database", "warehouse", "storage integration", "stage", "view")),
    *(f"grant {kind}" for kind in ("warehouse", "database", "schema", "stage", "integration")),
    *(f"drop {kind}" for kind in ("database", "warehouse", "storage integration", "role")),
}


def parsed(statement: str) -> exp.Expression:
    logger = logging.getLogger("sqlglot")
    before = logger.level
    logger.setLevel(logging.ERROR)  # it warns of every Command, which is what is looked at here
    try:
        (found,) = sqlglot.parse(statement, dialect="snowflake")
    finally:
        logger.setLevel(before)
    return found


def test_every_statement_has_a_documented_form(setups, teardowns) -> None:
    seen = set()
    for statement in [each for scripts in (setups, teardowns) for env in ENVS for each in scripts[env]]:
        tree = parsed(statement)
        if isinstance(tree, exp.Command):
            form = " ".join(statement.split()[:2])
            assert re.fullmatch(COMMANDS.get(form, ""), statement), statement
        else:
            form = f"{tree.key} {tree.args.get('kind')}".lower()
            assert form in PARSED, statement
        seen.add(form)
    assert seen == PARSED | set(COMMANDS), "forms that nothing has any more"


@pytest.mark.parametrize("env", ENVS)
def test_no_sql_client_changes_the_script(env: str, keys: Path) -> None:
    """Worksheets, snow and snowsql: none finds a variable to fill in, or a statement's end within a comment."""
    sql = printed("setup", "--env", env, *setup_options(keys))
    assert not re.search(r"[&$]|<%|\{\{", sql)
    assert not [comment for comment in re.findall(r"--.*", sql) if ";" in comment or "'" in comment]
    for file in snowflake_setup.setup_files(env):
        head = file.read_text().split("\n\n")[0]
        assert re.search(r"^-- Run as: .*(USERADMIN|SYSADMIN|ACCOUNTADMIN)", head, re.MULTILINE), file.name
        assert "Needs: " in head, file.name


# ------------------------------------------------------------------------------------------------ names

SERVING_SCHEMAS = ("CORE", "MARTS", "CORE_NEXT", "MARTS_NEXT")
CREATED = re.compile(r"create (?:or replace )?(?P<kind>[a-z ]+?) (?:if not exists )?(?P<name>NETFLIX_\S+)")
DROPPED = re.compile(r"drop (?P<kind>[a-z ]+?) if exists (?P<name>NETFLIX_\S+)")


def objects(script: list[str], verb: re.Pattern[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for match in filter(None, map(verb.match, script)):
        found[match["kind"]].add(match["name"])
    return found


@pytest.mark.parametrize(
    ("env", "of"), [("dev", "NETFLIX_DEV"), ("staging", "NETFLIX_STAGING"), ("production", "NETFLIX_PRODUCTION")]
)
def test_setup_creates_the_names_that_the_product_uses(env: str, of: str, setups) -> None:
    layers = ("RAW", "OPS", "STAGING", "INTERMEDIATE", "CORE", "MARTS", "SNAPSHOTS", "SEEDS")
    assert objects(setups[env], CREATED) == {
        "database": {of, f"{of}_SERVING"},
        "schema": {*(f"{of}.{layer}" for layer in layers), *(f"{of}_SERVING.{schema}" for schema in SERVING_SCHEMAS)},
        "warehouse": {f"{of}_LOAD", f"{of}_TRANSFORM", f"{of}_READ"},
        "role": {f"{of}_LOADER", f"{of}_TRANSFORMER", f"{of}_READER"},
        "user": {f"{of}_RUNNER", f"{of}_BI"},
        "storage integration": {f"{of}_S3"},
        "resource monitor": {f"{of}_MONITOR"},
        "stage": {f"{of}.RAW.LANDING", f"{of}.RAW.NORMALISED"},
        "view": {f"{of}.OPS.COST_OF_{what}" for what in ("STATEMENTS", "RUNS", "ASSETS", "WAREHOUSES")},
    }
    names = ENVIRONMENTS[env]
    assert (names.database, names.serving_database) == (of, f"{of}_SERVING")
    assert (names.load_warehouse, names.transform_warehouse, names.read_warehouse) == (
        f"{of}_LOAD",
        f"{of}_TRANSFORM",
        f"{of}_READ",
    )
    assert (names.loader_role, names.transformer_role, names.reader_role) == (
        f"{of}_LOADER",
        f"{of}_TRANSFORMER",
        f"{of}_READER",
    )
    (landing,) = [each for each in setups[env] if each.startswith(f"create stage if not exists {of}.RAW.LANDING")]
    assert f"url = 's3://my-bucket/{env}/' storage_integration = {of}_S3" in landing
    assert "file_format" not in " ".join(setups[env])  # COPY says it, and only COPY


def test_a_custom_prefix_reaches_stage_integration_and_policies(keys: Path) -> None:
    sql = printed("setup", "--env", "dev", "--prefix=drops/films/", *setup_options(keys))
    assert sql.count("'s3://my-bucket/drops/films/'") == 4
    assert "s3://my-bucket/dev/" not in sql
    policy = printed("aws", "runner-access", "--env", "dev", "--bucket=my-bucket", "--prefix=drops/films/")
    assert "my-bucket/drops/films/*" in policy
    assert "dev/" not in policy


# ------------------------------------------------------------------------------------------------ run again


@pytest.mark.parametrize("env", ENVS)
def test_a_second_setup_replaces_nothing_that_holds_data(env: str, setups) -> None:
    """`or replace` drops what was there: rows, staged files, an integration's external id, grants. Views hold none."""
    created = [each for each in setups[env] if each.startswith("create")]
    assert len(created) > 20
    for statement in created:
        assert re.match(r"create ([a-z ]+) if not exists |create or replace view ", statement), statement
    assert not [each for each in setups[env] if re.match("drop|truncate|delete|undrop|revoke", each)]


@pytest.mark.parametrize("env", ENVS)
def test_a_second_setup_applies_changed_values(env: str, setups, keys: Path) -> None:
    """`if not exists` alone would leave the old values; what is set at creation only never changes."""
    options = {
        "credits": "77",
        "retention-days": "9",
        "statement-timeout": "1234",
        "aws-role": f"{ROLE_ARN}-2",
        "bucket": "other-bucket",
    }
    changed = statements(printed("setup", "--env", env, *setup_options(keys, **options)))
    altered = [each for each, before in zip(changed, setups[env], strict=True) if each != before]
    by_alter = " ".join(each for each in altered if each.startswith("alter"))
    for value in ("77", "= 9 ", "1234", f"{ROLE_ARN}-2", "s3://other-bucket/"):
        assert value in by_alter


@pytest.mark.parametrize("env", ENVS)
def test_idle_warehouses_cost_nothing_and_a_quota_limits_the_rest(env: str, setups) -> None:
    of = f"NETFLIX_{env.upper()}"
    script = "\n".join(setups[env])
    for warehouse in (f"{of}_LOAD", f"{of}_TRANSFORM", f"{of}_READ"):
        assert f"create warehouse if not exists {warehouse} with initially_suspended = true" in script
        assert f"alter warehouse {warehouse} set resource_monitor = {of}_MONITOR" in script
        (settings,) = re.findall(rf"alter warehouse {warehouse} set (warehouse_size.*)", script)
        for setting in ("warehouse_size = xsmall", "auto_suspend = 60", "auto_resume = true"):
            assert setting in settings
        assert re.search(r"statement_timeout_in_seconds = [1-9]", settings)
        assert re.search(r"statement_queued_timeout_in_seconds = [1-9]", settings)
    triggers = "on 75 percent do notify on 100 percent do suspend on 110 percent do suspend_immediate"
    assert f"create resource monitor if not exists {of}_MONITOR with credit_quota = 20 " in script
    assert triggers in script


# ------------------------------------------------------------------------------------------------ privileges


@dataclass(frozen=True)
class Grant:
    privileges: frozenset[str]
    kind: str  # warehouse, future tables, …
    name: str
    role: str


GRANT = re.compile(
    r"grant (?P<privileges>[a-z, ]+) on (?P<kind>(?:all|future) [a-z]+ in schema|[a-z ]+?) (?P<name>NETFLIX_\S+) "
    r"to role (?P<role>\S+)(?: copy current grants)?"
)


def grants(script: list[str]) -> list[Grant]:
    found = []
    for statement in script:
        if statement.startswith("grant ") and not statement.startswith("grant role "):
            match = GRANT.fullmatch(statement)
            assert match is not None, statement
            privileges = frozenset(match["privileges"].split(", "))
            found.append(Grant(privileges, match["kind"].removesuffix(" in schema"), match["name"], match["role"]))
    return found


def privileges_of(script: list[str], role: str) -> dict[tuple[str, str], frozenset[str]]:
    """What a role may do, by kind and name of the object."""
    held: dict[tuple[str, str], frozenset[str]] = {}
    for grant in grants(script):
        if grant.role == role:
            key = (grant.kind, grant.name)
            held[key] = held.get(key, frozenset()) | grant.privileges
    return held


def dbt_schemas() -> set[str]:
    """The schemas that dbt builds into: every `+schema` of the project."""
    project = yaml.safe_load((REPO / "dbt" / "dbt_project.yml").read_text())
    found: set[str] = set()

    def walk(node: object) -> None:
        for key, value in node.items() if isinstance(node, dict) else ():
            if key == "+schema":
                found.add(value.upper())
            walk(value)

    walk({kind: project[kind] for kind in ("models", "seeds", "snapshots")})
    return found


@pytest.mark.parametrize("env", ENVS)
def test_the_loader_can_use_only_raw_and_ops(env: str, setups) -> None:
    of = f"NETFLIX_{env.upper()}"
    schema = frozenset({"usage", "create table", "create view"})
    assert privileges_of(setups[env], f"{of}_LOADER") == {
        ("warehouse", f"{of}_LOAD"): {"usage"},
        ("database", of): {"usage"},
        ("schema", f"{of}.RAW"): schema,
        ("schema", f"{of}.OPS"): schema,
        ("stage", f"{of}.RAW.LANDING"): {"usage"},
        ("stage", f"{of}.RAW.NORMALISED"): {"read", "write"},
    }


@pytest.mark.parametrize("env", ENVS)
def test_the_transformer_reads_raw_and_ops_and_builds_every_dbt_schema(env: str, setups) -> None:
    of = f"NETFLIX_{env.upper()}"
    held = privileges_of(setups[env], f"{of}_TRANSFORMER")
    for schema, also in {"RAW": set(), "OPS": {"create table"}}.items():
        assert held.pop(("schema", f"{of}.{schema}")) == {"usage"} | also
        for kind in ("all tables", "future tables", "all views", "future views"):
            assert held.pop((kind, f"{of}.{schema}")) == {"select"}
    for schema in dbt_schemas():
        built = held.pop(("schema", f"{of}.{schema}"))
        assert (
            {"usage", "create table", "create view"}
            <= built
            <= {
                "usage",
                "create table",
                "create view",
                "create dynamic table",
            }
        )
    for schema in SERVING_SCHEMAS:  # a swap needs the ownership of both schemas
        assert held.pop(("schema", f"{of}_SERVING.{schema}")) == {"ownership"}
    assert held.pop(("database", of)) == {"usage"} | ({"create schema"} if env == "dev" else set())
    assert held.pop(("database", f"{of}_SERVING")) == {"usage"}
    assert held.pop(("warehouse", f"{of}_TRANSFORM")) == {"usage"}
    assert held == {}


@pytest.mark.parametrize("env", ENVS)
def test_the_reader_sees_only_the_published_tables(env: str, setups) -> None:
    of = f"NETFLIX_{env.upper()}"
    held = privileges_of(setups[env], f"{of}_READER")
    assert held.pop(("warehouse", f"{of}_READ")) == {"usage"}
    assert held.pop(("database", f"{of}_SERVING")) == {"usage"}
    for schema in (f"{of}_SERVING.{each}" for each in SERVING_SCHEMAS):  # a swap takes a schema's grants along
        assert held.pop(("schema", schema)) == {"usage"}
        for kind in ("all tables", "future tables", "all views", "future views"):
            assert held.pop((kind, schema)) == {"select"}
    assert held == {}  # and so not a word of NETFLIX_E itself


@pytest.mark.parametrize("env", ENVS)
def test_grants_go_only_to_roles_of_the_environment(env: str, setups) -> None:
    of = f"NETFLIX_{env.upper()}"
    script = "\n".join(setups[env])
    owned = re.findall(r"^grant ownership on schema (\S+) to role (\S+) ", script, re.MULTILINE)
    assert sorted(owned) == sorted((f"{of}_SERVING.{schema}", f"{of}_TRANSFORMER") for schema in SERVING_SCHEMAS)
    assert not re.search(
        r"ownership on (?!schema)|all privileges|grant all\b|manage grants|grant option|to role public", script, re.I
    )
    pairs = set(re.findall(r"^grant role (\S+) to (role|user) (\S+)$", script, re.MULTILINE))
    roles = (f"{of}_LOADER", f"{of}_TRANSFORMER", f"{of}_READER")
    assert pairs == {
        *((role, "role", "sysadmin") for role in roles),
        (roles[0], "user", f"{of}_RUNNER"),
        (roles[1], "user", f"{of}_RUNNER"),
        (roles[2], "user", f"{of}_BI"),
    }
    # sysadmin owns the databases; the integration is the one thing that it must be given.
    assert privileges_of(setups[env], "sysadmin") == {("integration", f"{of}_S3"): {"usage"}}
    assert {grant.role for grant in grants(setups[env])} == {*roles, "sysadmin"}
    others = [other for other in ENVS if other != env]
    assert not re.search("|".join(f"NETFLIX_{other.upper()}" for other in others), script)


@pytest.mark.parametrize("env", ENVS)
def test_service_users_have_a_key_one_default_role_and_a_tag(env: str, setups) -> None:
    of = f"NETFLIX_{env.upper()}"
    users = {each.split()[2]: each for each in setups[env] if each.startswith("alter user")}
    assert {user: re.findall(r"default_role = (\S+)", text) for user, text in users.items()} == {
        f"{of}_RUNNER": [f"{of}_LOADER"],
        f"{of}_BI": [f"{of}_READER"],
    }
    for text in users.values():
        assert "type = service" in text
        assert "default_secondary_roles = ()" in text
        assert "password" not in text
        tag = json.loads(re.search(r"query_tag = '([^']+)'", text)[1])
        assert (tag["project"], tag["env"]) == ("netflix_assets", env)


@pytest.mark.parametrize("env", ENVS)
def test_each_statement_runs_as_a_role_that_is_allowed_to(env: str, setups, teardowns) -> None:
    """Ownership follows the role that creates: databases to SYSADMIN, whose grants the others then are."""
    allowed = {
        "role": "useradmin", "user": "useradmin", "database": "sysadmin", "schema": "sysadmin",
        "warehouse": "sysadmin", "stage": "sysadmin", "resource monitor": "accountadmin",
        "storage integration": "accountadmin", "view": "accountadmin",
    }  # fmt: skip
    for script in (setups[env], teardowns[env]):
        role = ""
        for statement in script:
            if statement.startswith("use role "):
                role = statement.removeprefix("use role ")
            elif made := CREATED.match(statement) or DROPPED.match(statement):
                assert role == allowed[made["kind"]], statement
            elif statement.startswith("grant role "):
                assert role == "useradmin", statement
            elif statement.startswith("grant "):
                assert role == ("accountadmin" if " on integration " in statement else "sysadmin"), statement
            elif "resource_monitor" in statement:
                assert role == "accountadmin", statement


# ------------------------------------------------------------------------------------------------ teardown


@pytest.mark.parametrize("env", ENVS)
def test_teardown_drops_everything_that_setup_creates(env: str, setups, teardowns) -> None:
    made, dropped = objects(setups[env], CREATED), objects(teardowns[env], DROPPED)
    within_databases = {kind: made.pop(kind) for kind in ("schema", "stage", "view")}
    assert dropped == made
    for name in set.union(*within_databases.values()):
        assert name.split(".")[0] in dropped["database"]


# ------------------------------------------------------------------------------------------------ AWS


def policy(file: str, env: str, *options: str) -> dict:
    return json.loads(printed("aws", file, "--env", env, *options))


def actions(statement: dict) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("file", ["snowflake-access", "runner-access"])
def test_policies_cover_only_the_prefix(file: str, env: str) -> None:
    for statement in policy(file, env, "--bucket=my-bucket")["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions(statement) if "*" in action]
        if set(actions(statement)) & {"s3:ListBucket", "s3:GetBucketLocation"}:
            assert statement["Resource"] == "arn:aws:s3:::my-bucket"
        else:
            assert statement["Resource"] == f"arn:aws:s3:::my-bucket/{env}/*"
        if "s3:ListBucket" in actions(statement):
            assert actions(statement) == ["s3:ListBucket"]  # the condition fits no other action
            assert statement["Condition"] == {"StringLike": {"s3:prefix": [f"{env}/*"]}}


def test_snowflake_can_only_read_and_the_runner_can_only_add() -> None:
    allowed = {
        file: {each["Sid"]: set(actions(each)) for each in policy(file, "dev", "--bucket=my-bucket")["Statement"]}
        for file in ("snowflake-access", "runner-access")
    }
    assert allowed["snowflake-access"] == {
        "ReadFiles": {"s3:GetObject", "s3:GetObjectVersion"},
        "ListFiles": {"s3:ListBucket"},
        "FindRegion": {"s3:GetBucketLocation"},
    }
    assert allowed["runner-access"] == {
        "ReadFiles": {"s3:GetObject"},
        "ListFiles": {"s3:ListBucket"},
        "LandFiles": {"s3:PutObject", "s3:AbortMultipartUpload"},
    }


def test_aws_trusts_one_user_with_one_external_id() -> None:
    trust = policy("snowflake-trust", "dev", f"--snowflake-user={USER_ARN}", f"--external-id={EXTERNAL_ID}")
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"AWS": USER_ARN}
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


@pytest.mark.parametrize("env", ENVS)
def test_the_lifecycle_never_deletes_a_current_object(env: str) -> None:
    rules = policy("lifecycle", env)["Rules"]
    assert {rule["Filter"]["Prefix"] for rule in rules} == {f"{env}/"}
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    assert all(set(rule.get("Expiration", {})) <= {"ExpiredObjectDeleteMarker"} for rule in rules)
    assert sum("NoncurrentVersionExpiration" in rule for rule in rules) == 1
    assert sum("AbortIncompleteMultipartUpload" in rule for rule in rules) == 1


def test_alerts_can_be_published_only_to_one_topic() -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:netflix-alerts"
    (statement,) = policy("alerts-access", "dev", f"--topic={topic}")["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("sns:Publish", topic)
    code, out, err = run("aws", "alerts-access", "--env=dev", "--topic=arn:aws:sns:eu-central-1:123456789012:*")
    assert (code, out) == (2, "")
    assert err.startswith("--topic: ")


def test_only_the_bucket_can_send_to_the_queue_and_only_about_the_prefix() -> None:
    attributes = policy("queue", "dev", "--bucket=my-bucket", f"--queue={QUEUE_ARN}")
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert (actions(statement), statement["Resource"]) == (["sqs:SendMessage"], QUEUE_ARN)
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::my-bucket"},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == f"{QUEUE_ARN}-dead"
    (told,) = policy("notification", "dev", f"--queue={QUEUE_ARN}")["QueueConfigurations"]
    assert told["QueueArn"] == QUEUE_ARN
    assert told["Filter"]["Key"]["FilterRules"] == [{"Name": "prefix", "Value": "dev/"}]
    (access,) = policy("queue-access", "dev", f"--queue={QUEUE_ARN}")["Statement"]
    assert (set(actions(access)), access["Resource"]) == ({"sqs:ReceiveMessage", "sqs:DeleteMessage"}, QUEUE_ARN)


def test_every_template_is_rendered_by_a_command() -> None:
    rendered = {file.name for file in snowflake_setup.setup_files("dev")} | {"teardown.sql"}
    assert rendered == {file.name for file in (REPO / "deploy" / "snowflake").iterdir()}
    assert set(snowflake_setup.AWS_FILES.values()) == {file.name for file in (REPO / "deploy" / "aws").iterdir()}


# ------------------------------------------------------------------------------------------------ documentation

DOCS = "".join((REPO / "docs" / name).read_text() for name in ("snowflake.md", "alerts.md", "running.md"))


def test_every_documented_variable_is_read() -> None:
    known = {f"NETFLIX_{name.upper()}" for name in Settings.model_fields}
    known |= {f"NETFLIX_SNOWFLAKE_{name.upper()}" for name in SnowflakeSettings.model_fields}
    # What the process itself sets for dbt; dbt by itself is given them by hand.
    known |= {"NETFLIX_SNOWFLAKE_WAREHOUSE", "NETFLIX_SNOWFLAKE_ROLE", "NETFLIX_RUN_ID"}
    known.add("NETFLIX_SMOKE_ADMIN_ROLE")  # of the live test
    known |= set(re.findall(r"env: (NETFLIX_\w+)", (REPO / "deploy" / "dagster" / "workspace.yaml").read_text()))
    objects_made = {
        name
        for name in re.findall(r"NETFLIX_[A-Z0-9_]+", DOCS)
        if name.startswith(("NETFLIX_PRODUCTION", "NETFLIX_DEV", "NETFLIX_STAGING"))
    }
    mentioned = set(re.findall(r"\bNETFLIX_[A-Z0-9_]*[A-Z0-9]\b", DOCS)) - objects_made - {"NETFLIX_E"}
    assert mentioned - known == set()
    assert {"NETFLIX_SNOWFLAKE_ACCOUNT", "NETFLIX_SNOWFLAKE_USER", "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH"} <= mentioned


# ------------------------------------------------------------------------------------------------ emulated

ACCOUNT_USAGE = (
    "create database snowflake",
    "create schema snowflake.account_usage",
    "create table snowflake.account_usage.query_history (query_id varchar, query_tag varchar, warehouse_name varchar, "
    "query_type varchar, execution_status varchar, start_time timestamp_ltz, end_time timestamp_ltz, "
    "total_elapsed_time number, bytes_scanned number, credits_used_cloud_services float)",
    "create table snowflake.account_usage.query_attribution_history (query_id varchar, "
    "credits_attributed_compute float)",
    "create table snowflake.account_usage.warehouse_metering_history (start_time timestamp_ltz, "
    "warehouse_name varchar, credits_used float, credits_used_compute float, "
    "credits_attributed_compute_queries float)",
)


@dataclass(frozen=True)
class Account:
    """An emulated account in which an environment can be set up."""

    server: SnowflakeEmulator
    script: list[str]

    def set_up(self) -> None:
        # The emulator has no managed access: it checks no privilege at all.
        self.server.execute(*(each.removesuffix(" with managed access") for each in self.script))

    def rows(self, query: str) -> list[tuple]:
        return self.server.execute(query)


@pytest.fixture
def account(snowflake_server: SnowflakeEmulator, setups, teardowns) -> Iterator[Account]:
    """Staging, for no other test uses it; torn down by its own script."""
    snowflake_server.execute(*ACCOUNT_USAGE)
    account = Account(snowflake_server, setups["staging"])
    account.set_up()
    try:
        yield account
    finally:
        snowflake_server.execute(*teardowns["staging"], "drop database snowflake")


def test_a_second_setup_keeps_rows_and_files(account: Account, tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text("1,2\n")
    of = "NETFLIX_STAGING"
    account.server.execute(
        f"create table {of}.raw.kept as select 7 as n",
        f"create table {of}_SERVING.marts.kept as select 8 as n",
        f"put 'file://{file}' @{of}.raw.normalised/one/ auto_compress = true",
    )
    account.set_up()
    assert account.rows(f"select n from {of}.raw.kept") == [(7,)]
    assert account.rows(f"select n from {of}_SERVING.marts.kept") == [(8,)]
    assert len(account.rows(f"list @{of}.raw.normalised/one/")) == 1


def test_the_loader_creates_no_schema_that_setup_created(account: Account) -> None:
    """It may not: `create schema if not exists` is refused without the privilege, also where the schema exists."""
    dataset = load_sources(CONTRACTS_DIR)[0].datasets[0]
    since = account.server.mark()
    with SnowflakeWarehouse(lambda: account.server.connect("NETFLIX_STAGING")) as warehouse:
        warehouse.prepare(dataset)
    sent = [each.line for each in account.server.statements(since)]
    assert [line for line in sent if line.startswith(f"create table if not exists raw.{dataset.table}")]
    assert not [line for line in sent if "schema" in line.split()[:2]]


def test_cost_views_add_up_this_environments_statements_by_run_and_asset(account: Account) -> None:
    load = query_tag("staging", "run-1", "raw/movielens/ratings")
    node = {"project": "netflix_assets", "env": "staging", "run": "run-1", "node": "model.x.fct", "asset": "core/fct"}
    build = json.dumps(node)
    tags = {
        "q1": load,
        "q2": load,
        "q3": build,
        "q4": json.dumps({**node, "run": ""}),  # dbt by itself
        "other-env": query_tag("production", "run-1", "raw/movielens/ratings"),
        "other-project": json.dumps({"project": "else", "env": "staging", "run": "run-1"}),
        "no-json": "a person",
        "no-tag": "",
    }
    history, attribution = "snowflake.account_usage.query_history", "snowflake.account_usage.query_attribution_history"
    account.server.execute(
        *(
            f"insert into {history} values ('{query}', '{tag}', 'NETFLIX_STAGING_LOAD', 'COPY', 'SUCCESS', "
            "current_timestamp(), current_timestamp(), 1500, 10, 0.01)"
            for query, tag in tags.items()
        ),
        f"insert into {history} values ('long-ago', '{load}', 'NETFLIX_STAGING_LOAD', 'COPY', 'SUCCESS', "
        "dateadd('day', -200, current_timestamp()), dateadd('day', -200, current_timestamp()), 1500, 10, 0.01)",
        f"insert into {attribution} values ('q1', 0.5), ('q3', 0.25), ('q4', 0.125), ('other-env', 9)",
        "insert into snowflake.account_usage.warehouse_metering_history values "
        "(current_timestamp(), 'NETFLIX_STAGING_LOAD', 1.25, 1.0, 0.75), "
        "(current_timestamp(), 'NETFLIX_STAGING_LOAD', 1.0, 1.0, 0.5), "
        "(current_timestamp(), 'NETFLIX_PRODUCTION_LOAD', 5, 5, 5)",
    )
    of = "NETFLIX_STAGING.OPS.COST_OF"
    statements_seen = account.rows(f"select query_id, credits_compute from {of}_STATEMENTS order by 1")
    assert statements_seen == [("q1", 0.5), ("q2", None), ("q3", 0.25), ("q4", 0.125)]
    assert account.rows(f"select run_id, n_statements, seconds, credits_compute from {of}_RUNS") == [
        ("run-1", 3, 4.5, 0.75)
    ]
    columns = "asset, node, n_runs, n_statements, credits_compute, credits_compute_per_run"
    assert account.rows(f"select {columns} from {of}_ASSETS order by 1") == [
        ("core/fct", "model.x.fct", 1, 2, 0.375, 0.375),
        ("raw/movielens/ratings", None, 1, 2, 0.5, 0.5),
    ]
    columns = "warehouse_name, credits_billed, credits_of_statements, credits_idle"
    assert account.rows(f"select {columns} from {of}_WAREHOUSES") == [("NETFLIX_STAGING_LOAD", 2.25, 1.25, 0.75)]
