"""A contract as a document of the Open Data Contract Standard 3.0 (Bitol, https://bitol-io.github.io). Pure functions.

What the standard has no field for is kept in ``customProperties``, under the option's name in camelCase, so that a
document says all that the contract says.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset, Source

API_VERSION = "v3.0.2"
KEPT_AS_CUSTOM = "customProperties"
TEAM = "team:"
# The standard 3.0 has no timestamps: a date with a time of day in its format.
DATE_FORMAT, TIMESTAMP_FORMAT = "yyyy-MM-dd", "yyyy-MM-dd HH:mm:ss"
# Contract option -> name in logicalTypeOptions.
OPTIONS_OF_TYPE = {"min": "minimum", "max": "maximum", "multiple_of": "multipleOf", "pattern": "pattern"}

_LOGICAL_TYPES = {
    "integer": ("integer", {"format": "i32"}),
    "bigint": ("integer", {"format": "i64"}),
    "double": ("number", {"format": "f64"}),
    "boolean": ("boolean", {}),
    "date": ("date", {"format": DATE_FORMAT}),
    "timestamp": ("date", {"format": TIMESTAMP_FORMAT}),
    "text": ("string", {}),
    "json": ("string", {}),
}
# Options with a field in the standard. ``source``, ``name`` and ``longer_files`` are not written in a contract file.
_COLUMN_FIELDS = {"name", "description", "type", "nullable", "min", "max", "multiple_of", "max_length"}
_DATASET_FIELDS = {
    "source", "name", "longer_files", "description", "key", "columns", "freshness", "owners",
}  # fmt: skip


@dataclass(frozen=True)
class QualityRule:
    """A rule as a query that counts the rows that break it. ``column``: None for a rule about whole rows."""

    name: str
    column: str | None
    dimension: str
    query: str


def document(
    source: Source,
    dataset: Dataset,
    *,
    physical_name: str,
    physical_types: Mapping[str, str],
    rules: Iterable[QualityRule],
    servers: Sequence[Mapping[str, Any]],
    version: str,
) -> dict[str, Any]:
    """The contract of a dataset as a document of the standard.

    Parameters:
        physical_name: The table or view that has the rows, with its schema.
        physical_types: Type in the warehouse of each column.
        rules: The rules that the rows can be tested by.
        servers: Where files and tables are, as the standard's ``servers``.
        version: Version of the document. A contract has none, so it is the project's.
    """
    rules = list(rules)
    table = {
        "name": dataset.name,
        "logicalType": "object",
        "physicalName": physical_name,
        "physicalType": "view",
        "description": dataset.description,
        **({"dataGranularityDescription": f"One row per {', '.join(dataset.key)}."} if dataset.key else {}),
        "properties": [_property(dataset, column, physical_types[column.name], rules) for column in dataset.columns],
        **_filled("quality", [_quality(rule) for rule in rules if rule.column is None]),
        **_filled(KEPT_AS_CUSTOM, list(_custom(_rest(dataset, _DATASET_FIELDS)))),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": f"urn:netflix-assets:{dataset.source}:{dataset.name}",
        "name": dataset.id,
        "version": version,
        "status": "active",
        "domain": dataset.source,
        "description": {"purpose": dataset.description},
        "servers": [dict(server) for server in servers],
        "schema": [table],
        **_filled("team", [{"username": owner.removeprefix(TEAM), "role": "owner"} for owner in dataset.owners]),
        "slaProperties": list(_freshness(dataset)),
        KEPT_AS_CUSTOM: list(_custom(_of_source(source, dataset))),
    }


def _of_source(source: Source, dataset: Dataset) -> dict[str, object]:
    """What the dataset's entry needs of its source."""
    api = {"api": source.api} if dataset.request is not None else {}
    return {"source_description": source.description, **api}


def camel_case(option: str) -> str:
    """An option of a contract as a name in the standard: ``sourceName``."""
    first, *others = option.split("_")
    return first + "".join(each.capitalize() for each in others)


def plain(value: object) -> object:
    """A value of a contract as JSON has it: numbers as numbers, tuples as lists."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, BaseModel):
        return {
            name: plain(getattr(value, name)) for name in type(value).model_fields if name in value.model_fields_set
        }
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, date):
        return value.isoformat()
    return value


def _filled(name: str, values: Sequence[Any]) -> dict[str, Sequence[Any]]:
    return {name: values} if values else {}


def _rest(part: BaseModel, mapped: set[str]) -> dict[str, object]:
    """The options that the part sets and the standard has no field for."""
    fields = type(part).model_fields
    values = {name: getattr(part, name) for name in fields if name not in mapped}
    return {
        name: value
        for name, value in values.items()
        if value != fields[name].get_default(call_default_factory=True, validated_data={})
    }


def _custom(options: Mapping[str, object]) -> Iterator[dict[str, object]]:
    for name, value in options.items():
        yield {"property": camel_case(name), "value": plain(value)}


def _property(dataset: Dataset, column: Column, physical_type: str, rules: Iterable[QualityRule]) -> dict[str, Any]:
    logical, options = _LOGICAL_TYPES.get(column.type, ("number", {}))
    options = {**options, **_limits(column)}
    rest = _rest(column, _COLUMN_FIELDS)
    if column.type == "json":
        rest["type"] = "json"
    if logical == "string":
        rest.pop("pattern", None)  # of other types it is about the text in the file
    may_be_empty = column.nullable or dataset.is_empty_if_deleted(column)
    if may_be_empty and not column.nullable:
        rest["nullable"] = False  # only deleted rows have no value
    is_key = column.name in dataset.key
    return {
        "name": column.name,
        "logicalType": logical,
        **({"logicalTypeOptions": options} if options else {}),
        "physicalType": physical_type,
        "description": column.description,
        **({"primaryKey": True, "primaryKeyPosition": dataset.key.index(column.name) + 1} if is_key else {}),
        "required": not may_be_empty,
        # In the other modes the table keeps every version of a row.
        "unique": dataset.mode == "overwrite" and dataset.key == (column.name,),
        **({"classification": "personal"} if column.identifies else {}),
        **_filled("quality", [_quality(rule) for rule in rules if rule.column == column.name]),
        **_filled(KEPT_AS_CUSTOM, list(_custom(rest))),
    }


def _limits(column: Column) -> dict[str, Any]:
    found = {name: plain(getattr(column, option)) for option, name in OPTIONS_OF_TYPE.items()}
    if not column.is_text:
        found.pop("pattern")
    found["maxLength"] = column.length_limit
    return {name: value for name, value in found.items() if value is not None}


def _quality(rule: QualityRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "type": "sql",
        "dimension": rule.dimension,
        "query": re.sub(r"\s+", " ", rule.query).strip(),
        "mustBe": 0,
        "unit": "rows",
        "severity": "error",
    }


def _freshness(dataset: Dataset) -> Iterator[dict[str, Any]]:
    limits = {"freshness": dataset.freshness.fail_after_days, "freshnessWarning": dataset.freshness.warn_after_days}
    for name, days in limits.items():
        yield {"property": name, "value": days, "unit": "d", "element": dataset.name, "driver": "operational"}
