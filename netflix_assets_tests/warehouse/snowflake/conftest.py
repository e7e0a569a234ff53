"""Fixtures: the dbt project, parsed once for the target `snowflake`."""

import pytest

from netflix_assets_tests.warehouse.snowflake.dbt_project import SnowflakeDbt


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> SnowflakeDbt:
    return SnowflakeDbt(tmp_path_factory.mktemp("snowflake_dbt"))
