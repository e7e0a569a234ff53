"""Fixtures: the printed scripts of every environment."""

from pathlib import Path

import pytest

from netflix_assets_tests.deploy.scripts import ENVS, statements
from netflix_assets_tests.dev.setup_command import printed, setup_options, write_keys


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
