"""Remove the state of a home."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from netflix_assets.operations.errors import InputError, OperationError
from netflix_assets.settings import Settings
from netflix_assets.storage.local_s3 import is_leased

# What the commands keep under $NETFLIX_HOME. Nothing else there is removed: `fetch` keeps its downloads.
_STATE = (
    "s3",
    "s3-cache",
    "local-s3*",
    "ui.lock",
    "warehouse.duckdb*",
    "dagster",
    "dbt",
    "dbt*.lock",
    "tmp",
    "postgres",
    "published",
    "dashboards",
    "docs",
    "bench",
)


def find_state(settings: Settings) -> list[Path]:
    """The files and folders to remove. Raises: InputError when the home is a source folder."""
    home = settings.home
    if (home / "dbt" / "dbt_project.yml").exists():
        raise InputError(f"NETFLIX_HOME={home} is a source folder (dbt/dbt_project.yml). Nothing was removed")
    return [path for name in _STATE for path in sorted(home.glob(name))]


def remove_state(settings: Settings, found: Sequence[Path]) -> None:
    """Remove files and folders.

    Raises: OperationError, before any is removed, while the UI or a run uses the home; or when one cannot be removed.
    """
    if is_leased(settings.home):
        raise OperationError(f"the UI or a run is using {settings.home}. Stop it first; nothing was removed")
    if _postgres_runs(settings):
        raise OperationError(
            f"the sample databases of {settings.home} are running. Stop them first: "
            "netflix-assets dev postgres --stop. Nothing was removed"
        )
    for path in found:
        try:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        except OSError as error:  # rmtree's error names a file without its folder
            raise OperationError(f"{path} cannot be removed: {error}") from error


def _postgres_runs(settings: Settings) -> bool:
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        pid = (settings.home / "postgres" / "data" / "postmaster.pid").read_text().partition("\n")[0]
        return bool(psutil.Process(int(pid)).name() == "postgres")  # after a kill, the pid may be another process'
    return False
