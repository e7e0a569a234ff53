"""The dbt project as this environment runs it: its manifest, its program, the variables that profiles.yml reads.

Does not belong here: its nodes as Dagster assets (``dbt.py``) and what a build came to (``dbt_results.py``).
"""

import hashlib
import json
import os
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliResource, DbtProject
from dagster_dbt.errors import DagsterDbtCliRuntimeError, DagsterDbtError
from packaging.version import Version

from netflix_assets.settings import Settings


class DbtProjectError(RuntimeError):
    """The dbt project cannot be read; the message has what dbt says of it."""


def dbt_project(settings: Settings) -> DbtProject:
    """The dbt project with a manifest that is up to date with its files.

    The manifest is parsed again only when a file of the project has changed (no network, no warehouse). Raises:
    DbtProjectError.
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
    """What dbt has made of the project."""
    return json.loads(project.manifest_path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _is_parsed(project: DbtProject, settings: Settings, state: str) -> bool:
    stamp = _stamp(settings)
    return stamp.exists() and stamp.read_text() == state and project.manifest_path.exists()


def _parse(project: DbtProject, settings: Settings, state: str) -> None:
    from filelock import FileLock

    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / "dbt.lock"), exported(settings):
        if not _is_parsed(project, settings, state):  # another process may have done it meanwhile
            try:
                dbt_resource(settings, project).cli(["parse", "--quiet"], target_path=_target_path(settings)).wait()
            except DagsterDbtCliRuntimeError as error:
                said = str(error).rpartition("Errors parsed from dbt logs:")[2].strip()
                raise DbtProjectError(f"dbt cannot read {settings.dbt_project}: {said}") from error
            _stamp(settings).write_text(state)


class Dbt(DbtCliResource):
    """dagster-dbt's resource without the two things that it does before each call and that nothing here needs.

    It asks ``dbt --version``, which imports every adapter (4 s with Snowflake's), and sets up an adapter in this
    process (2 s) for row counts and column lineage (see ``_with_figures``).
    """

    @property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


def dbt_resource(settings: Settings, project: DbtProject) -> Dbt:
    """dbt as this environment runs it: the program that stands beside this Python."""
    return Dbt(
        project_dir=str(project.project_dir),
        profiles_dir=str(settings.dbt_project),
        target=_target(settings),
        dbt_executable=str(Path(sysconfig.get_path("scripts")) / "dbt"),
    )


@contextmanager
def one_build_at_a_time(settings: Settings) -> Iterator[None]:
    """Let one build of this home go on at a time: DuckDB has one writer, and dbt does not wait for it.

    Whoever reads several of the built tables as one state holds it too.
    """
    from filelock import FileLock

    with FileLock(settings.home / "dbt-build.lock"):
        yield


def _target_path(settings: Settings) -> Path:
    # One for each environment: the manifest names its database, and parsing anew at each change of it takes 9 s.
    return settings.home / "dbt" / f"target-{settings.env}"


def _target(settings: Settings) -> str:
    """dbt's target: the name of an output in profiles.yml."""
    return "local" if settings.names is None else "snowflake"


def _stamp(settings: Settings) -> Path:
    return _target_path(settings) / "sources.sha256"


@contextmanager
def exported(settings: Settings, run_id: str = "") -> Iterator[None]:
    """What profiles.yml and dbt read from the environment, said for the length of a dbt call.

    dagster-dbt hands its own environment on to dbt and copies dbt's parse cache from $DBT_TARGET_PATH.
    """
    wanted = {
        "NETFLIX_HOME": str(settings.home),
        "NETFLIX_RUN_ID": run_id,
        "DBT_TARGET_PATH": str(_target_path(settings)),
        **_snowflake_names(settings),
    }
    if settings.snowflake.private_key_path:  # dbt runs in its own folder, where a relative path leads elsewhere
        wanted["NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH"] = str(settings.snowflake.private_key_path)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _snowflake_names(settings: Settings) -> Mapping[str, str]:
    """Where dbt builds on Snowflake and as whom; credentials it reads from the environment itself."""
    if settings.names is None:
        return {}
    return {
        "NETFLIX_SNOWFLAKE_DATABASE": settings.snowflake.database or settings.names.database,
        "NETFLIX_SNOWFLAKE_WAREHOUSE": settings.names.transform_warehouse,
        "NETFLIX_SNOWFLAKE_ROLE": settings.names.transformer_role,
        "NETFLIX_SCHEMA_PREFIX": settings.schema_prefix,
    }


def project_state(settings: Settings) -> str:
    """A digest of all that the manifest follows from: every file that dbt parses, dbt's version, where it builds."""
    project = settings.dbt_project
    digest = hashlib.sha256(f"{version('dbt-core')} {_snowflake_names(settings)}".encode())
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(set(folders) - {"target", "logs", "dbt_packages"})
        for name in sorted(names):
            path = Path(folder) / name
            digest.update(f"\0{path.relative_to(project)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
