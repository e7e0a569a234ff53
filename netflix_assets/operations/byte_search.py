"""Search files for texts, byte by byte, whatever their format."""

import html
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_CHUNK = 2**24


def files_with(folder: Path, texts: Sequence[str], skipped: Sequence[Path] = ()) -> Iterator[Path]:
    """The files in a folder that contain one of the texts, in UTF-8, also as JSON or HTML escapes it; in order.

    ``skipped``: folders that are not searched. What is compressed is not found. Files that vanish are left out.
    """
    if not texts:
        return
    forms = sorted({form.encode() for text in texts for form in (text, json.dumps(text)[1:-1], html.escape(text))})
    pattern = re.compile(b"|".join(map(re.escape, forms)))
    overlap = max(map(len, forms)) - 1
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or any(path.is_relative_to(each) for each in skipped):
            continue
        if _contains(path, pattern, overlap):
            yield path


def _contains(path: Path, pattern: re.Pattern[bytes], overlap: int) -> bool:
    try:
        with path.open("rb") as file:
            end = b""
            while chunk := file.read(_CHUNK):
                if pattern.search(end + chunk):
                    return True
                end = (end + chunk)[-overlap:] if overlap else b""
    except FileNotFoundError:
        pass
    return False
