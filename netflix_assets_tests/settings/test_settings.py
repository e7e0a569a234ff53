"""Settings: which paths a home can have."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netflix_assets.definitions import load_defs
from netflix_assets.defs.schedules import schedules
from netflix_assets.settings import REPO, SettingsError, current_settings, read_settings, secrets_of
from netflix_assets.settings.environment import for_dagster
from netflix_assets_tests.cli.command import run

ODD_BUT_FINE = "a b'c\"d`e&f;g$HOME h:i{{ j }}k(l)n=o,p+q@r~s^t|u<v>w!x]yé.日本"

BUILT = ("raw/movielens/tags", "seeds/seed_movie_release_dates")


@pytest.mark.parametrize("character", ["#", "?", "*", "[", "%", "\\", "\n", "\t", "\x7f", "\udcff"])
def test_a_home_with_an_unusable_character_is_refused(tmp_path: Path, character: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(home=tmp_path / f"a{character}b" / "home")
    said = str(raised.value)
    assert said.startswith("NETFLIX_HOME='")
    assert f"contains {character!r}. Set NETFLIX_HOME to a folder whose path has no" in said


@pytest.mark.parametrize("limit", ["0%", "100%", "2", "2 GB", "GB", "-1GB", "50%'; drop"])
def test_a_memory_limit_that_duckdb_would_not_understand_is_refused(limit: str) -> None:
    with pytest.raises(SettingsError, match=r"^NETFLIX_MEMORY_LIMIT=.*or to a size such as 1500MB or 2GB$"):
        read_settings(memory_limit=limit)


def test_a_link_does_not_hide_an_unusable_character(tmp_path: Path) -> None:
    (tmp_path / "a#b").mkdir()
    (tmp_path / "link").symlink_to("a#b")
    with pytest.raises(SettingsError, match="contains '#'"):
        read_settings(home=tmp_path / "link")


def test_other_odd_characters_are_accepted(tmp_path: Path) -> None:
    assert read_settings(home=tmp_path / ODD_BUT_FINE).home == (tmp_path / ODD_BUT_FINE).resolve()


@pytest.mark.parametrize("home", ["~nobody-of-this-name/x", "a\0b"])
def test_a_home_that_is_no_path_is_refused(home: str) -> None:
    with pytest.raises(SettingsError, match="not a valid path"):
        read_settings(home=home)


def test_a_relative_home_in_a_folder_that_was_removed_is_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert read_settings(home=tmp_path).home == tmp_path
    with pytest.raises(SettingsError, match=r"NETFLIX_HOME='home': .*Use an absolute path"):
        read_settings(home="home")


def test_a_command_refuses_the_home_before_it_writes_anything(tmp_path: Path) -> None:
    done = run(tmp_path / "what?" / "home", "run")
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert "contains '?'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_home_with_odd_characters_behind_a_link_loads_builds_and_keeps_its_files(tmp_path: Path) -> None:
    target = tmp_path / ODD_BUT_FINE
    target.mkdir()
    (tmp_path / "link").symlink_to(target.name)
    file = tmp_path / "tags.csv"
    file.write_text("userId,movieId,tag,timestamp\n1,2,good,1\n")
    home = tmp_path / "link" / "it's"
    assert run(home, "land", str(file)).returncode == 0
    done = run(home, "run", "--select", " or ".join(f'key:"{key}"' for key in BUILT))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 assets built" in done.stdout
    assert (home / "dagster" / "history" / "runs.db").exists()
    assert {path.name for path in tmp_path.iterdir()} == {target.name, "link", "tags.csv"}
    assert [path.name for path in target.iterdir()] == ["it's"]


@pytest.mark.parametrize("character", ['"', "$", "`", "\\", ":", "\t"])
def test_make_refuses_a_clone_in_which_installed_scripts_do_not_run(tmp_path: Path, character: str) -> None:
    done = make_install(tmp_path / f"clone {character}")
    assert done.returncode == 2
    assert f"the path of this clone contains {character!r}" in done.stderr


@pytest.mark.parametrize("name", ["clone with spaces", "it's", "größe & [x]#;?*"])
def test_make_installs_in_other_odd_clones(tmp_path: Path, name: str) -> None:
    assert "installing" in make_install(tmp_path / name).stdout


def make_install(clone: Path) -> subprocess.CompletedProcess[str]:
    """``make install`` with a Python that only announces what it would install."""
    clone.mkdir()
    shutil.copy(REPO / "Makefile", clone)
    for name in ("pyproject.toml", "requirements.lock"):
        (clone / name).touch()
    python = clone / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} "$@"\necho installing; exit 1\n')
    python.chmod(0o755)
    return subprocess.run(
        ["make", "install", "PYTHON=./python"], cwd=clone, capture_output=True, text=True, check=False
    )


def on_dagster_plus(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"DAGSTER_CLOUD_{name.upper()}", value)


@pytest.mark.parametrize(
    ("deployment", "env"),
    [("prod", "production"), ("production", "production"), ("staging", "staging"), ("dev", "dev")],
)
def test_a_deployment_of_dagster_plus_is_the_environment_of_its_name(monkeypatch, deployment: str, env: str) -> None:
    on_dagster_plus(monkeypatch, deployment_name=deployment)
    settings = read_settings()
    assert (settings.env, settings.schema_prefix, settings.bucket_prefix) == (env, "", f"{env}/")


@pytest.mark.parametrize(
    ("pull_request", "prefix"), [("7", "pr_7_"), ("", "branch_0f3c19a2_"), ("Feature/X-1", "pr_feature_x_1_")]
)
def test_a_branch_deployment_builds_into_its_own_schemas_in_dev(monkeypatch, pull_request: str, prefix: str) -> None:
    on_dagster_plus(
        monkeypatch,
        deployment_name="0f3c19a2d4e5f60718293a4b5c6d7e8f90a1b2c3",
        is_branch_deployment="1",
        pull_request_id=pull_request,
    )
    settings = read_settings()
    assert (settings.env, settings.schema_prefix) == ("dev", prefix)
    assert settings.warehouse_kind == "snowflake"


def test_explicit_settings_win_over_those_of_the_deployment(monkeypatch) -> None:
    on_dagster_plus(monkeypatch, deployment_name="abc", is_branch_deployment="1", pull_request_id="7")
    monkeypatch.setenv("NETFLIX_ENV", "staging")
    monkeypatch.setenv("NETFLIX_SCHEMA_PREFIX", "mine_")
    settings = read_settings()
    assert (settings.env, settings.schema_prefix, settings.bucket_prefix) == ("staging", "mine_", "staging/")


@pytest.mark.parametrize("env", [None, "local"], ids=["unknown name", "explicit local"])
def test_the_embedded_warehouse_is_refused_on_dagster_plus_when_definitions_load(monkeypatch, env: str | None) -> None:
    on_dagster_plus(monkeypatch, deployment_name="analytics" if env is None else "prod")
    if env is not None:
        monkeypatch.setenv("NETFLIX_ENV", env)
    current_settings.cache_clear()
    try:
        with pytest.raises(SettingsError, match="Set NETFLIX_ENV to dev, staging or production in the deployment's"):
            load_defs(current_settings())
    finally:
        current_settings.cache_clear()


def test_there_is_no_retention_schedule_on_dagster_plus(monkeypatch, tmp_path: Path) -> None:
    # Dagster+ raises "Not allowed to delete runs from user cloud".
    here = {schedule.name for schedule in schedules(read_settings(home=tmp_path), ())}
    on_dagster_plus(monkeypatch, deployment_name="prod")
    there = {schedule.name for schedule in schedules(read_settings(home=tmp_path), ())}
    assert (here, there) == ({"daily", "tidy"}, {"daily"})
    # What a contract no longer keeps is purged there too.
    (source,) = (each for each in read_settings().sources() if each.source == "movielens")
    datasets = tuple(each.model_copy(update={"keep_versions": 2}) for each in source.datasets)
    purging = (source.model_copy(update={"datasets": datasets}),)
    assert {each.name for each in schedules(read_settings(home=tmp_path), purging)} == {"daily", "tidy"}


ADDRESS = "postgresql://reader@db.example.com:5432/shop"


def test_databases_are_read_from_their_variables_and_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFLIX_POSTGRES_SHOP", ADDRESS)
    monkeypatch.setenv("NETFLIX_POSTGRES_SHOP_PASSWORD", "canary")
    databases = read_settings().databases
    assert {name: database.url for name, database in databases.items()} == {"shop": ADDRESS}
    assert [secret.as_set() for secret in secrets_of(read_settings())] == ["canary"]
    passed_on = for_dagster(read_settings())
    monkeypatch.delenv("NETFLIX_POSTGRES_SHOP")
    monkeypatch.delenv("NETFLIX_POSTGRES_SHOP_PASSWORD")
    for name, value in passed_on.items():
        monkeypatch.setenv(name, value)
    assert read_settings().databases == databases


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("NETFLIX_POSTGRES_SHOP", "db.example.com", "NETFLIX_POSTGRES_SHOP: not an address like"),
        ("NETFLIX_POSTGRES_SHOP", "postgresql://r:canary@h/d", "SHOP: the address contains a password"),
        ("NETFLIX_POSTGRES_SHOP", "postgresql://r:c/anary@h/d", "the address contains a password"),
        ("NETFLIX_POSTGRES_SHOP", f"{ADDRESS}?password=canary", "the address contains a password"),
        (
            "NETFLIX_POSTGRES_SHOP_PASSWORD",
            "canary",
            "NETFLIX_POSTGRES_SHOP: not set, but NETFLIX_POSTGRES_SHOP_PASSWORD is",
        ),
        (
            "NETFLIX_POSTGRES_SHOP_PASSWORD",
            "arn:aws:secretsmanager:canary",
            "NETFLIX_POSTGRES_SHOP_PASSWORD: not a valid reference",
        ),
    ],
)
def test_a_database_that_is_not_valid_names_its_variable_and_no_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    if value.startswith("arn:"):
        monkeypatch.setenv("NETFLIX_POSTGRES_SHOP", ADDRESS)
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    assert message in str(raised.value)
    assert "anary" not in str(raised.value)


def test_an_address_with_an_at_sign_in_an_option_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFLIX_POSTGRES_SHOP", "postgresql://h:5432/d?user=reader@server")
    assert read_settings().databases["shop"].password is None
