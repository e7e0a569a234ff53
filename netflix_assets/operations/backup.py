"""Copy the state of a home while it is in use, and put a copy back.

What is copied later may be newer, never older: sync and the sensor find the difference at the next run, as after any
interruption. So the published tables come first, then the warehouse, the bucket and Dagster's storage.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from netflix_assets.operations.connections import warehouse
from netflix_assets.operations.errors import InputError, OperationError
from netflix_assets.operations.reset import find_state
from netflix_assets.settings import Settings
from netflix_assets.storage.local_s3 import is_leased

_SQLITE = b"SQLite format 3\0"
_SKIPPED = (".lock", ".pid", "-journal", "-wal", "-shm")  # of processes that run now; SQLite's own go into its copy
_TRIES = 10


def back_up(settings: Settings, folder: Path) -> int:
    """Copy the bucket, the warehouse, the published tables and Dagster's storage to a new folder.

    Waits while a run writes the warehouse, and makes writers wait while the file is copied. Returns the bytes copied.

    Raises: InputError when the folder exists or the home has no local data; OperationError; WarehouseError; OSError.
    """
    if settings.env != "local":
        raise InputError(
            f"NETFLIX_ENV={settings.env} keeps its data in Snowflake and S3. Use Time Travel, clones and S3 versioning"
        )
    if folder.exists():
        raise InputError(f"{folder} already exists. Choose another name")
    if not settings.warehouse_file.exists():
        raise InputError(f"{settings.home} has no warehouse yet; nothing to back up")
    draft = folder.with_name(f"{folder.name}.incomplete")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    home = settings.home
    _copy_tree(home / "published", draft / "published")
    with warehouse(settings).open("reader"):  # no writer changes the file meanwhile
        for file in sorted(home.glob("warehouse.duckdb*")):
            if not file.name.endswith(_SKIPPED):
                shutil.copy2(file, draft / file.name)
    for name in ("s3", "dagster"):
        _copy_tree(home / name, draft / name)
    draft.rename(folder)
    return sum({each.st_ino: each.st_size for each in map(Path.stat, _files_in(folder))}.values())


def restore(settings: Settings, folder: Path) -> None:
    """Put a backup into a home that has no state.

    Raises: InputError when the folder is not a backup, or the home has state; OperationError; OSError.
    """
    if not (folder / "warehouse.duckdb").is_file():
        raise InputError(f"{folder} is not a backup: it has no warehouse.duckdb")
    if is_leased(settings.home):
        raise OperationError(f"the UI or a run is using {settings.home}. Stop it first; nothing was restored")
    found = [path for path in find_state(settings) if not _is_lock(path)]
    if found:
        names = ", ".join(path.name for path in found)
        raise InputError(
            f"{settings.home} has state ({names}). Remove it first with netflix-assets reset, or restore into another "
            "NETFLIX_HOME"
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        target = settings.home / path.name
        if path.is_dir():
            shutil.copytree(path, target, symlinks=True, copy_function=_keeping_links(shutil.copy2))
        else:
            shutil.copy2(path, target)


def _is_lock(path: Path) -> bool:
    return path.name.endswith((".lock", ".lease"))


def _files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _copy_tree(source: Path, target: Path) -> None:
    if source.exists():
        shutil.copytree(source, target, symlinks=True, copy_function=_keeping_links(_copy), ignore=_skipped)


def _keeping_links(copy: Callable[[str, str], object]) -> Callable[[str, str], None]:
    """Copy files that published versions share once, and link to the copy where the file system allows it."""
    copies: dict[tuple[int, int, int, int], str] = {}

    def copy_or_link(source: str, target: str) -> None:
        with suppress(FileNotFoundError):  # removed meanwhile, which ``copy`` handles
            found = Path(source).stat()
            identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            first = copies.setdefault(identity, target)
            if found.st_nlink > 1 and first != target:
                with suppress(OSError):
                    Path(target).hardlink_to(first)
                    return
        copy(source, target)

    return copy_or_link


def _skipped(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith(_SKIPPED)}


def _copy(source: str, target: str) -> None:
    """Copy a file that may be in use: SQLite databases by their own means, others once they keep still."""
    try:
        with Path(source).open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
        _copy_database(source, target) if is_database else _copy_settled(Path(source), Path(target))
    except FileNotFoundError:  # removed meanwhile: by retention, or by a run that has ended
        return


def _copy_database(source: str, target: str) -> None:
    with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(target)) as copy:
        database.backup(copy)


def _copy_settled(source: Path, target: Path) -> None:
    """Copy a file until its size and time are the same before and after: it may still be being written."""
    for _ in range(_TRIES):
        before = source.stat()
        shutil.copy2(source, target)
        after = source.stat()
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return
        time.sleep(1)
    raise OperationError(f"{source} keeps changing. Run the backup again when it is complete")
