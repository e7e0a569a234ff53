"""Where generated sample files go."""

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

from netflix_assets.operations.errors import InputError


def move_samples(drafts: Sequence[Path], folder: Path) -> list[Path]:
    """Move generated files into a folder (created if missing) and return their new paths.

    Raises: InputError, before anything is moved, when a file of that name exists there with other content.
    """
    for draft in drafts:
        existing = folder / draft.name
        if existing.exists() and not filecmp.cmp(draft, existing, shallow=False):
            raise InputError(f"{existing} already exists with other content. Choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.move(draft, folder / draft.name)) for draft in drafts]
