"""dbt's profile on Snowflake follows the environment variables and needs no credentials to be read."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest
import yaml
from dbt.config.profile import Profile
from dbt.config.renderer import ProfileRenderer
from dbt.flags import set_from_args
from dbt_common.context import set_invocation_context

from netflix_assets_tests.warehouse.snowflake.dbt_project import (
    DATABASE,
    NAMES,
    PREFIX,
    PROJECT,
)

pytestmark = pytest.mark.emulated


def credentials(tmp_path: Path, **variables: str) -> dict[str, Any]:
    """The credentials that dbt-snowflake receives when only these variables are set."""
    set_from_args(SimpleNamespace(), None)
    set_invocation_context(variables)
    profiles = yaml.safe_load((PROJECT / "profiles.yml").read_text())
    profile = Profile.from_raw_profiles(profiles, "netflix_assets", ProfileRenderer({}), target_override=None)
    return vars(profile.credentials)


def test_the_profile_is_local_without_variables(tmp_path: Path) -> None:
    assert credentials(tmp_path)["path"] == "../.netflix/warehouse.duckdb"
    assert credentials(tmp_path, NETFLIX_ENV="")["path"] == "../.netflix/warehouse.duckdb"


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_the_profile_can_be_read_without_credentials(tmp_path: Path, environment: str) -> None:
    profile = credentials(tmp_path, NETFLIX_ENV=environment)
    assert profile["authenticator"] == "snowflake_jwt"
    for name in ("role", "warehouse", "private_key", "private_key_path", "private_key_passphrase", "token", "host"):
        assert profile[name] is None, name
    assert json.loads(profile["query_tag"]) == {"project": "netflix_assets", "env": environment}


def test_the_profile_follows_the_variables(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----"
    profile = credentials(
        tmp_path,
        **NAMES,
        NETFLIX_SNOWFLAKE_ACCOUNT="acme-netflix",
        NETFLIX_SNOWFLAKE_USER="NETFLIX_DEV_RUNNER",
        NETFLIX_SNOWFLAKE_PRIVATE_KEY=key.replace("\n", "\\n"),
        NETFLIX_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE="007",
        NETFLIX_SNOWFLAKE_HOST="acme.privatelink.snowflakecomputing.com",
        NETFLIX_SNOWFLAKE_PORT="8443",
        NETFLIX_SNOWFLAKE_PROTOCOL="http",
    )
    expected = {
        "account": "acme-netflix", "user": "NETFLIX_DEV_RUNNER", "database": DATABASE, "schema": f"{PREFIX}public",
        "warehouse": "NETFLIX_DEV_TRANSFORM", "role": "NETFLIX_DEV_TRANSFORMER", "private_key": key,
        "private_key_passphrase": "007", "port": 8443, "protocol": "http",
        "host": "acme.privatelink.snowflakecomputing.com",
    }  # fmt: skip
    assert {name: profile[name] for name in expected} == expected


def test_people_can_log_in_with_a_token_or_a_browser(tmp_path: Path) -> None:
    people = {"NETFLIX_ENV": "dev", "NETFLIX_SNOWFLAKE_AUTHENTICATOR": "oauth", "NETFLIX_SNOWFLAKE_TOKEN": "ey.j"}
    profile = credentials(tmp_path, **people)
    assert (profile["authenticator"], profile["token"]) == ("oauth", "ey.j")
    browser = credentials(tmp_path, NETFLIX_ENV="dev", NETFLIX_SNOWFLAKE_AUTHENTICATOR="externalbrowser")
    assert browser["authenticator"] == "externalbrowser"


@pytest.mark.parametrize("prefix", ["Branch_", "branch", "7_", "my-branch_", "a b_", "x;drop schema core;_"])
def test_a_schema_prefix_must_be_a_valid_name(prefix: str) -> None:
    class Refused(Exception): ...

    def refuse(message: str) -> None:
        raise Refused(message)

    macros = jinja2.Environment(autoescape=False).from_string(  # noqa: S701 - SQL, not HTML
        (PROJECT / "macros" / "generate_schema_name.sql").read_text(),
        globals={
            "env_var": lambda name, default: prefix,
            "exceptions": SimpleNamespace(raise_compiler_error=refuse),
            "modules": SimpleNamespace(re=re),
            "return": str,
        },
    )
    with pytest.raises(Refused, match=r"NETFLIX_SCHEMA_PREFIX=.* snake_case and end in an underscore"):
        macros.module.generate_schema_name("core", None)
