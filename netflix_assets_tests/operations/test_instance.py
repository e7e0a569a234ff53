"""dagster.yaml in $NETFLIX_HOME follows the package, unless somebody has changed it."""

import hashlib
from pathlib import Path

import pytest

from netflix_assets.defs.dagster_internals import RunLauncher
from netflix_assets.operations import instance as instance_module
from netflix_assets.operations.instance import SHIPPED_BEFORE, open_instance, prepare_dagster_home
from netflix_assets.settings import read_settings

SHIPPED = Path(instance_module.__file__).with_name("dagster.yaml")


def test_an_earlier_dagster_yaml_is_replaced_and_a_changed_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = read_settings(home=tmp_path)
    file = prepare_dagster_home(settings) / "dagster.yaml"
    assert file.read_bytes() == SHIPPED.read_bytes()
    file.write_text("# as an earlier version shipped it\n")
    monkeypatch.setattr(instance_module, "SHIPPED_BEFORE", {hashlib.sha256(file.read_bytes()).hexdigest()})
    prepare_dagster_home(settings)
    assert file.read_bytes() == SHIPPED.read_bytes()
    file.write_text("# mine\n")
    prepare_dagster_home(settings)
    assert file.read_text() == "# mine\n"


def test_a_changed_dagster_yaml_follows_the_run_launcher_to_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = read_settings(home=tmp_path)
    file = prepare_dagster_home(settings) / "dagster.yaml"
    changed = SHIPPED.read_text().replace("poll_interval_seconds: 20", "poll_interval_seconds: 60")
    file.write_text(changed.replace(RunLauncher.__module__, "netflix_assets.runs"))
    with open_instance(settings) as instance:
        assert isinstance(instance.run_launcher, RunLauncher)
    assert file.read_text() == changed
    file.write_text(f"{changed}# netflix_assets.runs was here\n")
    prepare_dagster_home(settings)
    assert file.read_text() == f"{changed}# netflix_assets.runs was here\n"


def test_todays_dagster_yaml_is_not_listed_as_an_earlier_one() -> None:
    assert hashlib.sha256(SHIPPED.read_bytes()).hexdigest() not in SHIPPED_BEFORE
