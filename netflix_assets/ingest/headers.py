"""Compare the names in a file with the contract's columns."""

from collections import Counter
from collections.abc import Collection, Sequence

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError

_MAX_NAMES, _MAX_NAME_LENGTH = 10, 60  # columns that a reason lists, characters of each


def compare_header(header: Sequence[str], dataset: Dataset) -> tuple[tuple[int | None, ...], tuple[str, ...]]:
    """The position of each contract column in the file, and warnings about columns that are not in the contract.

    Raises: RefusedError when a column is missing or duplicated.
    """
    if not dataset.dialect.header:
        return dataset.positions, ()
    found = Counter(header)  # in file order
    # Unnamed columns are ignored, however many: spreadsheets add them after the last column.
    duplicates = [name for name, count in found.items() if count > 1 and name]
    if duplicates:
        raise RefusedError(f"duplicate {quoted_columns(sorted(duplicates))} in the header")
    names = [_name_in(found, column) for column in dataset.columns]
    expected = [column.file_name for column in dataset.columns]
    missing = [
        column.file_name
        for column, name in zip(dataset.columns, names, strict=True)
        if name is None and column.default is None
    ]
    unknown = [name for name in found if name not in names]
    if missing:
        raise RefusedError(missing_reason("the header", missing, unknown, expected, dataset.dialect.delimiter))
    positions = {name: position for position, name in enumerate(header)}
    return tuple(None if name is None else positions[name] for name in names), unknown_warnings(unknown)


def _name_in(header: Collection[str], column: Column) -> str | None:
    """The column's name in this header. Raises: RefusedError when the header has two of its names."""
    found = [name for name in column.file_names if name in header]
    if len(found) > 1:
        raise RefusedError(f"{quoted_columns(found)} in the header are the same column of the contract, {column.name}")
    return found[0] if found else None


def missing_reason(
    where: str, missing: Sequence[str], unknown: Sequence[str], expected: Sequence[str], delimiter: str = ","
) -> str:
    """Why a file without these columns is refused."""
    hint = f" and has unknown {quoted_columns(unknown)}" if unknown else ""
    return f"{where} is missing {quoted_columns(missing)}{hint}; expected: {delimiter.join(expected)}"


def unknown_warnings(unknown: Sequence[str], noun: str = "column") -> tuple[str, ...]:
    """What the person who sent the file should know about columns that are not in the contract."""
    verb = "is" if len(unknown) == 1 else "are"
    return (f"{quoted_columns(unknown, noun)} {verb} not in the contract; ignored",) if unknown else ()


def quoted_columns(names: Sequence[str], noun: str = "column") -> str:
    """``columns 'a', 'b' and 3 more``."""
    shown = [name if len(name) <= _MAX_NAME_LENGTH else name[:_MAX_NAME_LENGTH] + "…" for name in names[:_MAX_NAMES]]
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return f"{noun if len(names) == 1 else f'{noun}s'} {', '.join(map(repr, shown))}{more}"
