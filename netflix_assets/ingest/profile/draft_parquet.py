"""Draft the contract of Parquet files: their own types are the contract's."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import counted
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.parquet_schema import UTC
from netflix_assets.ingest.profile.dialect import Finding
from netflix_assets.ingest.profile.drafts import Draft, file_options
from netflix_assets.ingest.profile.names import column_names

_MAX_DIGITS = 38
_UNNAMED = re.compile("__index_level_[0-9]+__")
_TYPES: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda kind: kind in (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16()), "integer"),
    (lambda kind: kind in (pa.int64(), pa.uint32()), "bigint"),
    (lambda kind: kind == pa.uint64(), "decimal(20,0)"),
    (types.is_floating, "double"),
    (types.is_boolean, "boolean"),
    (types.is_date, "date"),
    (types.is_timestamp, "timestamp"),
    (types.is_nested, "json"),
    (lambda kind: types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind), "text"),
)


def draft_parquet(paths: Sequence[Path], source: str, name: str, known: Dataset | None = None) -> Draft:
    """Draft the contract of Parquet files. ``known``: the present contract.

    Raises: RefusedError when one cannot be read.
    """
    schemas = [_schema(path) for path in paths]
    fields = {each.name: each.type for schema in reversed(schemas) for each in schema}
    index = [name for name in fields if name in _indexes(schemas) and not (known and _reads(known, name))]
    declared = {name: _type(kind) for name, kind in fields.items() if name not in index}
    readable = [name for name, kind in declared.items() if kind is not None]
    columns: list[dict[str, Any]] = []
    for column, source_name in zip(column_names(readable), readable, strict=True):
        because = f"the file's {fields[source_name]}"
        entry: dict[str, Any] = {"name": column, "type": declared[source_name], "because": because}
        if types.is_timestamp(fields[source_name]) and fields[source_name].tz is not None:
            entry["time_zone"] = UTC
        if column != source_name:
            entry["source_name"] = source_name
        if any(source_name not in schema.names for schema in schemas):
            entry["default"] = ""
        columns.append(entry)
    findings = [
        Finding("format", "parquet", f"{counted(len(fields), 'column')}; types are the file's own"),
        *(
            Finding("pandas index", "left out", f"{name}: row numbers, which another export may not have")
            for name in index
        ),
        *_left_out(fields, declared),
    ]
    options = {"source": source, "name": name, "format": "parquet", **file_options(paths, name, "parquet")}
    return Draft(options, columns, [{}], findings)


def _schema(path: Path) -> Any:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise RefusedError(f"{path.name} is not a Parquet file that can be read: {error}") from error


def _type(kind: Any) -> str | None:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_decimal(kind):
        fits = kind.precision <= _MAX_DIGITS and 0 <= kind.scale <= kind.precision
        return f"decimal({kind.precision},{kind.scale})" if fits else None
    return next((name for test, name in _TYPES if test(kind)), None)


def _indexes(schemas: Sequence[Any]) -> set[str]:
    """Columns of row numbers that pandas has written because its index has no name. A named index is a column."""
    found: set[str] = set()
    for schema in schemas:
        described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        names = {
            each for each in described.get("index_columns", ()) if isinstance(each, str) and _UNNAMED.fullmatch(each)
        }
        found |= {name for name in names if name in schema.names and types.is_integer(schema.field(name).type)}
    return found


def _reads(dataset: Dataset, name: str) -> bool:
    return any(name in column.file_names for column in dataset.columns)


def _left_out(fields: dict[str, Any], declared: dict[str, str | None]) -> Iterator[Finding]:
    for name, kind in declared.items():
        if kind is None:
            yield Finding("left out", name, f"{fields[name]} has no type in a contract; export it as text")
