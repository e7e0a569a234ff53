"""Fixtures: the dbt project, parsed once for the target `snowflake`, and forks that have imported the connector."""

import pytest

from netflix_assets_tests import forks
from netflix_assets_tests.warehouse.snowflake.dbt_project import SnowflakeDbt


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> SnowflakeDbt:
    return SnowflakeDbt(tmp_path_factory.mktemp("snowflake_dbt"))


@pytest.fixture(scope="session", autouse=True)
def _connector_in_forks() -> None:
    """It takes 3 s of CPU to import."""
    forks.preload("dagster_snowflake", "netflix_assets.warehouse.snowflake.publisher")
