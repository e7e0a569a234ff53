"""Names for datasets and columns, made from file names and headers. Pure functions."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from netflix_assets.contracts.column import ColumnName
from netflix_assets.contracts.dialect import COMPRESSIONS

_NAME = TypeAdapter(ColumnName)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Dates, times and numbers of deliveries at the end of a file name: _2024-03, -20240301, (2), _v2.
_DELIVERY = re.compile(
    r"([-_. ]+(v?[0-9]{1,14}|\([0-9]+\)|[0-9]{4}[-_.][0-9]{1,2}([-_.][0-9]{1,2})?))+$", re.IGNORECASE
)
# Columns that are probably made to tell records apart.
NAMED_ID = re.compile(r"(^|_)(id|uuid|guid|key|code|no|nr|num|number|nummer|ref|isin|iban|sku|ean)$")
_SAFE_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def snake_case(text: str) -> str:
    """The text as a snake_case name; empty where it has no Latin letter to start with."""
    words = _WORDS.sub("_", text)
    plain = unicodedata.normalize("NFKD", words.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_").lstrip("0123456789_")


def column_names(header: Sequence[str]) -> list[str]:
    """A valid and different column name for each name of a header; ``column_<n>`` where it has no usable letters."""
    names: list[str] = []
    for number, text in enumerate(header, start=1):
        name = snake_case(text) or f"column_{number}"
        if not _is_valid(name):
            name += "_"
        names.append(_unique(name, names))
    return names


def _is_valid(name: str) -> bool:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def _unique(name: str, taken: Iterable[str]) -> str:
    used, count, found = set(taken), 1, name
    while found in used:
        count += 1
        found = f"{name.rstrip('_')}_{count}"
    return found


def split_extension(name: str) -> tuple[str, str]:
    """A file's name without its extensions, and its extension without the point and without that of a compression."""
    stem = name
    suffix = Path(stem).suffix
    if suffix.lower().removeprefix(".") in COMPRESSIONS:
        stem = stem.removesuffix(suffix)
        suffix = Path(stem).suffix
    return stem.removesuffix(suffix), suffix.removeprefix(".").lower()


def common_stem(paths: Sequence[Path]) -> str:
    """What the names of deliveries have in common: ``sales`` for sales-2024-01.csv and sales-2024-02.csv.gz."""
    stems = {_DELIVERY.sub("", split_extension(path.name)[0]) for path in paths}
    if len(stems) == 1:
        return stems.pop()
    first, last = min(stems), max(stems)
    shared = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:shared].rstrip("-_. ") or first


def is_safe_stem(stem: str) -> bool:
    """Whether file names of a dataset can start with this text."""
    return _SAFE_STEM.fullmatch(stem) is not None
