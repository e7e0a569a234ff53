"""Propose type, missing values and nullability of each column from its profile, with the evidence. Pure functions."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from netflix_assets.contracts.column import DEFAULT_MAX_LENGTH
from netflix_assets.contracts.dialect import EPOCHS
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.profile.columns import ColumnProfile, Fit, NumberStats
from netflix_assets.ingest.profile.readings import EPOCH_YEARS, PLAIN_MISSING, TELLING_TIME

_MIN_SHARE = 0.99  # of the values that a type must fit where some do not
_MIN_VALUES = 100  # below it, one odd value makes the column text
_FEW_VALUES = 12
_FEW_RECORDS = 100
_INTEGER_ROOM = 10**9  # half of what an integer holds; above it a bigint leaves room to grow
_BIGINT_DIGITS, _DECIMAL_DIGITS, _DOUBLE_DIGITS = 18, 38, 17
_MONEY_SCALE = 6  # digits after the point up to which a number is a decimal


@dataclass(frozen=True)
class ColumnProposal:
    """A proposed column. ``options``: of the contract, besides name and type. ``rejects``: values that it rejects."""

    name: str
    type: str
    options: dict[str, Any]
    evidence: str
    alternatives: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    rejects: Sequence[tuple[str, int]] = ()
    style: tuple[str, str] | None = None  # of numbers: (decimal_char, group_char)


@dataclass(frozen=True)
class Habits:
    """What the unambiguous columns of the files tell about the others."""

    decimal_char: str = "."
    month_first: bool = False
    missing: frozenset[str] = field(default_factory=frozenset)  # words that mean "no value" in typed columns


def propose_columns(profiles: Sequence[ColumnProfile], delimiter: str) -> list[ColumnProposal]:
    """Propose every column of a table."""
    habits = _habits(profiles, delimiter)
    first = [_propose(profile, habits) for profile in profiles]
    words = frozenset(token for each in first if each.type != "text" for token in each.missing)
    habits = Habits(habits.decimal_char, habits.month_first, words)
    return [_propose(profile, habits) for profile in profiles]


def _habits(profiles: Sequence[ColumnProfile], delimiter: str) -> Habits:
    chars = [chars.pop() for profile in profiles if len(chars := _decimal_chars(profile)) == 1]
    comma = chars.count(",") > chars.count(".") if chars else delimiter == ";"
    orders = [_day_orders(profile) for profile in profiles]
    return Habits("," if comma else ".", {"month"} in orders and {"day"} not in orders)


def _decimal_chars(profile: ColumnProfile) -> set[str]:
    perfect = [fit.reading for fit in profile.fits if fit.count == profile.values]
    if any(reading.kind in ("integer", "date", "timestamp", "boolean") for reading in perfect):
        return set()
    return {reading.style[0] for reading in perfect if reading.kind == "number"}


def _day_orders(profile: ColumnProfile) -> set[str]:
    forms = [fit.reading.label for fit in profile.fits if fit.count == profile.values]
    return {order for form in forms for order in _order(form)}


def _order(form: str) -> Iterator[str]:
    if form.startswith("%d/%m"):
        yield "day"
    elif form.startswith("%m/%d"):
        yield "month"


def _propose(profile: ColumnProfile, habits: Habits) -> ColumnProposal:
    fit, others = _choose(profile, habits)
    if fit is None:
        return _text(profile, habits)
    missing = tuple(profile.missing)
    return (_typed_number if profile.numbers.get(fit.reading.style) and fit.reading.kind in _NUMERIC else _typed_other)(
        profile, fit, others, missing
    )


_NUMERIC = ("integer", "number", "double")


def _choose(profile: ColumnProfile, habits: Habits) -> tuple[Fit | None, list[Fit]]:
    """The fit to propose, None for text; and the others that hold for all values."""
    if not profile.values:
        return None, []
    perfect = sorted(
        (fit for fit in profile.fits if fit.count == profile.values),
        key=lambda fit: _unlikeliness(fit, profile, habits),
    )
    if perfect:
        return perfect[0], perfect[1:]
    near = [fit for fit in profile.fits if fit.count >= _MIN_SHARE * profile.values and profile.values >= _MIN_VALUES]
    near = [fit for fit in near if not any(re.fullmatch("0[0-9]+", text) for text, _ in fit.counter_examples)]
    return max(near, key=lambda fit: fit.count, default=None), []


def _unlikeliness(fit: Fit, profile: ColumnProfile, habits: Habits) -> tuple[bool, ...]:
    """Sorts what the order of the readings leaves open: whose comma, and whether the day or the month comes first."""
    reading = fit.reading
    is_number = reading.kind == "number"
    point, group = reading.style
    stats = profile.numbers.get(reading.style)
    # "1,234" in every value: groups of three digits, unless other columns have decimal commas.
    looks_grouped = point == "," and not group and stats is not None and (stats.max_scale, stats.min_scale) == (3, 3)
    return (
        is_number and point != habits.decimal_char and not (group and point == "." and habits.decimal_char == "."),
        is_number and looks_grouped and habits.decimal_char == ".",
        is_number and not group and habits.decimal_char == "," and point == ".",
        habits.month_first and "day" in _order(reading.label),
    )


def _typed_number(profile: ColumnProfile, fit: Fit, others: list[Fit], missing: tuple[str, ...]) -> ColumnProposal:
    reading, stats = fit.reading, profile.numbers[fit.reading.style]
    options = dict(reading.options)
    kind = _number_type(reading.kind, stats)
    if kind is None:
        return _text(profile, Habits(), f"numbers of up to {stats.whole_digits} digits, more than any type holds")
    alternatives: list[str] = []
    if reading.kind == "integer":
        if "decimal_zeros" in options:
            alternatives.append(f"decimal({stats.whole_digits + 3},1), if fractions can come")
        form = _epoch(stats)
        if form and not TELLING_TIME.search(profile.name):
            alternatives.append(f"timestamp with format {form}: all are between 1980 and 2100")
        elif form:
            return _proposal(
                profile, fit, "timestamp", {"format": form}, missing,
                f"named like a time, and {form.replace('_', ' in ')} all are between 1980 and 2100",
                (f"{kind}, if it is a number",),
            )  # fmt: skip
        if {text for text, _ in profile.top} <= {"0", "1"}:
            alternatives.append("boolean with true_values ['1'], false_values ['0']")
    else:
        alternatives += [_label(each) for each in others if each.reading.style[0] != reading.style[0]][:1]
    shown = f"{_figure(stats.least)} to {_figure(stats.greatest)}"
    scale = f", at most {counted(stats.max_scale, 'digit')} after the point" if kind.startswith("decimal") else ""
    evidence = f"{reading.label}, {shown}{scale}"
    return _proposal(profile, fit, kind, _only_fitting(kind, options), missing, evidence, tuple(alternatives))


def _only_fitting(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    whole = kind in ("integer", "bigint")
    return {name: value for name, value in options.items() if name != "decimal_zeros" or whole}


def _figure(value: float) -> str:
    comma = "," if abs(value) >= 10_000 else ""  # 1995 is a year
    return f"{value:{comma}.15g}"


def _label(fit: Fit) -> str:
    return fit.reading.label


def _number_type(kind: str, stats: NumberStats) -> str | None:
    whole, scale = stats.whole_digits, stats.max_scale
    if kind == "integer" or (kind == "number" and scale == 0):
        if whole <= _BIGINT_DIGITS:
            return "integer" if max(abs(stats.least), abs(stats.greatest)) < _INTEGER_ROOM else "bigint"
        return f"decimal({_DECIMAL_DIGITS},0)" if whole <= _DECIMAL_DIGITS else None
    if kind == "double":
        return "double"
    is_fixed = scale <= _MONEY_SCALE or (scale == stats.min_scale and scale <= _BIGINT_DIGITS)
    if is_fixed or stats.digits > _DOUBLE_DIGITS:
        room = next((each for each in (9, 18, 38) if whole + scale + 2 <= each), None)
        if room is None and whole + scale <= _DECIMAL_DIGITS:
            room = _DECIMAL_DIGITS
        if room is not None:
            return f"decimal({room},{scale})"
        return None
    return "double"


def _epoch(stats: NumberStats) -> str | None:
    least, greatest = EPOCH_YEARS
    for form, units in EPOCHS.items():
        if least * units <= stats.least and stats.greatest <= greatest * units:
            return form
    return None


def _typed_other(profile: ColumnProfile, fit: Fit, others: list[Fit], missing: tuple[str, ...]) -> ColumnProposal:
    reading = fit.reading
    same = [_label(each) for each in others if each.reading.kind == reading.kind]
    alternatives = [*same[:2]]
    if reading.label == "%Y%m%d":
        alternatives.append("integer, if it is a number")
    has_offset = "%z" in reading.label or "time_zone" in reading.options or reading.label.endswith(("Z", "UTC"))
    if reading.kind == "timestamp" and not has_offset:
        alternatives.append("with time_zone, if the sender's clock is not UTC")
    evidence = f"written as {reading.label}" if reading.kind != "boolean" else reading.label
    if same and "%d" in reading.label and "%m" in same[0]:
        evidence += "; all values are valid with day and month swapped, so check one"
    options = {name: list(value) if isinstance(value, tuple) else value for name, value in reading.options.items()}
    return _proposal(profile, fit, reading.kind, options, missing, evidence, tuple(alternatives))


def _proposal(
    profile: ColumnProfile,
    fit: Fit,
    kind: str,
    options: dict[str, Any],
    missing: tuple[str, ...],
    evidence: str,
    alternatives: tuple[str, ...],
) -> ColumnProposal:
    nullable = _nullable(profile, missing)
    rejects = fit.counter_examples
    share = f"{fit.count / profile.values:.2%} of {profile.values:,} values: " if fit.count < profile.values else ""
    if rejects:
        alternatives = ("text, which loads all", *alternatives)
    style = fit.reading.style if fit.reading.kind in ("number", "double") else None
    return ColumnProposal(
        profile.name,
        kind,
        {**({"nullable": True} if nullable else {}), **options},
        f"{share}{evidence}{_missing_text(profile, missing)}",
        alternatives,
        missing,
        rejects,
        style,
    )


def _nullable(profile: ColumnProfile, missing: Sequence[str]) -> bool:
    return profile.empty > 0 or bool(missing) or profile.records == 0


def _missing_text(profile: ColumnProfile, missing: Sequence[str]) -> str:
    parts = [f"{profile.empty:,} empty"] if profile.empty else []
    parts += [f"{profile.missing[token]:,} {token!r}" for token in missing]
    if parts:
        return f"; missing: {', '.join(parts)} of {profile.records:,}"
    few = " (few records: later files may miss some)" if profile.records < _FEW_RECORDS else ""
    return f"; none missing{few}"


def _text(profile: ColumnProfile, habits: Habits, why: str = "") -> ColumnProposal:
    missing = tuple(token for token in profile.missing if _means_missing(token, profile, habits))
    kept = [token for token in profile.missing if token not in missing]
    options: dict[str, Any] = {"nullable": True} if _nullable(profile, missing) else {}
    if any(token in habits.missing for token in kept):
        options["missing_values"] = []
    if profile.max_length > DEFAULT_MAX_LENGTH:
        options["max_length"] = 2 * profile.max_length
    alternatives = [f"{token!r} in missing_values, if it means no value" for token in kept]
    best = max(profile.fits, key=lambda fit: fit.count, default=None)
    if best and profile.values and best.count > 0.5 * profile.values:
        text, count = (*best.counter_examples, ("", 0))[0]
        examples = f", but {count:,} {text!r}" if text else ""
        alternatives.append(f"{best.reading.kind} fits {best.count / profile.values:.1%}{examples}")
    evidence = why or _text_evidence(profile)
    return ColumnProposal(
        profile.name, "text", options, f"{evidence}{_missing_text(profile, missing)}", tuple(alternatives), missing
    )


def _means_missing(token: str, profile: ColumnProfile, habits: Habits) -> bool:
    if token in PLAIN_MISSING or not profile.values:
        return True
    # NA is Namibia, and NO Norway: codes of two or three capitals are values.
    is_code = profile.max_length <= 3 and all(text.isupper() for text, _ in profile.top)
    return token in habits.missing and not is_code


def _text_evidence(profile: ColumnProfile) -> str:
    if not profile.values:
        return "no values at all"
    if profile.distinct <= _FEW_VALUES < profile.values:
        few = ", ".join(repr(text) for text, _ in profile.top[:4])
        more = ", …" if profile.distinct > 4 else ""
        return f"{counted(profile.distinct, 'different value')}: {few}{more} (a `values` rule would pin them)"
    zeros = any(re.fullmatch("0[0-9]+", text) for text, _ in profile.top)
    example = profile.top[0][0][:30] if profile.top else ""
    why = "digits with leading zeros, which a number would lose" if zeros else f"such as {example!r}"
    return f"{why}, up to {counted(profile.max_length, 'character')}"
