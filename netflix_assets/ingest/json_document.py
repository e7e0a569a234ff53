"""Read JSON documents: one per file, whose records are where the contract says (``records``).

API responses are such documents. A file in another form is read as bare records: a JSON array of them, or JSON Lines,
as rejects are exported.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.request import Records
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.json_lines import DECODER, InvalidJsonError, JsonLines, record_of
from netflix_assets.ingest.members import ABSENT, Members, WrongKindError, describe, follow, paths, to_json, tokens
from netflix_assets.ingest.records import Record

# A document is held in memory, at about ten times its size. JSON Lines has no such limit.
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024


class JsonDocument:
    """The records of a file of UTF-8 text. A record's line is its number in the document, from 1."""

    warnings: tuple[str, ...] = ()  # a file without a schema has nothing but records

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._path = path
        self._dataset = dataset
        self._members = Members(dataset)
        self._lines: JsonLines | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of members that no column reads; complete once all records are read."""
        return self._lines.unknown if self._lines else tuple(self._members.unknown)

    def __iter__(self) -> Iterator[Record]:
        """Every record. Raises: RefusedError when the file is not JSON, or has no records where they should be."""
        document = self._read()
        if isinstance(document, list):
            values = document
        elif _is_record(document, self._dataset):
            values = [document]
        elif document is ABSENT:
            self._lines = JsonLines(self._path, self._dataset)
            yield from self._lines
            return
        else:
            values = list(take_records(document, self._dataset.records or Records()))
        for number, value in enumerate(values, start=1):
            try:
                text = (
                    to_json(value).encode("utf-8", "backslashreplace").decode()
                )  # half a surrogate pair as its escape
                if isinstance(value, Mapping):
                    yield record_of(number, f"{text}\n", value, self._members)
                else:
                    yield Record(number, f"{text}\n", [], problem=f"{describe(value)}, not a JSON object")
            except RecursionError as error:
                raise RefusedError(f"record {number} is nested too deep") from error

    def _read(self) -> object:
        """The document; ``ABSENT`` when the file has more than one."""
        if self._path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise RefusedError(f"the document is larger than {MAX_DOCUMENT_BYTES:,} bytes; write JSON Lines instead")
        text = self._path.read_text(encoding="utf-8").strip()
        if not text:
            raise RefusedError("the file contains only blank lines")
        return parse_document(text)


def parse_document(text: str) -> object:
    """The value of a JSON document; ``ABSENT`` when more text follows it. Raises: RefusedError."""
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return ABSENT
        raise RefusedError(
            f"the file is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except InvalidJsonError as error:
        raise RefusedError(f"the file is not valid JSON: {error}") from error
    except RecursionError as error:
        raise RefusedError("the document is nested too deep") from error


def take_records(document: object, places: Records) -> Iterator[object]:
    """The records of a document. Raises: RefusedError when it has none where they should be."""
    try:
        found = follow(document, tokens(places.at))
    except WrongKindError as error:
        raise RefusedError(f"the document has no records at '{places.at}': {error}") from error
    if found is ABSENT or found is None:
        has = f"; it has {', '.join(map(repr, list(document)[:10]))}" if isinstance(document, Mapping) else ""
        raise RefusedError(f"the document has no records at '{places.at}'{has}")
    kept = {name: document[name] for name in places.keep if name in document} if isinstance(document, Mapping) else {}
    if isinstance(found, Mapping) and places.name:
        for name, value in found.items():
            yield {**kept, places.name: name, **_as_object(value, places)}
    elif isinstance(found, Mapping):
        yield {**kept, **found}
    elif isinstance(found, list):
        for value in found:
            yield {**kept, **value} if isinstance(value, Mapping) else value
    else:
        raise RefusedError(f"'{places.at}' is {describe(found)}, not a list of records")


def _as_object(value: object, places: Records) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {places.value: value}


def _is_record(document: object, dataset: Dataset) -> bool:
    """Whether a document is one record by itself: it has nothing where records should be, but all required columns."""
    if dataset.records is None or not dataset.records.at or _has(document, tokens(dataset.records.at)):
        return False
    required = [column for column in dataset.columns if not column.nullable and column.default is None]
    return bool(required) and all(any(_has(document, path) for path in paths(column)) for column in required)


def _has(document: object, path: tuple[str, ...]) -> bool:
    try:
        return follow(document, path) is not ABSENT
    except WrongKindError:
        return False
