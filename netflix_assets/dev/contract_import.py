"""A document of the Open Data Contract Standard as a contract file; what a contract cannot say is named, not lost."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from netflix_assets.contracts.column import DEFAULT_MAX_LENGTH, Column
from netflix_assets.contracts.extract import VERSION_COLUMNS
from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.contracts.odcs import OPTIONS_OF_TYPE, TEAM, camel_case
from netflix_assets.contracts.visibility import reason_of
from netflix_assets.dev.contract_text import contract_file
from netflix_assets.ingest.profile.names import column_names, snake_case
from netflix_assets.operations.errors import InputError

_DATASET_OPTIONS = {camel_case(name): name for name in Dataset.model_fields}
_COLUMN_OPTIONS = {camel_case(name): name for name in Column.model_fields}
_DAYS = {"d": 1, "day": 1, "days": 1, "h": 1 / 24, "hour": 1 / 24, "hours": 1 / 24, "y": 365, "yr": 365, "years": 365}
_DEFAULT_FRESHNESS = {"warn_after_days": 7.0, "fail_after_days": 30.0}
# Fields that say nothing which a contract would have to hold.
_IGNORED = {"apiVersion", "kind", "id", "name", "version", "status", "contractCreatedTs"}
_MAPPED = {"domain", "description", "servers", "schema", "team", "slaProperties", "customProperties"}
_MAPPED_OF_TABLE = {
    "name",
    "logicalType",
    "physicalName",
    "physicalType",
    "description",
    "properties",
    "customProperties",
}
_MAPPED_OF_COLUMN = {
    "name", "logicalType", "logicalTypeOptions", "physicalType", "description", "required", "primaryKey",
    "primaryKeyPosition", "unique", "customProperties", "quality",
}  # fmt: skip


@dataclass
class Imported:
    """The text of a contract file, and what is not as in the document.

    Attributes:
        text: The contract file.
        notes: What has no counterpart and is left out, and what the document does not say and is assumed.
    """

    text: str
    notes: list[str] = field(default_factory=list)


def import_contract(file: Path) -> Imported:
    """The contract file for a document of the standard, with one dataset for each object of its schema.

    Raises: InputError when the file is not such a document, or what it says is not a valid contract.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not a YAML file ({error})") from error
    if not isinstance(content, Mapping) or content.get("kind") != "DataContract" or not content.get("schema"):
        raise InputError(f"{file}: not a data contract (kind: DataContract, with a schema)")
    notes: list[str] = []
    custom = _custom(content)
    name = snake_case(str(content.get("domain") or content.get("name") or file.stem)) or "files"
    source = {
        "source": name,
        "description": str(custom.pop("sourceDescription", "") or f"Files of the source {name}."),
        "owners": [TEAM + str(each["username"]).removeprefix(TEAM) for each in _members(content.get("team"))],
    }
    if "api" in custom:
        source["api"] = custom.pop("api")
    notes += _unmapped("", content, _IGNORED | _MAPPED, custom)
    datasets = {
        snake_case(str(table["name"])): _dataset(table, _freshness(content, notes), notes)
        for table in content["schema"]
    }
    _check(file, source, datasets)
    return Imported(contract_file(source, datasets), notes)


def _check(file: Path, source: Mapping[str, Any], datasets: Mapping[str, Mapping[str, Any]]) -> None:
    entries = [{"source": source["source"], "name": name, **entry} for name, entry in datasets.items()]
    try:
        Source.model_validate({**source, "datasets": entries})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {reason_of(each)}" for each in error.errors())
        raise InputError(f"{file}: no valid contract follows from it: {problems}") from error


def _custom(part: Mapping[str, Any]) -> dict[str, Any]:
    return {str(each["property"]): each["value"] for each in part.get("customProperties") or ()}


def _members(team: object) -> Sequence[Mapping[str, Any]]:
    """The members of a team: a list until 3.0, ``members`` since 3.1."""
    if isinstance(team, Mapping):
        return team.get("members") or ()
    return team if isinstance(team, list) else ()


def _unmapped(place: str, part: Mapping[str, Any], mapped: set[str], custom: Mapping[str, Any]) -> Iterator[str]:
    names = [*sorted(part.keys() - mapped), *(f"customProperties.{each}" for each in custom)]
    yield from (f"left out, without a counterpart: {place}{name}" for name in names)


def _freshness(content: Mapping[str, Any], notes: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in content.get("slaProperties") or ():
        days = _DAYS.get(str(each.get("unit", "d")))
        if each["property"] in ("freshness", "freshnessWarning") and days and isinstance(each["value"], int | float):
            found[each["property"]] = each["value"] * days
        else:
            notes.append(f"left out, without a counterpart: slaProperties.{each['property']}")
    if "freshness" not in found:
        notes.append(f"assumed, because it has no freshness: {_DEFAULT_FRESHNESS}")
        return dict(_DEFAULT_FRESHNESS)
    limit = found["freshness"]
    return {"warn_after_days": found.get("freshnessWarning", limit), "fail_after_days": limit}


def _dataset(table: Mapping[str, Any], freshness: Mapping[str, float], notes: list[str]) -> dict[str, Any]:
    place = f"{table['name']}."
    custom = _custom(table)
    options = {option: custom.pop(name) for name, option in _DATASET_OPTIONS.items() if name in custom}
    properties = table.get("properties") or []
    key = sorted((each for each in properties if each.get("primaryKey")), key=_key_position)
    names = dict(
        zip([each["name"] for each in properties], column_names([each["name"] for each in properties]), strict=True)
    )
    if "mode" not in options:
        options["mode"] = "upsert" if key else "append"
        notes.append(f"assumed, because it has no mode: {place}mode: {options['mode']}")
    notes += _unmapped(place, table, _MAPPED_OF_TABLE | {"dataGranularityDescription", "quality"}, custom)
    notes += _quality_notes(place, table)
    added = {each.name for each in VERSION_COLUMNS} if "extract" in options else set()
    return {
        "description": str(table.get("description") or table["name"]),
        "mode": options.pop("mode"),
        "key": [names[each["name"]] for each in key],
        "freshness": dict(freshness),
        **options,
        "columns": [
            _column(each, names[each["name"]], place, notes) for each in properties if each["name"] not in added
        ],
    }


def _key_position(column: Mapping[str, Any]) -> int:
    return int(column.get("primaryKeyPosition", 0))


def _column(content: Mapping[str, Any], name: str, table: str, notes: list[str]) -> dict[str, Any]:
    place = f"{table}{content['name']}."
    custom = _custom(content)
    options = {option: custom.pop(given) for given, option in _COLUMN_OPTIONS.items() if given in custom}
    limits = dict(content.get("logicalTypeOptions") or {})
    type_name = options.pop("type", None) or _type(content, limits, place, notes)
    rules = {option: limits.pop(given) for option, given in OPTIONS_OF_TYPE.items() if given in limits}
    longest = limits.pop("maxLength", None)
    if type_name in ("text", "json") and longest not in (None, DEFAULT_MAX_LENGTH):
        rules["max_length"] = longest
    limits.pop("format", None)
    classified = {"classification"} if options.get("identifies") else set()
    notes += _unmapped(place, content, _MAPPED_OF_COLUMN | classified, custom)
    notes += [f"left out, without a counterpart: {place}logicalTypeOptions.{each}" for each in limits]
    if "values" not in options and (values := _values(content)):
        options["values"] = values
    notes += _quality_notes(place, content)
    renamed = {"source_name": content["name"]} if name != content["name"] else {}
    return {
        "name": name,
        **renamed,
        "type": type_name,
        **({} if content.get("required") or "nullable" in options else {"nullable": True}),
        **rules,
        **options,
        "description": str(content.get("description") or content["name"]),
    }


def _type(content: Mapping[str, Any], limits: Mapping[str, Any], place: str, notes: list[str]) -> str:
    logical, physical = str(content.get("logicalType", "")), str(content.get("physicalType", "")).lower()
    if digits := re.fullmatch(r"(?:decimal|numeric|number)\(\s*([0-9]+)\s*(?:,\s*([0-9]+)\s*)?\)", physical):
        return f"decimal({digits[1]},{digits[2] or 0})"
    if logical == "integer":
        return "integer" if limits.get("format") in ("i8", "i16", "i32", "u8", "u16") else "bigint"
    if logical == "date" and ("time" in physical or "H" in str(limits.get("format", ""))):
        return "timestamp"
    found = {
        "number": "double", "boolean": "boolean", "date": "date", "timestamp": "timestamp", "string": "text",
        "object": "json", "array": "json", "map": "json",
    }.get(logical)  # fmt: skip
    if found is None:
        notes.append(f"assumed, because {logical or 'no logical type'} has no counterpart: {place}type: text")
    return found or "text"


def _values(content: Mapping[str, Any]) -> list[str]:
    """The valid values, as 3.0, 3.1 and 3.2 write them."""
    if listed := content.get("enum"):
        return [str(each["value"]) for each in listed]
    for rule in content.get("quality") or ():
        arguments = rule.get("arguments") or {}
        if valid := rule.get("validValues") or arguments.get("validValues"):
            return [str(each) for each in valid]
    return []


def _quality_notes(place: str, part: Mapping[str, Any]) -> Iterator[str]:
    """Rules that are not of our own export, whose queries say what the options say already."""
    ours = {f"{place.split('.')[-2]}_{each}" for each in (*Column.model_fields, "key")}
    for rule in part.get("quality") or ():
        arguments = rule.get("arguments") or {}
        if rule.get("name") not in ours and not (rule.get("validValues") or arguments.get("validValues")):
            name = rule.get("name") or rule.get("rule") or rule.get("metric") or rule.get("type")
            yield f"left out, without a counterpart: {place}quality.{name}"
