"""Every file of deploy/ is used, and every documented variable is read."""

import re

from netflix_assets.dev import snowflake_setup
from netflix_assets.settings import REPO, Settings, SnowflakeSettings


def test_every_template_is_rendered_by_a_command() -> None:
    rendered = {file.name for file in snowflake_setup.setup_files("dev")} | {"teardown.sql", "semantic_views.sql"}
    assert rendered == {file.name for file in (REPO / "deploy" / "snowflake").iterdir()}


DOCS = "".join((REPO / "docs" / name).read_text() for name in ("snowflake.md", "alerts.md", "running.md"))


def test_every_documented_variable_is_read() -> None:
    known = {f"NETFLIX_{name.upper()}" for name in Settings.model_fields}
    known |= {f"NETFLIX_SNOWFLAKE_{name.upper()}" for name in SnowflakeSettings.model_fields}
    # Set by the process itself for dbt. To run dbt alone, people set them by hand.
    known |= {"NETFLIX_SNOWFLAKE_WAREHOUSE", "NETFLIX_SNOWFLAKE_ROLE", "NETFLIX_RUN_ID"}
    known |= {"NETFLIX_SMOKE_ADMIN_ROLE", "NETFLIX_SMOKE"}  # for the live test and its workflow
    for file in ("workspace.yaml", "s3_logs.yaml"):
        known |= set(re.findall(r"env: (NETFLIX_\w+)", (REPO / "deploy" / "dagster" / file).read_text()))
    objects_made = {
        name
        for name in re.findall(r"NETFLIX_[A-Z0-9_]+", DOCS)
        if name.startswith(("NETFLIX_PRODUCTION", "NETFLIX_DEV", "NETFLIX_STAGING"))
    }
    mentioned = set(re.findall(r"\bNETFLIX_[A-Z0-9_]*[A-Z0-9]\b", DOCS)) - objects_made - {"NETFLIX_E"}
    assert mentioned - known == set()
    assert {"NETFLIX_SNOWFLAKE_ACCOUNT", "NETFLIX_SNOWFLAKE_USER", "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH"} <= mentioned
