"""How a dataset's files are written, in the words of Frictionless' Table Dialect and Table Schema.

https://specs.frictionlessdata.io/csv-dialect/ and https://specs.frictionlessdata.io/table-schema/ define the options of
the same names in camelCase. ``footer_rows``, ``field_count``, ``date_format``, ``timestamp_format``, ``time_zone`` and
``decimal_zeros`` are additions.
"""

import re
import zoneinfo
from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

EPOCHS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000}  # format -> units in a second
_DIRECTIVE = re.compile("%(.)")
_DATE_DIRECTIVES = frozenset("YymbBdj")
_TIME_DIRECTIVES = frozenset("HIpMSfz")


class Strict(BaseModel):
    """A part of a contract: unknown options are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_character(text: str) -> str:
    if len(text) != 1 or text in "\r\n\0":
        raise ValueError(f"{text!r} is not one character")
    return text


def _separator(text: str) -> str:
    if not text or any(character in "\r\n\0\ufeff" for character in text):
        raise ValueError(f"{text!r} cannot separate fields")
    return text


def _time_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone '{name}'; use a name such as Europe/Berlin") from error
    return name


def check_time_format(text: str, *, with_time: bool) -> str:
    """Check a date or timestamp format: a pattern for ``strptime``, or one of ``EPOCHS``.

    Raises: ValueError when it has an unknown directive, or does not determine a date (and a time of day).
    """
    if text in EPOCHS:
        return text
    used = Counter(_DIRECTIVE.findall(text.replace("%%", "")))
    allowed = _DATE_DIRECTIVES | (_TIME_DIRECTIVES if with_time else frozenset())
    for directive, count in used.items():
        if directive not in allowed:
            raise ValueError(f"format '{text}': unknown directive %{directive}; use %{', %'.join(sorted(allowed))}")
        if count > 1:
            raise ValueError(f"format '{text}': %{directive} appears twice")
    has_day = "j" in used or ("d" in used and used.keys() & set("mbB"))
    has_time = not with_time or "H" in used or used.keys() >= set("Ip")
    if not (used.keys() & set("Yy") and has_day and has_time):
        wanted = "year, month, day and hour" if with_time else "year, month and day"
        raise ValueError(f"format '{text}' does not determine {wanted}; use for example {_EXAMPLES[with_time]}")
    return text


_EXAMPLES = {False: "%d.%m.%Y", True: "%Y-%m-%d %H:%M:%S or epoch_ms"}

Character = Annotated[str, AfterValidator(_one_character)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]


class ValueOptions(Strict):
    """How values are written. A dialect sets them for all columns, a column for itself; None leaves them unchanged."""

    missing_values: tuple[str, ...] | None = Field(
        default=None, description="Texts that mean: no value. An empty field always does."
    )
    decimal_char: Character | None = Field(default=None, description="The decimal point of numbers. Default: `.`")
    group_char: Character | None = Field(
        default=None, description="What separates groups of three digits. Default: nothing."
    )
    true_values: tuple[str, ...] | None = Field(
        default=None, description="Texts that mean true. Default: true, True, TRUE.", min_length=1
    )
    false_values: tuple[str, ...] | None = Field(
        default=None, description="Texts that mean false. Default: false, False, FALSE.", min_length=1
    )
    time_zone: TimeZone | None = Field(
        default=None,
        description="Where timestamps without an offset were written. They are stored in UTC. Times that a change of "
        "the clocks skips or repeats are rejected.",
    )
    decimal_zeros: bool | None = Field(
        default=None,
        description="Accept whole numbers written with zeros after the point: `862.0` in an integer column.",
    )

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        if self.group_char is not None and self.group_char == self.decimal_char:
            raise ValueError(f"decimal_char and group_char are both {self.group_char!r}")
        for name in ("decimal_char", "group_char"):
            character = getattr(self, name)
            if character is not None and (character.isalnum() or character in "+-"):
                raise ValueError(f"{name} {character!r} can be part of a number")
        both = sorted({*(self.true_values or ())} & {*(self.false_values or ())})
        if both:
            raise ValueError(f"'{both[0]}' is in true_values and in false_values")
        return self


class TableDialect(ValueOptions):
    """How a dataset's files are written. Only ``missing_values`` and the options after it apply to JSON and Parquet."""

    delimiter: Annotated[str, AfterValidator(_separator)] = Field(
        default=",", description="What separates fields. More than one character requires `quote_char: null`."
    )
    quote_char: Character | None = Field(
        default='"',
        description="What encloses a field. A quote in it is doubled. null: quotes are ordinary characters.",
    )
    escape_char: Character | None = Field(
        default=None, description="The character after it is ordinary text: a delimiter, a quote, a line ending."
    )
    skip_initial_space: bool = Field(
        default=False, description="Ignore spaces after a delimiter and at the start of a line."
    )
    header: bool = Field(default=True, description="false: no header; columns are found by position.")
    header_rows: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1,),
        min_length=1,
        description="Numbers of the lines with the header, from 1. Lines above are skipped. The names of several "
        "lines are joined with a space.",
    )
    field_count: int | None = Field(
        default=None, gt=0, description="Fields in a record of a file without a header. Default: up to the last column."
    )
    comment_char: Annotated[str, AfterValidator(_separator)] | None = Field(
        default=None, description="Lines that start with it are skipped."
    )
    footer_rows: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="Lines at the end that are not records. A valid record there refuses the file.",
    )
    date_format: str | None = Field(
        default=None, description="How dates are written: a pattern, or epoch_s, epoch_ms, epoch_us."
    )
    timestamp_format: str | None = Field(
        default=None, description="How timestamps are written: a pattern, or epoch_s, epoch_ms, epoch_us."
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self._check_characters()
        if self.date_format is not None:
            check_time_format(self.date_format, with_time=False)
        if self.timestamp_format is not None:
            check_time_format(self.timestamp_format, with_time=True)
        if not self.header and self.header_rows != (1,):
            raise ValueError("header_rows requires header: true")
        if self.header and self.field_count is not None:
            raise ValueError("field_count requires header: false; with a header, its fields are counted")
        if any(later != row + 1 for row, later in zip(self.header_rows, self.header_rows[1:], strict=False)):
            raise ValueError("header_rows must follow each other, such as [2, 3]")
        return self

    def _check_characters(self) -> None:
        if len(self.delimiter) > 1 and (self.quote_char is not None or self.escape_char is not None):
            raise ValueError(
                f"delimiter {self.delimiter!r} has several characters, which requires quote_char: null "
                "(and no escape_char)"
            )
        if self.delimiter.isalnum():
            raise ValueError(f"delimiter {self.delimiter!r} can be part of a value")
        roles = {
            "delimiter": self.delimiter,
            "quote_char": self.quote_char,
            "escape_char": self.escape_char,
            "comment_char": self.comment_char,
        }
        given = [(name, text) for name, text in roles.items() if text is not None]
        for at, (name, text) in enumerate(given):
            for other, same in given[at + 1 :]:
                if text == same:
                    raise ValueError(f"{name} and {other} are both {text!r}")
        if self.skip_initial_space and self.delimiter == " ":
            raise ValueError("skip_initial_space does not fit delimiter ' '")
        if (
            self.quote_char is None
            and self.escape_char is None
            and self.delimiter in (self.decimal_char, self.group_char)
        ):
            raise ValueError(
                f"numbers contain {self.delimiter!r}, which separates fields, and files have neither quote_char nor "
                "escape_char"
            )


# The options that say how fields and lines are separated; the others say how values are written.
LAYOUT_OPTIONS = (
    TableDialect.model_fields.keys() - ValueOptions.model_fields.keys() - {"date_format", "timestamp_format"}
)

Format = Literal["csv", "jsonl", "json", "parquet"]
EXTENSIONS: dict[Format, tuple[str, ...]] = {
    "csv": ("csv", "tsv", "txt"),
    "jsonl": ("jsonl", "ndjson", "json"),
    "json": ("json",),
    "parquet": ("parquet", "pq"),
}
COMPRESSIONS = ("gz", "zst", "bz2", "zip")
