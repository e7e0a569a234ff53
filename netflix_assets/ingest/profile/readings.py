"""The readings that a column of texts is tried against: a type, how its values are written, and the SQL that tells."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netflix_assets.contracts.values import form_of
from netflix_assets.warehouse.typing import literal

# Texts that exports write for "no value". The first group means nothing else in any column; the others are words.
PLAIN_MISSING = ("\\N", "NULL", "(null)", "#N/A", "<NA>")
OTHER_MISSING = (
    "null", "Null", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "None", "none", "NONE", "nil", "-", "--", "?", ".",
    "unknown", "n.a.", "k.A.", "missing", "#NV", "#DIV/0!", "#VALUE!", "#REF!",
)  # fmt: skip
MISSING = (*PLAIN_MISSING, *OTHER_MISSING)

TRUE_FALSE = (
    (("yes",), ("no",)), (("Yes",), ("No",)), (("YES",), ("NO",)), (("y",), ("n",)), (("Y",), ("N",)),
    (("t",), ("f",)), (("T",), ("F",)), (("ja",), ("nein",)), (("Ja",), ("Nein",)), (("oui",), ("non",)),
    (("si",), ("no",)), (("sí",), ("no",)), (("on",), ("off",)), (("WAHR",), ("FALSCH",)), (("VRAI",), ("FAUX",)),
)  # fmt: skip

# The most usual first. Where days and months cannot be told apart, both are named.
DATE_FORMATS = (
    "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%b-%Y",
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y",
)  # fmt: skip
COMPACT_DATE = "%Y%m%d"
_TIMES = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
TIMESTAMP_FORMATS = (
    *(f"{day}{gap}{time}" for day in DATE_FORMATS for gap in (" ", "T", ", ") for time in _TIMES),
    *(f"%Y-%m-%d{gap}{time}{zone}" for gap in ("T", " ") for time in _TIMES[:3] for zone in (" %z", " UTC")),
    *(f"%Y-%m-%d{gap}%H:%M{zone}" for gap in ("T", " ") for zone in ("%z", "Z")),
    "%Y%m%d%H%M%S", "%Y%m%d %H%M%S", "%Y%m%dT%H%M%S",
    "%d/%b/%Y:%H:%M:%S %z",
)  # fmt: skip
_DIGITS = {
    "Y": "[0-9]{4}", "y": "[0-9]{2}", "m": "[0-9]{1,2}", "d": "[0-9]{1,2}", "H": "[0-9]{1,2}", "I": "[0-9]{1,2}",
    "M": "[0-9]{2}", "S": "[0-9]{2}", "f": "[0-9]{1,6}", "p": "[AaPp][Mm]", "b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}",
    "z": "([+-][0-9]{2}:?[0-9]{2}|Z)", "j": "[0-9]{3}",
}  # fmt: skip
# Formats without a separator have fixed widths, or their fields could not be told apart.
_FIXED = {**_DIGITS, "m": "[0-9]{2}", "d": "[0-9]{2}", "H": "[0-9]{2}"}

TELLING_TIME = re.compile(r"time|stamp|epoch|date|(^|_)ts($|_)|_at$|_on$|created|updated|modified|unix|datum|zeit|seen")
EPOCH_YEARS = (315_532_800, 4_102_444_800)  # 1980-01-01 and 2100-01-01 in seconds

# (decimal_char, group_char) in the order of trial.
NUMBER_STYLES: tuple[tuple[str, str], ...] = (
    (".", ""), (",", ""), (",", "."), (".", ","), (",", " "), (",", "\N{NO-BREAK SPACE}"), (".", "'"), (".", " "),
    (",", "\N{NARROW NO-BREAK SPACE}"), (".", "_"),
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """A way to read a column's values.

    ``kind``: boolean, integer, number, double, date, timestamp. ``condition``: SQL on the text ``v``. ``pattern``: the
    form alone, to pick readings by a few values. ``options``: of the column. ``style``: (decimal_char, group_char).
    """

    kind: str
    label: str
    pattern: str
    condition: str
    options: dict[str, Any] = field(default_factory=dict)
    style: tuple[str, str] = (".", "")


def readings(name: str) -> Iterator[Reading]:
    """Every reading of a column with this name, the preferred ones first."""
    yield _matching("boolean", "true or false", form_of("boolean") or "")
    for true, false in TRUE_FALSE:
        options = {"true_values": true, "false_values": false}
        yield _matching("boolean", f"{true[0]} or {false[0]}", "|".join((*true, *false)), options)
    if TELLING_TIME.search(name):
        yield _timed("date", COMPACT_DATE)
    # A leading zero is part of a code, not of a number.
    yield _matching("integer", "whole numbers", "[+-]?(0|[1-9][0-9]*)")
    yield _matching(
        "integer", "whole numbers written as 862.0", "[+-]?(0|[1-9][0-9]*)([.]0?)?", {"decimal_zeros": True}
    )
    for form in DATE_FORMATS:
        yield _timed("date", form)
    yield Reading("timestamp", "ISO 8601 without an offset", _ISO, _iso_condition(_ISO))
    offset = "(Z|[+-][0-9]{2}:?[0-9]{2})"
    yield Reading(
        "timestamp",
        "ISO 8601 with an offset",
        f"{_ISO}{offset}?",
        _iso_condition(f"{_ISO}{offset}?"),
        {"time_zone": "UTC"},
    )
    for form in TIMESTAMP_FORMATS:
        yield _timed("timestamp", form)
    for style in NUMBER_STYLES:
        yield _number(style)
    number = "((0|[1-9][0-9]*)([.][0-9]*)?|[.][0-9]+)"
    double = _matching("double", "numbers with exponents", f"[+-]?{number}([eE][+-]?[0-9]{{1,3}})?")
    yield replace(double, condition=f"{double.condition} and isfinite(try_cast(v as double))")  # not 1E400


def _matching(kind: str, label: str, pattern: str, options: dict[str, Any] | None = None) -> Reading:
    return Reading(kind, label, pattern, f"regexp_full_match(v, {literal(pattern)})", options or {})


def _number(style: tuple[str, str]) -> Reading:
    point, group = style
    dot = re.escape(point)
    whole = "(0|[1-9][0-9]*)"
    options: dict[str, Any] = {} if point == "." else {"decimal_char": point}
    if group:
        mark = re.escape(group)
        whole = f"([1-9][0-9]{{0,2}}({mark}[0-9]{{3}})+|0|[1-9][0-9]*)"
        options["group_char"] = group
    pattern = f"[+-]?({whole}({dot}[0-9]*)?|{dot}[0-9]+)"
    grouped = f", groups separated by {group!r}" if group else ""
    condition = f"regexp_full_match(v, {literal(pattern)})"
    return Reading("number", f"numbers with decimal {point!r}{grouped}", pattern, condition, options, style)


def _timed(kind: str, form: str) -> Reading:
    pattern = shape(form)
    parsed = form if "%z" not in form else form.replace(" %z", "%z")
    text = "v" if " %z" not in form else "replace(v, ' ', '')"
    condition = f"regexp_full_match(v, {literal(pattern)})"
    if "%z" in form:
        condition += f" and try_strptime({text}, {literal(parsed)}) is not null" if parsed == form else ""
    else:
        condition += f" and try_strptime(v, {literal(form)}) is not null"
    return Reading(kind, form, pattern, condition, {} if form == "%Y-%m-%d" else {"format": form})


_ISO = form_of("timestamp") or ""


def _iso_condition(pattern: str) -> str:
    return f"regexp_full_match(v, {literal(pattern)}) and try_cast(left(v, 19) as timestamp) is not null"


def shape(form: str) -> str:
    """The regular expression of texts in a time format."""
    widths = _DIGITS if re.search(r"%[a-zA-Z][^%]", form) else _FIXED
    parts = re.split(r"%([a-zA-Z])", form)
    return "".join(widths[part] if at % 2 else re.escape(part) for at, part in enumerate(parts))


def plausible(name: str, values: Sequence[str]) -> list[Reading]:
    """The readings that most of a few values fit; only these are counted over all values."""
    found = []
    for reading in readings(name):
        form = re.compile(reading.pattern, re.ASCII)
        if sum(form.fullmatch(value) is not None for value in values) >= 0.8 * len(values):
            found.append(reading)
    return found
