"""Temporary folders for local copies. They are removed after use, or by the next run if their process was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent``, removed at the end of the block. Also removes what killed processes left there.

    A folder whose lock is free is a leftover: the kernel releases locks when their process ends.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _locked(parent, fcntl.LOCK_EX):  # so that no other process sweeps the folder before it is locked
            _sweep(parent)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=parent)))
            stack.enter_context(_locked(folder, fcntl.LOCK_EX))
        yield folder


def _sweep(parent: Path) -> None:
    for folder in [path for path in parent.iterdir() if path.is_dir() and not path.is_symlink()]:
        # BlockingIOError: a live process holds it. FileNotFoundError: its process has just removed it.
        with suppress(BlockingIOError, FileNotFoundError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path, operation: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, operation)
        yield
    finally:
        os.close(handle)
