"""Convert values as a file writes them into the one form that both warehouses load: ``1.234,50`` -> ``1234.50``.

Conversion happens before a file is loaded, so the warehouses need no rules of their own. The checks in ``values.py``
apply to the converted value.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.dialect import EPOCHS, ValueOptions
from netflix_assets.contracts.model import Dataset

_EPOCH = datetime(1970, 1, 1)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_MAX_SHOWN = 6  # texts that a reason lists


class ConversionError(ValueError):
    """A text that is not a value in the form that the contract describes; the message continues "<column> <text> "."""


@dataclass(frozen=True)
class Conversion:
    """Turns a text that is not empty into the loadable form. ``example``: a valid text, for reasons.

    ``convert`` returns an empty text for a missing value. It raises ConversionError.
    """

    convert: Callable[[str], str]
    example: str


def conversion_of(dataset: Dataset, column: Column) -> Conversion | None:
    """How the column's values are converted; None when files have them in the loadable form."""
    options, time_format = dataset.value_options(column), dataset.time_format(column)
    return _conversion(options, _by_type(column, options, time_format))


def literal_conversion_of(dataset: Dataset, column: Column) -> Conversion | None:
    """How values are converted that are numbers, true, false or JSON already, as in JSON and Parquet files."""
    if column.type == "json":
        return _conversion(dataset.value_options(column), None)
    written = {"decimal_char": None, "group_char": None, "true_values": None, "false_values": None}
    options = dataset.value_options(column).model_copy(update=written)
    return _conversion(options, _by_type(column, options, dataset.time_format(column)))


def _conversion(options: ValueOptions, by_type: tuple[Callable[[str], str], str] | None) -> Conversion | None:
    convert, example = by_type or (None, "")
    missing = frozenset(options.missing_values or ()) - {""}
    if not missing:
        return Conversion(convert, example) if convert else None
    return Conversion(partial(_unless_missing, missing, convert), example)


def _unless_missing(missing: frozenset[str], convert: Callable[[str], str] | None, text: str) -> str:
    if text in missing:
        return ""
    return convert(text) if convert else text


def _by_type(column: Column, options: ValueOptions, time_format: str | None) -> tuple[Callable[[str], str], str] | None:
    if column.is_numeric and (options.decimal_char or options.group_char or options.decimal_zeros):
        return _number(column, options)
    if column.type == "boolean" and (options.true_values or options.false_values):
        return _boolean(options.true_values or _TRUE, options.false_values or _FALSE)
    if column.type in ("date", "timestamp") and time_format:
        return _time(column.type, time_format, options.time_zone)
    if column.type == "timestamp" and options.time_zone:
        return _time(column.type, "", options.time_zone)
    if column.type == "json":
        return _check_json, '{"a": 1}'
    return None


def _number(column: Column, options: ValueOptions) -> tuple[Callable[[str], str], str]:
    point, group = options.decimal_char or ".", options.group_char or ""
    separator = re.escape(group)
    whole = f"[0-9]{{1,3}}(?:{separator}[0-9]{{3}})+|[0-9]*" if group else "[0-9]*"
    pattern = re.compile(rf"([+-]?)({whole})(?:{re.escape(point)}([0-9]*))?([eE][+-]?[0-9]+)?")
    drops_zeros = bool(options.decimal_zeros) and column.type in ("integer", "bigint")
    fraction = column.scale if column.scale is not None else (2 if column.type == "double" else 0)
    example = f"1{group}234" + (point + "5".ljust(fraction, "0") if fraction else "")

    def convert(text: str) -> str:
        match = pattern.fullmatch(text)
        if match is None or not (match[2] or match[3]):
            raise ConversionError(f"is not a number like {example}")
        sign, digits, decimals, exponent = match.groups(default="")
        if drops_zeros:
            decimals = decimals.rstrip("0")
        return f"{sign}{digits.replace(group, '') if group else digits}{'.' if decimals else ''}{decimals}{exponent}"

    return convert, example


def _boolean(true: tuple[str, ...], false: tuple[str, ...]) -> tuple[Callable[[str], str], str]:
    known = {**dict.fromkeys(true, "true"), **dict.fromkeys(false, "false")}
    shown = ", ".join([*true, *false][:_MAX_SHOWN])

    def convert(text: str) -> str:
        if text not in known:
            raise ConversionError(f"is not one of {shown}")
        return known[text]

    return convert, true[0]


def _time(kind: str, time_format: str, zone_name: str | None) -> tuple[Callable[[str], str], str]:
    read, example = _time_reader(kind, time_format)
    zone = ZoneInfo(zone_name) if zone_name else None

    def convert(text: str) -> str:
        moment = read(text)
        if kind == "date":
            return moment.date().isoformat()
        try:
            return _in_utc(moment, zone).isoformat(sep=" ")
        except OverflowError as error:
            raise ConversionError(f"is not a valid {kind} in UTC") from error

    return convert, example


def _time_reader(kind: str, time_format: str) -> tuple[Callable[[str], datetime], str]:
    if time_format in EPOCHS:
        units = EPOCHS[time_format]
        example = str(1_772_000_000 * units)
        return partial(
            _from_epoch, units, f"is not a time in {time_format.removeprefix('epoch_')} like {example}"
        ), example
    sample = datetime(2026, 11, 7, 13, 45)
    example = sample.strftime(time_format).replace("%z", "+0100") if time_format else "2026-11-07 13:45:00"
    return partial(_parse, time_format, f"is not a valid {kind} like {example}"), example


def _from_epoch(units: int, problem: str, text: str) -> datetime:
    if not re.fullmatch("[+-]?[0-9]{1,20}", text, re.ASCII):
        raise ConversionError(problem)
    seconds, rest = divmod(int(text), units)
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=rest * 1_000_000 // units)
    except OverflowError as error:
        raise ConversionError(problem) from error


def _parse(time_format: str, problem: str, text: str) -> datetime:
    # strptime accepts other alphabets' digits, and any amount of white space where the format has a space.
    is_plain = text.isascii() and text == text.strip() and "  " not in text
    try:
        if is_plain and time_format:
            return datetime.strptime(text, time_format)
        if _ISO.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise ConversionError(problem) from error
    raise ConversionError(problem)


def _in_utc(moment: datetime, zone: ZoneInfo | None) -> datetime:
    """The moment in UTC, without an offset. Without an offset and without a zone, it stays as it is."""
    if moment.tzinfo is None and zone is not None:
        local = moment.replace(tzinfo=zone)
        if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
            raise ConversionError(f"does not exist in {zone.key}: clocks were set forward")
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            raise ConversionError(f"is ambiguous in {zone.key}: clocks were set back")
        moment = local
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment


def _check_json(text: str) -> str:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"is not valid JSON ({error})") from error
    return text


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
