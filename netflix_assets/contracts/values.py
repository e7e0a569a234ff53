"""Check values against their column's type and rules.

The forms are regular expressions that Python, DuckDB and Snowflake interpret alike. The warehouses use them in SQL to
accept records (``warehouse/typing.py``); Python uses them to explain what is wrong with the others
(``ingest/rejects.py``). A load commits only when both agree on every record.
"""

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Context, Decimal
from functools import lru_cache

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.conversion import Conversion, ConversionError

_NUMBER = "([0-9]+([.][0-9]*)?|[.][0-9]+)"
_YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"  # the calendar has no year 0000
_DATE = f"{_YEAR}-[0-9]{{2}}-[0-9]{{2}}"

# A type cast alone is too lenient. DuckDB casts '2.7' to 3, '0x10' to 16 and '1_000' to 1000, and accepts 'nan', the
# date 'infinity', dates before Christ, and hour 24.
_FORMS = {
    "integer": "[+-]?[0-9]+",
    "bigint": "[+-]?[0-9]+",
    "double": f"[+-]?{_NUMBER}([eE][+-]?[0-9]+)?",
    "boolean": "(true|false|TRUE|FALSE|True|False)",
    "date": _DATE,
    "timestamp": f"{_DATE}[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{{1,6}})?",
}
# How a value of a type can start, for a record that ends too early.
_STARTS = {
    "integer": "[+-]?[0-9]*",
    "bigint": "[+-]?[0-9]*",
    "double": "[+-]?[0-9]*[.]?[0-9]*([eE][+-]?[0-9]*)?",
    "boolean": "[A-Za-z]*",
    "date": "[0-9-]*",
    "timestamp": "[0-9T :.-]*",
}
INTEGER_BOUNDS = {"integer": 2**31, "bigint": 2**63}
_EXACT = Context(prec=100)  # enough for the quotient of any two 38-digit numbers
_MAX_QUOTED = 60  # characters of a value that a reason quotes


def form(column: Column) -> str | None:
    """The regular expression that a whole value of this column must match; None where any text is valid."""
    return form_of(column.type)


def precision(column: Column) -> tuple[int, int] | None:
    """(precision, scale) of a decimal column, None for other types."""
    return _precision(column.type)


# Cached by type: called once per value.
@lru_cache(maxsize=512)
def form_of(type_name: str) -> str | None:
    """The form of a type; None where any text is valid."""
    digits = _precision(type_name)
    if digits is None:
        return _FORMS.get(type_name)
    # Digits beyond the scale must be zeros: others would be rounded, which changes the value.
    fraction = f"[0-9]{{1,{digits[1]}}}0*" if digits[1] else "0+"
    return f"[+-]?([0-9]+([.][0-9]{{0,{digits[1]}}}0*)?|[.]{fraction})"


@lru_cache(maxsize=512)
def _precision(type_name: str) -> tuple[int, int] | None:
    digits = re.findall(r"[0-9]+", type_name)
    return (int(digits[0]), int(digits[1])) if digits else None


def find_fault(column: Column, text: str, conversion: Conversion | None = None) -> str | None:
    """Why ``text`` is not a valid value of this column, for the person who sent the file; None when it is valid.

    ``conversion``: how a file writes the column's values, if it differs from the loadable form.
    """
    problem = _find_problem(column, text, conversion)
    if problem is None:
        return None
    shown = text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…"
    return (
        f"{column.name} {shown!r} {problem}" if text and not is_too_long(column, text) else f"{column.name} {problem}"
    )


def _find_problem(column: Column, text: str, conversion: Conversion | None) -> str | None:
    try:
        value = conversion.convert(text) if conversion and text else text
    except ConversionError as error:
        return str(error)
    if value == "":
        return None if column.nullable else ("means no value, but the column is not nullable" if text else "is empty")
    if is_too_long(column, value):
        return f"has {len(value):,} characters, more than its max_length of {column.length_limit:,}"
    return _type_problem(column, value, conversion.example if conversion else "") or _rule_problem(column, value)


def is_too_long(column: Column, text: str) -> bool:
    """Whether a text has more characters than its column allows; always false for other types."""
    return column.length_limit is not None and len(text) > column.length_limit


def could_start(column: Column, text: str) -> bool:
    """Whether a valid value of this column could start with ``text``, as far as its type and values tell."""
    if column.values:
        return any(value.startswith(text) for value in column.values)
    if column.is_text:
        return True
    return _matches(_STARTS.get(column.type, "[+-]?[0-9]*[.]?[0-9]*"), text)


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)  # as in RE2, \d is 0 to 9


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


def _type_problem(column: Column, text: str, example: str) -> str | None:
    expected = form(column)
    if expected is not None and not _matches(expected, text):
        return f"is not {_article(column.type)} like {example or _example(column)}"
    if column.type in INTEGER_BOUNDS:
        bound = INTEGER_BOUNDS[column.type]
        return None if -bound <= Decimal(text) < bound else f"does not fit {_article(column.type)}"
    digits = precision(column)
    if digits is not None:
        return None if Decimal(text).copy_abs() < 10 ** (digits[0] - digits[1]) else f"does not fit {column.type}"
    if column.type == "double":
        return None if math.isfinite(float(text)) else "does not fit a double"
    if column.type in _CALENDAR:
        return None if _can_parse(_CALENDAR[column.type], text) else f"is not a valid {column.type}"
    return None


_CALENDAR: dict[str, Callable[[str], object]] = {
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}


def _can_parse(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _rule_problem(column: Column, text: str) -> str | None:
    if column.values and text not in column.values:
        return f"is not one of {', '.join(column.values)}"
    if column.pattern is not None and not _matches(column.pattern, text):
        return f"does not match {column.pattern}"
    # Compare doubles as doubles, as the warehouse does, and everything else exactly.
    number = float if column.type == "double" else Decimal
    if column.min is not None and number(text) < number(column.min):
        return f"is below the minimum {column.min}"
    if column.max is not None and number(text) > number(column.max):
        return f"is above the maximum {column.max}"
    if column.multiple_of is not None and not _is_multiple(column, text, column.multiple_of):
        return f"is not a multiple of {column.multiple_of}"
    return None


def _is_multiple(column: Column, text: str, step: Decimal) -> bool:
    if column.type == "double":
        return math.fmod(float(text), float(step)) == 0
    return _EXACT.remainder(Decimal(text), step) == 0


_EXAMPLES = {
    "integer": "42",
    "bigint": "42",
    "double": "4.5",
    "boolean": "true",
    "date": "2026-11-07",
    "timestamp": "2026-11-07 13:45:00",
}


def _example(column: Column) -> str:
    """A valid value, to show in the reason for an invalid one."""
    digits = precision(column)
    if digits is None:
        return _EXAMPLES[column.type]
    whole = "4" if digits[0] > digits[1] else "0"
    return f"{whole}.{'5'.ljust(digits[1], '0')}" if digits[1] else whole


def _article(type_name: str) -> str:
    return f"an {type_name}" if type_name[0] in "aeiou" else f"a {type_name}"
