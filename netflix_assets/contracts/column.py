"""One column of a contract: its name in the tables, where it is in the file, and the rules for its values."""

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from netflix_assets.contracts.dialect import ValueOptions, check_time_format

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9_]*")
_MAX_DIGITS = 38  # of a decimal in both warehouses
# Characters of a text whose column sets no `max_length`: more than any title, name or plot, less than a file of records
# that an unclosed quote has swallowed.
DEFAULT_MAX_LENGTH = 65_536
_POINTER = re.compile(r"(/([^~/]|~[01])*)+")
_TYPE = re.compile(r"integer|bigint|double|boolean|date|timestamp|text|json|decimal\(([0-9]+),([0-9]+)\)")


def _snake_case(name: str) -> str:
    if not _SNAKE_CASE.fullmatch(name):
        raise ValueError(f"'{name}' is not snake_case (lowercase letters, digits and _)")
    return name


# Words that cannot be an unquoted column name in both warehouses.
_RESERVED = frozenset({
    "all", "alter", "analyse", "analyze", "and", "anti", "any", "array", "as", "asc", "asof", "asymmetric", "at",
    "authorization", "between", "binary", "both", "by", "case", "cast", "check", "collate", "collation", "column",
    "concurrently", "connect", "constraint", "create", "cross", "current", "default", "deferrable", "delete",
    "desc", "describe", "distinct", "do", "drop", "else", "end", "except", "exists", "false", "fetch", "following",
    "for", "foreign", "freeze", "from", "full", "glob", "grant", "group", "having", "ilike", "in", "increment",
    "initially", "inner", "insert", "intersect", "into", "is", "isnull", "join", "lambda", "lateral", "leading",
    "left", "like", "limit", "minus", "natural", "not", "notnull", "null", "of", "offset", "on", "only", "or",
    "order", "outer", "overlaps", "pivot", "pivot_longer", "pivot_wider", "placing", "positional", "primary",
    "qualify", "references", "regexp", "returning", "revoke", "right", "rlike", "row", "rows", "sample", "select",
    "semi", "set", "show", "similar", "some", "start", "summarize", "symmetric", "table", "tablesample", "then",
    "to", "trailing", "trigger", "true", "try_cast", "union", "unique", "unpack", "unpivot", "update", "using",
    "values", "variadic", "verbose", "view", "when", "whenever", "where", "window", "with",
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
            f"unknown type '{text}'; use integer, bigint, decimal(p,s), double, boolean, date, timestamp, text or json"
        )
    if match[1] and not (1 <= int(match[1]) <= _MAX_DIGITS and int(match[2]) <= int(match[1])):
        raise ValueError(f"'{text}' needs 1 to {_MAX_DIGITS} digits, and at most as many after the point")
    return text


Name = Annotated[str, AfterValidator(_snake_case)]
ColumnName = Annotated[str, AfterValidator(_column_name)]


def _pointer(text: str) -> str:
    if text and not _POINTER.fullmatch(text):
        raise ValueError(f"'{text}' is not a JSON Pointer (RFC 6901), such as /customer/address/city")
    return text


Pointer = Annotated[str, AfterValidator(_pointer)]


class Column(ValueOptions):
    """One column: its name in the tables, where it is in the file, how its values are written, and the rules for them.

    Rules apply to the value, not to how it is written: ``min: 0.5`` whatever the ``decimal_char``.
    """

    name: ColumnName = Field(description="Name in the tables, in snake_case.")
    source_name: str = Field(default="", description="Name in the file. Default: `name`.")
    aliases: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Other names that the file may have for it."
    )
    position: int | None = Field(
        default=None,
        gt=0,
        description="Number of the field, from 1, in a file without a header. Default: after the column before.",
    )
    path: Pointer | None = Field(
        default=None,
        description="Where the value is in a JSON or Parquet record, as a JSON Pointer. Default: `/source_name`.",
    )
    rest: bool = Field(
        default=False, description="The fields that no other column reads, as one JSON object. Requires type json."
    )
    type: Annotated[str, AfterValidator(_column_type)] = Field(
        description="integer, bigint, decimal(p,s), double, boolean, date, timestamp, text or json."
    )
    description: str = Field(description="What the column is; it becomes the description in dbt and Dagster.")
    nullable: bool = Field(default=False, description="Whether a value may be missing.")
    default: str | None = Field(
        default=None,
        description="Value of all records of a file that does not have the column. An empty text: no value. "
        "Rows loaded before the column was added have none, until `netflix-assets rebuild`.",
    )
    format: str | None = Field(
        default=None,
        description="How a date or timestamp is written: a strptime pattern, or epoch_s, epoch_ms, epoch_us.",
    )
    min: Decimal | None = Field(default=None, description="Smallest valid number.")
    max: Decimal | None = Field(default=None, description="Largest valid number.")
    multiple_of: Decimal | None = Field(default=None, description="Valid numbers are multiples of it.")
    values: tuple[str, ...] = Field(default=(), description="The valid values.")
    pattern: str | None = Field(
        default=None, description="A regular expression in RE2 syntax that the whole value must match."
    )
    max_length: int | None = Field(
        default=None, gt=0, description=f"Longest valid text, in characters. Default: {DEFAULT_MAX_LENGTH:,}."
    )
    showable: bool = Field(default=True, description="Whether values may appear in check metadata and alerts.")
    protect: Literal["hash", "mask"] | None = Field(
        default=None,
        description="What leaves the database in place of the value. hash: HMAC-SHA256 with NETFLIX_HASH_KEY, so that "
        "equal values stay equal. mask: the last four characters. Requires an extract, and type text.",
    )
    identifies: Literal["user"] | None = Field(
        default=None,
        description="The kind of person that the value names: user. `netflix-assets erase --user` removes that "
        "person's rows. Requires type integer, bigint or text.",
    )

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> "Column":
        if not self.is_numeric and any(rule is not None for rule in (self.min, self.max, self.multiple_of)):
            raise ValueError(f"column '{self.name}': min, max and multiple_of require a numeric type, not {self.type}")
        if self.max_length is not None and not self.is_text:
            raise ValueError(f"column '{self.name}': max_length requires type text or json, not {self.type}")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(
                    f"column '{self.name}': pattern '{self.pattern}' is not a valid regular expression ({error})"
                ) from error
        return self

    @model_validator(mode="after")
    def _options_fit_the_type(self) -> "Column":
        is_boolean, is_timestamp = self.type == "boolean", self.type == "timestamp"
        is_whole = self.type in ("integer", "bigint")
        for option, fits, wanted in (
            ("decimal_char", self.is_numeric, "a numeric type"),
            ("group_char", self.is_numeric, "a numeric type"),
            ("decimal_zeros", is_whole, "type integer or bigint"),
            ("true_values", is_boolean, "type boolean"),
            ("false_values", is_boolean, "type boolean"),
            ("time_zone", is_timestamp, "type timestamp"),
            ("format", is_timestamp or self.type == "date", "type date or timestamp"),
            ("rest", self.type == "json", "type json"),
            ("protect", self.type == "text", "type text"),
            ("identifies", is_whole or self.type == "text", "type integer, bigint or text"),
        ):
            if getattr(self, option) and not fits:
                raise ValueError(f"column '{self.name}': {option} requires {wanted}, not {self.type}")
        if self.format is not None:
            try:
                check_time_format(self.format, with_time=is_timestamp)
            except ValueError as error:
                raise ValueError(f"column '{self.name}': {error}") from error
        if self.rest and self.path is not None:
            raise ValueError(f"column '{self.name}': rest and path exclude each other")
        if self.default == "" and not self.nullable:
            raise ValueError(f"column '{self.name}': an empty default requires nullable: true")
        return self

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers."""
        return self.type in ("integer", "bigint", "double") or self.type.startswith("decimal")

    @property
    def is_text(self) -> bool:
        """Whether the tables hold the value as it is, as text."""
        return self.type in ("text", "json")

    @property
    def file_name(self) -> str:
        """The column's name in the file's header."""
        return self.source_name or self.name

    @property
    def file_names(self) -> tuple[str, ...]:
        """All names that the file may have for the column, the usual one first."""
        return (self.file_name, *self.aliases)

    @property
    def pointer(self) -> str:
        """Where the value is in a JSON or Parquet record, as a JSON Pointer."""
        if self.path is not None:
            return self.path
        return "/" + self.file_name.replace("~", "~0").replace("/", "~1")

    @property
    def length_limit(self) -> int | None:
        """The longest valid text in characters, None for other types."""
        return (self.max_length or DEFAULT_MAX_LENGTH) if self.is_text else None

    @property
    def scale(self) -> int | None:
        """Digits after the point of a decimal column, None for other types."""
        match = _TYPE.fullmatch(self.type)
        return int(match[2]) if match and match[2] else None
