"""The SQL of deploy/snowflake: documented statements, the product's names, safe to run again, complete teardown.

Without a Snowflake account, each statement is compared with its documented form: by sqlglot where it knows the
statement, else by the patterns below.
"""

import logging
import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from netflix_assets.dev import snowflake_setup
from netflix_assets.settings import ENVIRONMENTS
from netflix_assets_tests.deploy.scripts import CREATED, DROPPED, ENVS, SERVING_SCHEMAS, objects, statements
from netflix_assets_tests.dev.setup_command import (
    ROLE_ARN,
    printed,
    setup_options,
)

NAME = r"NETFLIX_[A-Z]+(_[A-Z0-9]+)?(\.[A-Z_]+){0,2}"
TEXT = r"'[^'\\]*'"

# Statements that sqlglot does not parse (a Command): the whole statement, as Snowflake documents it.
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
    logger.setLevel(logging.ERROR)  # it warns about every Command, which is expected here
    try:
        (tree,) = sqlglot.parse(statement, dialect="snowflake")
    finally:
        logger.setLevel(before)
    return tree


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
    """Worksheets, snow and snowsql must find no variable to replace and no end of a statement inside a comment."""
    sql = printed("setup", "--env", env, *setup_options(keys))
    assert not re.search(r"[&$]|<%|\{\{", sql)
    assert not [comment for comment in re.findall(r"--.*", sql) if ";" in comment or "'" in comment]
    for file in snowflake_setup.setup_files(env):
        head = file.read_text().split("\n\n")[0]
        assert re.search(r"^-- Run as: .*(USERADMIN|SYSADMIN|ACCOUNTADMIN)", head, re.MULTILINE), file.name
        assert "Needs: " in head, file.name


@pytest.mark.parametrize(
    ("env", "base"), [("dev", "NETFLIX_DEV"), ("staging", "NETFLIX_STAGING"), ("production", "NETFLIX_PRODUCTION")]
)
def test_setup_creates_the_names_that_the_product_uses(env: str, base: str, setups) -> None:
    layers = ("RAW", "OPS", "STAGING", "INTERMEDIATE", "CORE", "MARTS", "SNAPSHOTS", "SEEDS")
    assert objects(setups[env], CREATED) == {
        "database": {base, f"{base}_SERVING"},
        "schema": {
            *(f"{base}.{layer}" for layer in layers),
            *(f"{base}_SERVING.{schema}" for schema in SERVING_SCHEMAS),
        },
        "warehouse": {f"{base}_LOAD", f"{base}_TRANSFORM", f"{base}_READ"},
        "role": {f"{base}_LOADER", f"{base}_TRANSFORMER", f"{base}_READER"},
        "user": {f"{base}_RUNNER", f"{base}_BI"},
        "storage integration": {f"{base}_S3"},
        "resource monitor": {f"{base}_MONITOR"},
        "stage": {f"{base}.RAW.LANDING", f"{base}.RAW.NORMALISED"},
        "view": {f"{base}.OPS.COST_OF_{what}" for what in ("STATEMENTS", "RUNS", "ASSETS", "WAREHOUSES")},
    }
    names = ENVIRONMENTS[env]
    assert (names.database, names.serving_database) == (base, f"{base}_SERVING")
    assert (names.load_warehouse, names.transform_warehouse, names.read_warehouse) == (
        f"{base}_LOAD",
        f"{base}_TRANSFORM",
        f"{base}_READ",
    )
    assert (names.loader_role, names.transformer_role, names.reader_role) == (
        f"{base}_LOADER",
        f"{base}_TRANSFORMER",
        f"{base}_READER",
    )
    (landing,) = [each for each in setups[env] if each.startswith(f"create stage if not exists {base}.RAW.LANDING")]
    assert f"url = 's3://my-bucket/{env}/' storage_integration = {base}_S3" in landing
    assert "file_format" not in " ".join(setups[env])  # only COPY sets the file format


def test_a_custom_prefix_reaches_stage_and_integration(keys: Path) -> None:
    sql = printed("setup", "--env", "dev", "--prefix=drops/films/", *setup_options(keys))
    assert sql.count("'s3://my-bucket/drops/films/'") == 4
    assert "s3://my-bucket/dev/" not in sql


@pytest.mark.parametrize("env", ENVS)
def test_a_second_setup_replaces_nothing_that_holds_data(env: str, setups) -> None:
    """`or replace` drops rows, staged files, an integration's external id and grants. Views hold no data."""
    created = [each for each in setups[env] if each.startswith("create")]
    assert len(created) > 20
    for statement in created:
        assert re.match(r"create ([a-z ]+) if not exists |create or replace view ", statement), statement
    assert not [each for each in setups[env] if re.match("drop|truncate|delete|undrop|revoke", each)]


@pytest.mark.parametrize("env", ENVS)
def test_a_second_setup_applies_changed_values(env: str, setups, keys: Path) -> None:
    """`if not exists` alone would keep the old values. Settings that apply only at creation never change."""
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
    base = f"NETFLIX_{env.upper()}"
    script = "\n".join(setups[env])
    for warehouse in (f"{base}_LOAD", f"{base}_TRANSFORM", f"{base}_READ"):
        assert f"create warehouse if not exists {warehouse} with initially_suspended = true" in script
        assert f"alter warehouse {warehouse} set resource_monitor = {base}_MONITOR" in script
        (settings,) = re.findall(rf"alter warehouse {warehouse} set (warehouse_size.*)", script)
        for setting in ("warehouse_size = xsmall", "auto_suspend = 60", "auto_resume = true"):
            assert setting in settings
        assert re.search(r"statement_timeout_in_seconds = [1-9]", settings)
        assert re.search(r"statement_queued_timeout_in_seconds = [1-9]", settings)
    triggers = "on 75 percent do notify on 100 percent do suspend on 110 percent do suspend_immediate"
    assert f"create resource monitor if not exists {base}_MONITOR with credit_quota = 20 " in script
    assert triggers in script


@pytest.mark.parametrize("env", ENVS)
def test_teardown_drops_everything_that_setup_creates(env: str, setups, teardowns) -> None:
    created, dropped = objects(setups[env], CREATED), objects(teardowns[env], DROPPED)
    within_databases = {kind: created.pop(kind) for kind in ("schema", "stage", "view")}
    assert dropped == created
    for name in set.union(*within_databases.values()):
        assert name.split(".")[0] in dropped["database"]
