"""The roles of deploy/snowflake: least privilege, and a role that may run each statement."""

import json
import re
from dataclasses import dataclass

import pytest
import yaml

from netflix_assets.settings import REPO
from netflix_assets_tests.deploy.scripts import CREATED, DROPPED, ENVS, SERVING_SCHEMAS


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
    granted = []
    for statement in script:
        if statement.startswith("grant ") and not statement.startswith("grant role "):
            match = GRANT.fullmatch(statement)
            assert match is not None, statement
            actions = frozenset(match["privileges"].split(", "))
            granted.append(Grant(actions, match["kind"].removesuffix(" in schema"), match["name"], match["role"]))
    return granted


def privileges_of(script: list[str], role: str) -> dict[tuple[str, str], frozenset[str]]:
    """The privileges of a role, by kind and name of the object."""
    privileges: dict[tuple[str, str], frozenset[str]] = {}
    for grant in grants(script):
        if grant.role == role:
            key = (grant.kind, grant.name)
            privileges[key] = privileges.get(key, frozenset()) | grant.privileges
    return privileges


def dbt_schemas() -> set[str]:
    """The schemas that dbt builds: every `+schema` of the project."""
    project = yaml.safe_load((REPO / "dbt" / "dbt_project.yml").read_text())
    schemas: set[str] = set()

    def walk(node: object) -> None:
        for key, value in node.items() if isinstance(node, dict) else ():
            if key == "+schema":
                schemas.add(value.upper())
            walk(value)

    walk({kind: project[kind] for kind in ("models", "seeds", "snapshots")})
    return schemas


@pytest.mark.parametrize("env", ENVS)
def test_the_loader_can_use_only_raw_and_ops(env: str, setups) -> None:
    base = f"NETFLIX_{env.upper()}"
    schema = frozenset({"usage", "create table", "create view"})
    assert privileges_of(setups[env], f"{base}_LOADER") == {
        ("warehouse", f"{base}_LOAD"): {"usage"},
        ("database", base): {"usage"},
        ("schema", f"{base}.RAW"): schema,
        ("schema", f"{base}.OPS"): schema,
        ("stage", f"{base}.RAW.LANDING"): {"usage"},
        ("stage", f"{base}.RAW.NORMALISED"): {"read", "write"},
    }


@pytest.mark.parametrize("env", ENVS)
def test_the_transformer_reads_raw_and_ops_and_builds_every_dbt_schema(env: str, setups) -> None:
    base = f"NETFLIX_{env.upper()}"
    privileges = privileges_of(setups[env], f"{base}_TRANSFORMER")
    for schema, also in {"RAW": set(), "OPS": {"create table"}}.items():
        assert privileges.pop(("schema", f"{base}.{schema}")) == {"usage"} | also
        for kind in ("all tables", "future tables", "all views", "future views"):
            assert privileges.pop((kind, f"{base}.{schema}")) == {"select"}
    for schema in dbt_schemas():
        built = privileges.pop(("schema", f"{base}.{schema}"))
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
    for schema in SERVING_SCHEMAS:  # swapping needs the ownership of both schemas
        assert privileges.pop(("schema", f"{base}_SERVING.{schema}")) == {"ownership"}
    assert privileges.pop(("database", base)) == {"usage"} | ({"create schema"} if env == "dev" else set())
    assert privileges.pop(("database", f"{base}_SERVING")) == {"usage"}
    assert privileges.pop(("warehouse", f"{base}_TRANSFORM")) == {"usage"}
    assert privileges == {}


@pytest.mark.parametrize("env", ENVS)
def test_the_reader_sees_only_the_published_tables(env: str, setups) -> None:
    base = f"NETFLIX_{env.upper()}"
    privileges = privileges_of(setups[env], f"{base}_READER")
    assert privileges.pop(("warehouse", f"{base}_READ")) == {"usage"}
    assert privileges.pop(("database", f"{base}_SERVING")) == {"usage"}
    for schema in (f"{base}_SERVING.{each}" for each in SERVING_SCHEMAS):  # a swap keeps each schema's grants with it
        assert privileges.pop(("schema", schema)) == {"usage"}
        for kind in ("all tables", "future tables", "all views", "future views"):
            assert privileges.pop((kind, schema)) == {"select"}
    assert privileges == {}  # so it has no access to the main database


@pytest.mark.parametrize("env", ENVS)
def test_grants_go_only_to_roles_of_the_environment(env: str, setups) -> None:
    base = f"NETFLIX_{env.upper()}"
    script = "\n".join(setups[env])
    owned = re.findall(r"^grant ownership on schema (\S+) to role (\S+) ", script, re.MULTILINE)
    assert sorted(owned) == sorted((f"{base}_SERVING.{schema}", f"{base}_TRANSFORMER") for schema in SERVING_SCHEMAS)
    assert not re.search(
        r"ownership on (?!schema)|all privileges|grant all\b|manage grants|grant option|to role public", script, re.I
    )
    pairs = set(re.findall(r"^grant role (\S+) to (role|user) (\S+)$", script, re.MULTILINE))
    roles = (f"{base}_LOADER", f"{base}_TRANSFORMER", f"{base}_READER")
    assert pairs == {
        *((role, "role", "sysadmin") for role in roles),
        (roles[0], "user", f"{base}_RUNNER"),
        (roles[1], "user", f"{base}_RUNNER"),
        (roles[2], "user", f"{base}_BI"),
    }
    # SYSADMIN owns the databases; only the integration has to be granted to it.
    assert privileges_of(setups[env], "sysadmin") == {("integration", f"{base}_S3"): {"usage"}}
    assert {grant.role for grant in grants(setups[env])} == {*roles, "sysadmin"}
    others = [other for other in ENVS if other != env]
    assert not re.search("|".join(f"NETFLIX_{other.upper()}" for other in others), script)


@pytest.mark.parametrize("env", ENVS)
def test_service_users_have_a_key_one_default_role_and_a_tag(env: str, setups) -> None:
    base = f"NETFLIX_{env.upper()}"
    users = {each.split()[2]: each for each in setups[env] if each.startswith("alter user")}
    assert {user: re.findall(r"default_role = (\S+)", text) for user, text in users.items()} == {
        f"{base}_RUNNER": [f"{base}_LOADER"],
        f"{base}_BI": [f"{base}_READER"],
    }
    for text in users.values():
        assert "type = service" in text
        assert "default_secondary_roles = ()" in text
        assert "password" not in text
        tag = json.loads(re.search(r"query_tag = '([^']+)'", text)[1])
        assert (tag["project"], tag["env"]) == ("netflix_assets", env)


@pytest.mark.parametrize("env", ENVS)
def test_each_statement_runs_as_a_role_that_is_allowed_to(env: str, setups, teardowns) -> None:
    """The creating role owns an object. SYSADMIN owns the databases, so it makes their grants."""
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
            elif match := CREATED.match(statement) or DROPPED.match(statement):
                assert role == allowed[match["kind"]], statement
            elif statement.startswith("grant role "):
                assert role == "useradmin", statement
            elif statement.startswith("grant "):
                assert role == ("accountadmin" if " on integration " in statement else "sysadmin"), statement
            elif "resource_monitor" in statement:
                assert role == "accountadmin", statement
