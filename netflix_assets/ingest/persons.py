"""Which persons a rejected record may name. It has no typed values, and perhaps no columns either."""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.fields import split_record
from netflix_assets.ingest.headers import compare_header
from netflix_assets.ingest.json_lines import parse_json_line

Named = Callable[[Column, str], bool]  # whether a value of an identifying column, in its canonical form, is a person

_WORD = re.compile(r"[^\s,;|\t\"'{}\[\]:]+")


def canonical(column: Column, text: str) -> str:
    """An id as the warehouse shows the typed value: ``007`` and ``7.0`` of a number are ``7``. Others as they are."""
    text = text.strip()
    if column.is_text:
        return text
    try:
        number = Decimal(text.replace(column.group_char or ",", ""))
        return str(int(number)) if number == number.to_integral_value() else text
    except (InvalidOperation, ValueError, OverflowError):
        return text


def names_person(dataset: Dataset, header: Sequence[str], text: str, named: Named) -> bool:
    """Whether a rejected record names a person in an identifying column.

    ``header``: the columns of its object. A record that cannot be split into these may name a person anywhere: each of
    its words counts, so that rather too much is found than too little.
    """
    return any(named(column, canonical(column, value)) for column, value in _values(dataset, header, text))


def _values(dataset: Dataset, header: Sequence[str], text: str) -> Iterator[tuple[Column, str]]:
    fields = _fields(dataset, header, text)
    for at, column in enumerate(dataset.columns):
        if column.identifies:
            for value in [fields[at]] if fields is not None else _WORD.findall(text):
                yield column, value


def _fields(dataset: Dataset, header: Sequence[str], text: str) -> Sequence[str] | None:
    """The values by contract column; None if the record cannot be split into them."""
    if dataset.format != "csv":
        record = parse_json_line(text, dataset)
        return None if record.problem else record.fields
    try:
        positions, _ = compare_header(tuple(header), dataset)
        found = split_record(text, dataset.dialect)
    except (RefusedError, ValueError):
        return None
    if len(found) != len(header):
        return None
    return ["" if at is None else found[at] for at in positions]
