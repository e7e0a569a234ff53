"""Folders for local copies, gone when their work is done, or at the next work when its process was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent`` for the length of the block; folders that killed processes left there are removed.

    Everything of which the lock can be had is such a leftover: the kernel gives locks up with their process.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _locked(parent, fcntl.LOCK_EX):  # so that nobody sweeps a folder between its making and its locking
            _sweep(parent)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)))
            stack.enter_context(_locked(folder, fcntl.LOCK_EX))
        yield folder


def _sweep(parent: Path) -> None:
    for folder in [path for path in parent.iterdir() if path.is_dir() and not path.is_symlink()]:
        # Held by a process that lives (BlockingIOError), or gone meanwhile because its work was done.
        with suppress(BlockingIOError, FileNotFoundError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
