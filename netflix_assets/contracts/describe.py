"""A contract entry in words, for people. Pure functions."""

from collections.abc import Iterator

from netflix_assets.contracts.column import DEFAULT_MAX_LENGTH, Column
from netflix_assets.contracts.dialect import TableDialect, ValueOptions
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import counted

_MODES = {
    "append": "append: every file adds rows",
    "upsert": "upsert: every file adds rows; of rows with the same key, one wins in core",
    "overwrite": "overwrite: the newest file is the whole table",
}
_NAMES = {"\t": "TAB", " ": "space", "\N{NO-BREAK SPACE}": "no-break space"}


def describe_dataset(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """The options of a dataset as (name, text), in the order of reading."""
    yield "description", dataset.description
    yield "files", f"s3/{dataset.source}/: {dataset.file_names}"
    yield "format", dataset.format if dataset.format == "parquet" else f"{dataset.format}, {dataset.encoding}"
    yield "dialect", "; ".join(describe_dialect(dataset)) or "default"
    yield "mode", _MODES[dataset.mode]
    yield "key", ", ".join(dataset.key) or "none"
    fresh = dataset.freshness
    yield "freshness", f"warns after {fresh.warn_after_days:g} days, fails after {fresh.fail_after_days:g}"
    limit = dataset.tolerance
    yield (
        "tolerance",
        f"a file is refused above {limit.rejected_rows:,} rejects and {limit.rejected_share:.1%} of its records",
    )
    yield "owners", ", ".join(dataset.owners) or "none"


def describe_dialect(dataset: Dataset) -> Iterator[str]:
    """How the files are written, as far as it differs from the default."""
    dialect = dataset.dialect
    if dataset.format == "csv":
        yield f"fields separated by {character_name(dialect.delimiter)}"
        yield "no quoting" if dialect.quote_char is None else f"quoted by {dialect.quote_char}"
        yield _header(dialect)
    default = TableDialect()
    shown = {"delimiter", "quote_char", "header", "header_rows"}
    for option in TableDialect.model_fields:
        value = getattr(dialect, option)
        if option not in shown and value != getattr(default, option):
            yield f"{option} {_value(value)}"


def _header(dialect: TableDialect) -> str:
    if not dialect.header:
        return "no header: columns go by position"
    rows = dialect.header_rows
    if rows == (1,):
        return "header in line 1"
    return f"header in line {rows[0]}" if len(rows) == 1 else f"header in lines {rows[0]} to {rows[-1]}"


def describe_column(dataset: Dataset, column: Column) -> tuple[str, str, str, str]:
    """Name, where it is in the file, type with its rules, and what a missing or a wrong value does."""
    missing = "no value" if column.nullable else "record rejected"
    texts = dataset.value_options(column).missing_values
    tokens = f" (also {', '.join(map(repr, texts))})" if texts else ""
    rules = "; ".join([column.type, *_rules(dataset, column)])
    wrong = "record rejected" if column.type != "text" or _has_rules(column) else _any_text(column)
    return column.name, _place(dataset, column), rules, f"missing{tokens}: {missing}; wrong: {wrong}"


def _any_text(column: Column) -> str:
    return f"only if longer than {counted(column.max_length or DEFAULT_MAX_LENGTH, 'character')}"


def _has_rules(column: Column) -> bool:
    return bool(column.values or column.pattern)


def _place(dataset: Dataset, column: Column) -> str:
    if dataset.format != "csv":
        return "all other fields" if column.rest else column.pointer
    if not dataset.dialect.header:
        return f"field {dataset.positions[dataset.columns.index(column)] + 1}"
    return " or ".join(column.file_names)


def _rules(dataset: Dataset, column: Column) -> Iterator[str]:
    for option in ("min", "max", "multiple_of", "pattern", "max_length"):
        value = getattr(column, option)
        if value is not None:
            yield f"{option} {value}"
    if column.values:
        yield f"one of {', '.join(column.values)}"
    form = dataset.time_format(column)
    if form:
        yield f"written as {form}"
    for option in ValueOptions.model_fields:
        value = getattr(column, option)
        if value is not None and option != "missing_values":
            yield f"{option} {_value(value)}"
    if column.default is not None:
        yield f"{column.default!r} if the file does not have the column"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(repr, value))
    return character_name(value) if isinstance(value, str) and len(value) == 1 else str(value)


def character_name(text: str) -> str:
    """A separator or another character as people call it: ``TAB``, ``0x01``, ``';'``."""
    if text in _NAMES:
        return _NAMES[text]
    return f"'{text}'" if text.isprintable() else " ".join(f"0x{ord(each):02X}" for each in text)
