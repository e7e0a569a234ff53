"""Read JSON Lines: one object per line. Each contract column reads one member.

A line that is not one valid JSON object is rejected as one record; nothing in it is guessed. A name that
appears twice in an object, NaN and Infinity are not valid here, although Python's json module accepts them.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.fields import MAX_REJECT_LENGTH
from netflix_assets.ingest.members import MAX_DEPTH, Members, describe
from netflix_assets.ingest.records import Literal, Record

_SPACE = " \t\r\n"  # JSON's own
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+(")?|[\[\]{}]', re.DOTALL)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_ONE_PER_LINE = "write one object per line"
IS_ARRAY = f"the file is a JSON array; {_ONE_PER_LINE}, without brackets and commas around it"


class JsonLines:
    """The records of a file of UTF-8 text."""

    warnings: tuple[str, ...] = ()  # a file without a schema has nothing but records

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._path = path
        self._members = Members(dataset)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of members that no column reads; complete once all records are read."""
        return tuple(map(_printable, self._members.unknown))

    def __iter__(self) -> Iterator[Record]:
        """Every record; blank lines are skipped.

        Raises: RefusedError when the file is one JSON document, or a line is longer than ``MAX_REJECT_LENGTH``.
        """
        was_open = False
        for index, (number, line) in enumerate(self._lines()):
            start = line.lstrip(_SPACE)[:1]
            if index == 0 and start == "[":
                raise RefusedError(IS_ARRAY)
            if was_open and start != "{":
                raise RefusedError(f"the file is JSON over several lines; {_ONE_PER_LINE}")
            record = _parse(number, line, self._members)
            was_open = index == 0 and start == "{" and bool(record.problem) and _nesting(line)[1]
            yield record

    def _lines(self) -> Iterator[tuple[int, str]]:
        # Only LF ends a line: CR is white space in JSON.
        with self._path.open(encoding="utf-8", newline="\n") as file:
            number = 0
            while line := file.readline(MAX_REJECT_LENGTH):
                number += 1
                if len(line) == MAX_REJECT_LENGTH:
                    raise RefusedError(
                        f"line {number} is longer than {MAX_REJECT_LENGTH:,} characters; {_ONE_PER_LINE}"
                    )
                if line.strip(_SPACE):
                    yield number, line


def parse_json_line(text: str, dataset: Dataset) -> Record:
    """The record that a line of JSON is, for example the raw text of a reject."""
    return _parse(1, text, Members(dataset))


class InvalidJsonError(Exception):
    """JSON that Python's json module accepts and this module does not."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for at, name in enumerate(names) if name in names[:at])
        raise InvalidJsonError(f"duplicate member '{_printable(duplicate)}' in an object")
    return members


def _refuse_constant(name: str) -> None:
    raise InvalidJsonError(f"{name} is not valid JSON; write null, or leave out the member")


DECODER = json.JSONDecoder(
    parse_float=Literal, parse_int=Literal, parse_constant=_refuse_constant, object_pairs_hook=_object
)


def _parse(line: int, text: str, members: Members) -> Record:
    if text.count("{") + text.count("[") > MAX_DEPTH and _nesting(text)[0] > MAX_DEPTH:
        return Record(line, text, [], problem=f"JSON nested more than {MAX_DEPTH} levels deep")
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        is_cut_off = not text.endswith("\n") and text.lstrip(_SPACE)[:1] == "{" and _nesting(text)[1]
        return Record(line, text, [], ends_file=is_cut_off, problem=_explain(error, is_cut_off=is_cut_off))
    except InvalidJsonError as error:
        return Record(line, text, [], problem=str(error))
    return record_of(line, text, value, members)


def record_of(line: int, text: str, value: object, members: Members) -> Record:
    """The record that a JSON value is. ``text``: as it is written."""
    if not isinstance(value, dict):
        return Record(line, text, [], problem=f"{describe(value)}, not a JSON object; {_ONE_PER_LINE}")
    fields, faults = members.take(value)
    if "\\u" in text:
        _refuse_non_text(fields, faults, members.names)
    return Record(line, text, fields, faults=faults)


def _explain(error: json.JSONDecodeError, *, is_cut_off: bool) -> str:
    if is_cut_off:
        return "the object is not complete; the file may be truncated"
    if error.msg == "Extra data":
        return f"more text after the JSON object, at column {error.pos + 1}; {_ONE_PER_LINE}"
    return f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]} (column {error.pos + 1})"


def _refuse_non_text(fields: list[str], faults: dict[str, str], names: tuple[str, ...]) -> None:
    """Escapes can spell what no text in a warehouse can hold."""
    for at, (name, text) in enumerate(zip(names, fields, strict=True)):
        found = _NO_TEXT.search(text)
        if found:
            kind = "a NUL character" if found[0] == "\0" else "half of a surrogate pair"
            faults[name] = f"{name} has {kind} (\\u{ord(found[0]):04x}), which is not text"
            fields[at] = ""


def _nesting(text: str) -> tuple[int, bool]:
    """The deepest level of nesting, and whether the text ends inside a string, an object or an array."""
    level = deepest = 0
    for piece in _PIECE.finditer(text):
        if piece[0][0] in "[{":
            level += 1
            deepest = max(deepest, level)
        elif piece[0][0] in "]}":
            level -= 1
        elif piece[1] is None:
            return deepest, True
    return deepest, level > 0


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
