"""Dagster's storage under $NETFLIX_HOME."""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import DBAPIError

from netflix_assets.settings import Settings
from netflix_assets.settings.environment import EVENTS_IN_BATCHES

# SHA-256 of every dagster.yaml that earlier versions shipped. When dagster.yaml changes, add its old digest here.
SHIPPED_BEFORE = frozenset({
    "37f6cfe237161c510a360a15301a50790258bf66f954396e2e8ef2a1dc67606b",
    "1bb028798f3445c03f969018d74b771c8b6d059c60a9a2af6d283ac04fa820b4",
    "4ca0385d59de245b4ae608c308db166108c65f95bbbc5db15520f746c54da9b6",
    "2a6eedc00886b4d53dda1daa39fd1d9aa0a77a8e98805f80be1704945fa1efb8",
    "c99884880a446cd9019c875a438fc4b7cdd5b38cc3e860254a8698c8017b074f",
})  # fmt: skip

# The module of the run launcher in a dagster.yaml of an earlier version.
_OLD_LAUNCHER = re.compile(r"""(\bmodule:\s*["']?)netflix_assets\.runs\b""")
_NEW_LAUNCHER = r"\1netflix_assets.defs.dagster_internals"


class StorageError(OSError):
    """Dagster's storage cannot be read or written, for example because its disk is full."""


@contextlib.contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's storage.

    Raises: StorageError, also for what the caller does with the instance, when its disk is full or broken.
    """
    home = prepare_dagster_home(settings)
    try:
        with dg.DagsterInstance.get() as instance:
            yield instance
    except DBAPIError as error:
        storage = f"Dagster's storage (settings: {home / 'dagster.yaml'})"
        raise StorageError(f"{storage}: {error.orig}. Check that its disk has space") from error


def prepare_dagster_home(settings: Settings) -> Path:
    """Create $DAGSTER_HOME with its dagster.yaml and set Dagster's variables for this process and its children.

    A dagster.yaml that an earlier version shipped is replaced. In a file that somebody has changed, only the module of
    the run launcher is updated, because it has moved.
    """
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    shipped, installed = Path(__file__).with_name("dagster.yaml"), home / "dagster.yaml"
    if not installed.exists() or _sha256(installed) in SHIPPED_BEFORE:
        shutil.copyfile(shipped, installed)
    elif _OLD_LAUNCHER.search(changed := installed.read_text(encoding="utf-8")):
        installed.write_text(_OLD_LAUNCHER.sub(_NEW_LAUNCHER, changed), encoding="utf-8")
    os.environ |= {"DAGSTER_HOME": str(home), **EVENTS_IN_BATCHES}
    return home


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
