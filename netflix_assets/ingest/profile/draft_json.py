"""Draft the contract of JSON Lines: a column for each member, and for each member of objects in it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.decode import Decoder, blocks_of
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.fields import MAX_REJECT_LENGTH
from netflix_assets.ingest.json_lines import IS_ARRAY
from netflix_assets.ingest.profile.dialect import Finding
from netflix_assets.ingest.profile.drafts import Draft, file_options
from netflix_assets.ingest.profile.names import NAMED_ID, column_names

_NO_OBJECT = "no line of the file is a valid JSON object; write one object per line"
_MAX_DEPTH = 3  # levels of objects whose members become columns
_MAX_MEMBERS = 40  # of an object; one with more is a dictionary, and stays JSON


@dataclass
class _Member:
    """What the records have at a place: kinds of values, and members of the objects."""

    kinds: Counter[str] = field(default_factory=Counter)
    members: dict[str, "_Member"] = field(default_factory=dict)

    @property
    def is_record(self) -> bool:
        """Whether its values are objects with the same few members."""
        return bool(self.members) and set(self.kinds) <= {"object", "null"} and len(self.members) <= _MAX_MEMBERS

    def add(self, value: object, levels: int) -> None:
        """Note a value."""
        kind = _kind(value)
        self.kinds[kind] += 1
        if isinstance(value, dict) and levels > 0 and len(self.members) <= _MAX_MEMBERS:
            for name, each in value.items():
                self.members.setdefault(name, _Member()).add(each, levels - 1)


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return "null" if value is None else "scalar"


def draft_json(paths: Sequence[Path], source: str, name: str) -> Draft:
    """Draft the contract of JSON Lines.

    Raises: RefusedError when a file cannot be decompressed, or has no objects on lines of their own; OSError.
    """
    top, records = _Member(), 0
    for path in paths:
        before, first = records, None
        for value in _objects(path):
            top.add(value, _MAX_DEPTH)
            first = first or value
            records += 1
        if reason := _why_no_lines(path, first, records - before):
            raise RefusedError(f"{path.name}: {reason}")
    found = list(_columns(top, ()))
    if not found:
        raise RefusedError(f"{paths[0].name}: no object in the file has a member")
    names = column_names(["_".join(path) for path, _ in found])
    columns = [_entry(column, path, member) for column, (path, member) in zip(names, found, strict=True)]
    findings = [
        Finding("format", "jsonl", f"{counted(records, 'line')} with one JSON object each"),
        *_nested(found),
    ]
    options = {"source": source, "name": name, "format": "jsonl", **file_options(paths, name, "jsonl")}
    return Draft(options, columns, [{}], findings)


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file; other lines are left to the trial, which rejects them."""
    rest = b""
    for block in Decoder(blocks_of(path), "utf-8").utf8():
        *lines, rest = (rest + block).split(b"\n")
        yield from _parsed(lines)
        rest = rest[-MAX_REJECT_LENGTH:]
    yield from _parsed([rest])


def _why_no_lines(path: Path, first: dict[str, Any] | None, count: int) -> str | None:
    """Why a file is one JSON document instead of one object per line."""
    if count == 0:
        head = next(iter(Decoder(blocks_of(path), "utf-8").utf8()), b"").lstrip()
        return IS_ARRAY if head.startswith(b"[") else _NO_OBJECT if head else None
    members = first or {}
    if count > 1 or any(NAMED_ID.search(name) for name in members):
        return None
    lists = {name: value for name, value in members.items() if isinstance(value, list) and len(value) > 1}
    found = [name for name, value in lists.items() if all(isinstance(each, dict) for each in value)]
    if len(found) != 1:
        return None
    return (
        f"the file is one JSON object, and the records are in its member {found[0]!r}; write each of the "
        f"{len(lists[found[0]]):,} objects there on its own line"
    )


def _parsed(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            value = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _columns(member: _Member, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _Member]]:
    for name, each in member.members.items():
        if each.is_record and len(path) + 1 < _MAX_DEPTH:
            yield from _columns(each, (*path, name))
        else:
            yield (*path, name), each


def _entry(column: str, path: Sequence[str], member: _Member) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column}
    if len(path) > 1:
        entry["path"] = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)
    elif path[0] != column:
        entry["source_name"] = path[0]
    if {"object", "array"} & set(member.kinds):
        entry["type"] = "json"
    return entry


def _nested(found: Sequence[tuple[tuple[str, ...], _Member]]) -> Iterator[Finding]:
    nested = sorted({path[0] for path, _ in found if len(path) > 1})
    if nested:
        yield Finding("objects", ", ".join(nested), "their members are columns, by path", "type json for the whole")
