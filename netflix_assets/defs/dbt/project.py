"""The dbt project in this environment: its manifest, its executable, and the variables that profiles.yml reads."""

import hashlib
import json
import os
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from dagster_dbt import DagsterDbtCliRuntimeError, DbtCliResource, DbtProject
from dagster_dbt.errors import DagsterDbtError

from netflix_assets.defs.dbt.dagster_dbt_internals import FastDbtCliResource
from netflix_assets.settings import Settings
from netflix_assets.settings.environment import for_dbt, in_place_of_mine
from netflix_assets.settings.secret_store import LateSecretStr

# Folders in which dbt and `make lint` leave files. To parse the project again for one takes dbt 20 s of CPU.
_NOT_READ = {"target", "logs", "dbt_packages", "__pycache__"}


class DbtProjectError(RuntimeError):
    """The dbt project cannot be read; the message contains dbt's own."""


def dbt_project(settings: Settings) -> DbtProject:
    """The dbt project with a manifest that matches its files.

    Parses only when a file of the project changed; needs neither network nor warehouse. Raises: DbtProjectError.
    """
    try:
        project = DbtProject(project_dir=settings.dbt_project, target_path=_target_path(settings))
    except DagsterDbtError as error:
        raise DbtProjectError(f"NETFLIX_DBT_PROJECT={settings.dbt_project}: {error}") from error
    state = project_state(settings)
    if not _is_parsed(project, settings, state):
        _parse(project, settings, state)
    return project


def manifest_of(project: DbtProject) -> Mapping[str, Any]:
    """The parsed project."""
    return json.loads(project.manifest_path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _is_parsed(project: DbtProject, settings: Settings, state: str) -> bool:
    stamp = _stamp(settings)
    return stamp.exists() and stamp.read_text() == state and project.manifest_path.exists()


def _parse(project: DbtProject, settings: Settings, state: str) -> None:
    from filelock import FileLock

    settings.home.mkdir(parents=True, exist_ok=True)
    # Parsing uses no credential, and definitions load without reading one.
    with FileLock(settings.home / "dbt.lock"), exported(settings, reveal=LateSecretStr.as_set):
        if not _is_parsed(project, settings, state):  # another process may have parsed it meanwhile
            try:
                dbt_resource(settings, project).cli(["parse", "--quiet"], target_path=_target_path(settings)).wait()
            except DagsterDbtCliRuntimeError as error:
                errors = str(error).rpartition("Errors parsed from dbt logs:")[2].partition("Traceback (most")[0]
                place = f"{settings.dbt_project}, or write {_target_path(settings)}"
                raise DbtProjectError(f"dbt cannot read {place}: {errors.strip()}") from error
            _stamp(settings).write_text(state)


def dbt_resource(settings: Settings, project: DbtProject) -> DbtCliResource:
    """dbt in this environment: the executable installed beside this Python."""
    return FastDbtCliResource(
        project_dir=str(project.project_dir),
        profiles_dir=str(settings.dbt_project),
        target=_target(settings),
        dbt_executable=str(Path(sysconfig.get_path("scripts")) / "dbt"),
    )


@contextmanager
def one_build_at_a_time(settings: Settings) -> Iterator[None]:
    """Allow one build of this home at a time: DuckDB has one writer, and dbt does not wait for it.

    Also held to read several built tables as one consistent state.
    """
    from filelock import FileLock

    with FileLock(settings.home / "dbt-build.lock"):
        yield


def _target_path(settings: Settings) -> Path:
    # One per environment: the manifest names its database, and parsing again after a switch takes 9 s.
    return settings.home / "dbt" / f"target-{settings.env}"


def _target(settings: Settings) -> str:
    """dbt's target: the name of an output in profiles.yml."""
    return "local" if settings.names is None else "snowflake"


def _stamp(settings: Settings) -> Path:
    return _target_path(settings) / "sources.sha256"


def exported(
    settings: Settings,
    run_id: str = "",
    reveal: Callable[[LateSecretStr], str] = LateSecretStr.get_secret_value,
    rebuilt: Iterable[str] = (),
) -> AbstractContextManager[None]:
    """Give this process dbt's environment for the length of the block.

    dagster-dbt passes its own environment on to dbt and copies dbt's parse cache from $DBT_TARGET_PATH. ``rebuilt``:
    names of incremental models to build from nothing (dbt/macros/should_full_refresh.sql).
    """
    return in_place_of_mine(
        {
            **for_dbt(settings, run_id, reveal),
            "DBT_TARGET_PATH": str(_target_path(settings)),
            "NETFLIX_REBUILD_NODES": ",".join(sorted(rebuilt)),
        }
    )


def project_variables(settings: Settings) -> Mapping[str, Any]:
    """The variables of dbt_project.yml."""
    content = yaml.safe_load((settings.dbt_project / "dbt_project.yml").read_text(encoding="utf-8"))
    return content.get("vars") or {}


def build_context(settings: Settings) -> str:
    """What builds tables besides the project's code: versions, and the warehouse."""
    adapter = "dbt-duckdb" if settings.names is None else "dbt-snowflake"
    return f"{version('dbt-core')} {adapter} {version(adapter)} {version('duckdb')} {settings.dbt_names}"


def project_state(settings: Settings) -> str:
    """A digest of everything the manifest depends on: dbt's files and version, and where it builds."""
    project = settings.dbt_project
    digest = hashlib.sha256(f"{version('dbt-core')} {settings.schema_prefix} {settings.dbt_names}".encode())
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(set(folders) - _NOT_READ)
        for name in sorted(names):
            path = Path(folder) / name
            digest.update(f"\0{path.relative_to(project)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
