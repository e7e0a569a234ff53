"""Results in Snowflake's format: column types, and Arrow with Snowflake's struct for timestamps.

fakesnow's conversion sends NULL timestamps as 1970-01-01 and makes DuckDB plan every statement twice to describe its
columns.
"""

import base64
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_MAX_TEXT = 16_777_216
_UTC_OFFSET = 1440  # Snowflake counts minutes from UTC-24


@dataclass(frozen=True)
class Answer:
    """The result of a statement: a table, and whether it holds the row count of a change."""

    table: pa.Table
    type_id: int = 0
    is_change: bool = False
    upload: dict | None = None

    def payload(self) -> dict[str, Any]:
        table = _to_storable(self.table)
        row_type = [_column(field) for field in table.schema]
        head = {
            "rowtype": row_type,
            "total": table.num_rows,
            "returned": table.num_rows,
            "statementTypeId": self.type_id,
        }
        if self.is_change:  # the connector reads row counts only from JSON
            rows = [[None if value is None else str(value) for value in row.values()] for row in table.to_pylist()]
            return head | {"queryResultFormat": "json", "rowset": rows}
        return head | {"queryResultFormat": "arrow", "rowsetBase64": base64.b64encode(_arrow(table, row_type)).decode()}


def rows_answer(names: list[str], rows: list[tuple], type_id: int = 0) -> Answer:
    columns = list(zip(*rows, strict=True)) or [[] for _ in names]
    arrays = [pa.array(column, None if len(column) else pa.string()) for column in columns]
    return Answer(pa.Table.from_arrays(arrays, names=names), type_id)


def status_answer(message: str = "Statement executed successfully.", type_id: int = 0) -> Answer:
    return rows_answer(["status"], [(message,)], type_id)


def _to_storable(table: pa.Table) -> pa.Table:
    """Convert to types that Snowflake has. Integers keep their width, which the connector accepts."""
    for at, field in enumerate(table.schema):
        wanted = _storable_type(field.type)
        if wanted is not None:
            table = table.set_column(at, field.with_type(wanted), table.column(at).cast(wanted))
    return table


def _storable_type(kind: pa.DataType) -> pa.DataType | None:
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_uint64(kind):
        return pa.decimal128(38, 0)
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    if pa.types.is_float32(kind):
        return pa.float64()
    if pa.types.is_timestamp(kind) and kind.unit != "us":
        return pa.timestamp("us", kind.tz)
    return None


def _column(field: pa.Field) -> dict[str, Any]:
    kind, precision, scale, length = _snowflake_type(field)
    return {
        "name": field.name, "database": "", "schema": "", "table": "", "nullable": True, "type": kind,
        "byteLength": length, "length": length, "scale": scale, "precision": precision, "collation": None,
    }  # fmt: skip


def _snowflake_type(field: pa.Field) -> tuple[str, int | None, int | None, int | None]:
    kind = field.type
    if pa.types.is_integer(kind):
        return "fixed", 38, 0, None
    if pa.types.is_decimal(kind):
        return "fixed", kind.precision, kind.scale, None
    if pa.types.is_floating(kind):
        return "real", None, None, None
    if pa.types.is_boolean(kind):
        return "boolean", None, None, None
    if pa.types.is_date(kind):
        return "date", None, None, None
    if pa.types.is_timestamp(kind):
        return ("timestamp_tz" if kind.tz else "timestamp_ntz"), 0, 9, None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        is_json = (field.metadata or {}).get(b"ARROW:extension:name") == b"arrow.json"
        return ("variant" if is_json else "text"), None, None, _MAX_TEXT
    raise NotImplementedError(f"a column of type {kind} ({field.name})")


def _arrow(table: pa.Table, row_type: list[dict[str, Any]]) -> bytes:
    columns, fields = [], []
    for name, column, info in zip(table.column_names, table.columns, row_type, strict=True):
        wire = _to_wire_format(column.combine_chunks())
        metadata = {
            "logicalType": info["type"].upper(),
            "precision": str(info["precision"] or 38),
            "scale": str(info["scale"] or 0),
            "charLength": str(info["length"] or 0),
        }
        columns.append(wire)
        fields.append(pa.field(name, wire.type, metadata=metadata))
    sink = pa.BufferOutputStream()
    schema = pa.schema(fields)
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return sink.getvalue().to_pybytes()


def _to_wire_format(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    if not pa.types.is_timestamp(column.type):
        return column
    # Seconds and nanoseconds since 1970, as a struct that is NULL as a whole.
    micros = pc.fill_null(column.cast(pa.int64()), 0)
    seconds = pc.floor(pc.divide(micros.cast(pa.float64()), 1e6)).cast(pa.int64())
    nanos = pc.multiply(pc.subtract(micros, pc.multiply(seconds, 1_000_000)), 1000).cast(pa.int32())
    parts = [("epoch", seconds), ("fraction", nanos)]
    if column.type.tz:
        parts.append(("timezone", pa.array([_UTC_OFFSET] * len(column), pa.int32())))
    fields = [pa.field(name, part.type, nullable=False) for name, part in parts]
    return pa.StructArray.from_arrays([part for _, part in parts], fields=fields, mask=pc.is_null(column))
