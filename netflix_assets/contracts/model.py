"""The contract model: the structure of ``contracts/*.yaml``, and the names and object keys that follow from it."""

import codecs
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9_]*")
_MAX_DIGITS = 38  # of a decimal in both warehouses
# Characters of a text whose column sets no `max_length`: more than any title, name or plot, less than a file of records
# that an unclosed quote has swallowed.
DEFAULT_MAX_LENGTH = 65_536
_TYPE = re.compile(r"integer|bigint|double|boolean|date|timestamp|text|decimal\(([0-9]+),([0-9]+)\)")


# Valid values of ``encoding`` in a contract. Python's aliases of them (cp1252, ISO-8859-1) are accepted too.
ENCODINGS = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "windows-1252", "windows-1250", "windows-1251",
    "iso-8859-2", "iso-8859-15", "cp437", "cp850", "mac-roman", "shift_jis", "gb18030", "big5", "euc-kr",
)  # fmt: skip
_ENCODING_NAMES = {codecs.lookup(name).name: name for name in ENCODINGS}


def _snake_case(name: str) -> str:
    if not _SNAKE_CASE.fullmatch(name):
        raise ValueError(f"'{name}' is not snake_case (lowercase letters, digits and _)")
    return name


# Words that cannot be an unquoted column name in both warehouses.
_RESERVED = frozenset({
    "all", "alter", "and", "any", "as", "asc", "between", "by", "case", "cast", "check", "column", "connect",
    "constraint", "create", "cross", "current", "delete", "desc", "distinct", "drop", "else", "end", "except",
    "exists", "false", "following", "for", "foreign", "from", "full", "grant", "group", "having", "ilike", "in",
    "increment", "inner", "insert", "intersect", "into", "is", "join", "lateral", "left", "like", "limit", "minus",
    "natural", "not", "null", "of", "offset", "on", "or", "order", "outer", "primary", "qualify", "references",
    "regexp", "revoke", "right", "rlike", "row", "rows", "sample", "select", "set", "some", "start", "table",
    "tablesample", "then", "to", "trigger", "true", "try_cast", "union", "unique", "update", "using", "values",
    "view", "when", "whenever", "where", "window", "with",
})  # fmt: skip
_TEMPLATE_NAME = re.compile(r"t[0-9]+")  # used by the typing template


def _column_name(name: str) -> str:
    if name in _RESERVED or _TEMPLATE_NAME.fullmatch(name):
        raise ValueError(f"'{name}' is a reserved word; choose another name and put the file's name in source_name")
    return _snake_case(name)


def _column_type(text: str) -> str:
    match = _TYPE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"unknown type '{text}'; use integer, bigint, decimal(p,s), double, boolean, date, timestamp or text"
        )
    if match[1] and not (1 <= int(match[1]) <= _MAX_DIGITS and int(match[2]) <= int(match[1])):
        raise ValueError(f"'{text}' needs 1 to {_MAX_DIGITS} digits, and at most as many after the point")
    return text


def _encoding(name: str) -> str:
    try:
        return _ENCODING_NAMES[codecs.lookup(name).name]
    except LookupError as error:
        raise ValueError(f"unknown encoding '{name}'; use {', '.join(ENCODINGS[:-1])} or {ENCODINGS[-1]}") from error


Name = Annotated[str, AfterValidator(_snake_case)]
ColumnName = Annotated[str, AfterValidator(_column_name)]
Mode = Literal["append", "upsert", "overwrite"]
DeletedObjects = Literal["keep", "remove"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """One column: its name in the tables, its name in the file, and the rules for its values.

    ``min`` and ``max`` are inclusive and in the column's own unit. ``pattern`` is a regular expression that the whole
    text must match, in RE2 syntax, which DuckDB, Snowflake and Python share. ``max_length`` of a text is in characters;
    None allows ``DEFAULT_MAX_LENGTH``. ``showable``: whether values may appear in check metadata and alerts.
    """

    name: ColumnName
    source_name: str = ""
    type: Annotated[str, AfterValidator(_column_type)]
    description: str
    nullable: bool = False
    min: Decimal | None = None
    max: Decimal | None = None
    multiple_of: Decimal | None = None
    values: tuple[str, ...] = ()
    pattern: str | None = None
    max_length: int | None = Field(default=None, gt=0)
    showable: bool = True

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> "Column":
        numeric = self.type in ("integer", "bigint", "double") or self.type.startswith("decimal")
        if not numeric and any(rule is not None for rule in (self.min, self.max, self.multiple_of)):
            raise ValueError(f"column '{self.name}': min, max and multiple_of require a numeric type, not {self.type}")
        if self.max_length is not None and self.type != "text":
            raise ValueError(f"column '{self.name}': max_length requires type text, not {self.type}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(
                    f"column '{self.name}': pattern '{self.pattern}' is not a valid regular expression ({error})"
                ) from error
        return self

    @property
    def file_name(self) -> str:
        """The column's name in the file's header."""
        return self.source_name or self.name

    @property
    def length_limit(self) -> int | None:
        """The longest valid text in characters, None for other types."""
        return (self.max_length or DEFAULT_MAX_LENGTH) if self.type == "text" else None

    @property
    def scale(self) -> int | None:
        """Digits after the point of a decimal column, None for other types."""
        match = _TYPE.fullmatch(self.type)
        return int(match[2]) if match and match[2] else None


class Freshness(_Strict):
    """The age of the newest data, in days, at which to warn and at which to fail."""

    warn_after_days: float = Field(gt=0)
    fail_after_days: float = Field(gt=0)


class Tolerance(_Strict):
    """How many records of an object may be rejected. An object above BOTH bounds is refused as a whole."""

    rejected_rows: int = Field(default=1_000, ge=0)
    rejected_share: float = Field(default=0.01, ge=0, le=1)

    def rejects_allowed(self, record_count: int) -> int:
        """How many of an object's ``record_count`` records may be rejected before it is refused."""
        return max(self.rejected_rows, math.floor(self.rejected_share * record_count))


class Dataset(_Strict):
    """One dataset of a source: a set of CSV objects in the bucket and the raw table that holds their rows.

    ``mode``: ``append`` (every object adds rows), ``upsert`` (like append, but of rows with the same ``key`` the later
    one wins downstream) or ``overwrite`` (the newest object is the whole table). ``encoding``: that of the files;
    validation converts them to UTF-8. ``deleted_objects``: whether the rows of a deleted object stay (``keep``) or
    leave the ``_current`` view (``remove``). An empty listing removes nothing: a wrong bucket is the likelier cause.
    """

    source: Name
    name: Name
    description: str
    mode: Mode
    key: tuple[Name, ...]
    columns: tuple[Column, ...]
    file: str = ""
    longer_files: tuple[str, ...] = ()  # other datasets' files that start with this file name; set by load_source
    optional: bool = False
    # One ASCII character: punctuation other than a quote, a space or a tab.
    delimiter: str = Field(default=",", pattern=r"^[\t !#-/:-@\[-`{-~]$")
    encoding: Annotated[str, AfterValidator(_encoding)] = "utf-8"
    deleted_objects: DeletedObjects = "keep"
    freshness: Freshness
    tolerance: Tolerance = Tolerance()
    owners: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _columns_are_consistent(self) -> "Dataset":
        for kind, names in (
            ("column", [column.name for column in self.columns]),
            ("file column", [column.file_name for column in self.columns]),
        ):
            duplicates = sorted({name for name in names if names.count(name) > 1})
            if duplicates:
                raise ValueError(f"duplicate {kind} '{duplicates[0]}'")
        if self.mode == "overwrite" and self.deleted_objects == "remove":
            raise ValueError("deleted_objects: remove does not fit mode: overwrite, which never empties its table")
        unknown = sorted(set(self.key) - {column.name for column in self.columns})
        if unknown:
            raise ValueError(f"key column '{unknown[0]}' is not one of the columns")
        return self

    @property
    def id(self) -> str:
        """The dataset's name in the ledger and in messages: ``movielens/ratings``."""
        return f"{self.source}/{self.name}"

    @property
    def table(self) -> str:
        """The raw table without its schema: ``movielens_ratings``."""
        return f"{self.source}_{self.name}"

    @property
    def file_stem(self) -> str:
        """The start of the dataset's file names: ``genome-tags`` for ``genome-tags.csv``."""
        return self.file or self.name

    @property
    def file_names(self) -> str:
        """The allowed file names, for messages: ``tags.csv, tags-<anything>.csv (also .csv.gz)``."""
        return f"{self.file_stem}.csv, {self.file_stem}-<anything>.csv (also .csv.gz)"

    @property
    def key_prefix(self) -> str:
        """The prefix of every object key of the dataset. Keys of other datasets may share it."""
        return f"{self.source}/{self.file_stem}"

    @cached_property
    def _object_key(self) -> re.Pattern[str]:
        # <source>/<file>.csv, <source>/<file>-<anything>.csv, <source>/<file>/<anything>.csv, each also .csv.gz
        longer = "|".join(re.escape(stem.removeprefix(self.file_stem)) for stem in self.longer_files)
        unless_longer = rf"(?!(?:{longer})(?:[-/.]|$))" if longer else ""
        return re.compile(rf"{re.escape(self.key_prefix)}{unless_longer}(-[^/]*|/.+)?\.csv(\.gz)?", re.DOTALL)

    def owns_key(self, key: str) -> bool:
        """Whether an object with this key (without the bucket's prefix) belongs to the dataset."""
        return self._object_key.fullmatch(key) is not None


class Source(_Strict):
    """A source: all datasets of one supplier."""

    source: Name
    description: str
    owners: tuple[str, ...] = ()
    datasets: tuple[Dataset, ...]

    def dataset_of(self, key: str) -> Dataset | None:
        """The dataset that an object with this key belongs to; None when there is none."""
        return next((dataset for dataset in self.datasets if dataset.owns_key(key)), None)


def all_datasets(sources: Iterable[Source]) -> list[Dataset]:
    """The datasets of all sources, in the order in which the contracts list them."""
    return [dataset for source in sources for dataset in source.datasets]
