"""Read Parquet files: rows as records, their values as the texts that a CSV file would have.

Columns are found by name and their types compared with the contract before any row is read. Values are converted a
batch at a time by Arrow, exactly: no number is rounded and no time is cut off. Pages are read through a buffer, because
a file may be one row group: a file of 257 MB with one takes 40 MiB, and 284 MiB with Arrow's defaults.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import islice
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.decode import PARQUET_MAGIC
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.members import to_json
from netflix_assets.ingest.parquet_schema import UTC, ColumnPlan, Leaf, Plan, is_list, is_number, plan_reading
from netflix_assets.ingest.records import Default, Literal, Record

_ENCRYPTED = b"PARE"  # at both ends instead of PARQUET_MAGIC
_BUFFER_BYTES = 2**20  # of each column
_BATCH_ROWS, _BATCH_BYTES = 4_096, 16 * 2**20
_NS_BOUND = 9_223_372_036_854_775  # microseconds that fit 64 bits as nanoseconds
_EXPONENT = re.compile("[0-9][eE]")
_NO_NUMBER = frozenset({"nan", "inf", "-inf", "-nan"})


class Parquet:
    """The rows of a file.

    ``unknown``: its columns that are not in the contract. ``warnings``: what else its schema has otherwise.

    Raises: RefusedError when it is not a Parquet file that Arrow can read, or does not have the contract's columns.
    """

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._path = path
        _check_ends(path)
        with _damage():
            self._file = self._open("us")
            self._plan: Plan = plan_reading(self._file, dataset)
        self.unknown = self._plan.unknown
        self.warnings = tuple(
            f"column '{name}' has no time zone in this file, but the contract says {UTC}; its times are read as {UTC}"
            for name in self._plan.zoneless
        )
        self.row_count: int = self._file.metadata.num_rows

    def _open(self, int96_unit: str) -> Any:
        return pq.ParquetFile(
            self._path,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            coerce_int96_timestamp_unit=int96_unit,
            page_checksum_verification=True,
            arrow_extensions_enabled=False,
        )

    def __iter__(self) -> Iterator[Record]:
        """Every row. ``line`` is its number, from 1; ``text`` has the values that the contract reads, as JSON.

        Raises: RefusedError when a page is damaged.
        """
        row = 0
        for batch in self._batches():
            with _damage():
                texts, *fields = self._read(batch)
            for text, *values in zip(texts, *fields, strict=True):
                row += 1
                if "\\u0000" in text:
                    yield Record(row, text, values, faults=_nul_faults(self._plan.names, values))
                else:
                    yield Record(row, text, values)
        if row != self.row_count:
            raise RefusedError(f"the Parquet file says {self.row_count:,} rows but has {row:,}; upload it again")

    def _batches(self) -> Iterator[Any]:
        metadata = self._file.metadata
        size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * max(self.row_count, 1) // max(size, 1)))
        options = {"batch_size": rows, "use_threads": False}
        with _damage():
            batches = self._file.iter_batches(columns=self._plan.reads, **options)
            exact = self._open("ns").iter_batches(columns=self._plan.int96, **options) if self._plan.int96 else None
        while True:
            with _damage():
                batch = next(batches, None)
                if batch is None:
                    return
                if exact is not None:
                    batch = _with_nanoseconds(batch, next(exact))
            yield batch

    def _read(self, batch: Any) -> list[list[str]]:
        """The rows as JSON, and then the texts of each contract column."""
        plan, count = self._plan, batch.num_rows
        found = [_read_leaf(leaf, batch) for leaf in plan.leaves]
        in_json = [_as_json(values, leaf) for leaf, values in zip(plan.leaves, found, strict=True)]
        columns = [_fill(plan.row, in_json, count)]
        for column in plan.columns:
            if column.leaf is not None:
                columns.append(_as_fields(found[column.leaf], plan.leaves[column.leaf]))
            elif column.default is not None:
                columns.append([Default(column.default)] * count)
            else:
                columns.append(list(map(Literal, _fill(column, in_json, count))))
        return columns


def _check_ends(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(PARQUET_MAGIC))
        file.seek(max(size - len(PARQUET_MAGIC), 0))
        end = file.read()
    if _ENCRYPTED in (start, end):
        raise RefusedError("the Parquet file is encrypted; export it without encryption")
    if start != PARQUET_MAGIC:
        raise RefusedError("the file is not Parquet; export it as Parquet, or correct `format` in the contract")
    if end != PARQUET_MAGIC or size < 3 * len(PARQUET_MAGIC):
        raise RefusedError("the Parquet file ends early; upload it again")


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise RefusedError(f"a text in the Parquet file is not valid UTF-8 ({error}); export the file again") from error
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RefusedError(f"the Parquet file is damaged or not supported ({first}); export it again") from error


def _fill(plan: ColumnPlan, leaves: Sequence[Sequence[str]], count: int) -> list[str]:
    """The plan's template once per row, with the texts of its leaves."""
    parts = [leaves[at] for at in plan.leaves]
    return [plan.template % row for row in zip(*parts, strict=True)] if parts else [plan.template % ()] * count


def _read_leaf(leaf: Leaf, batch: Any) -> list[str | None]:
    array = batch.column(leaf.path[0])
    for name in leaf.path[1:]:
        array = pc.struct_field(array, name)
    if leaf.is_nested:
        return [None if value is None else to_json(value) for value in _values(array)]
    texts: list[str | None] = _texts(array, widen=leaf.widen, zone=leaf.zone).to_pylist()
    if leaf.plain:
        return [f"{Decimal(text):f}" if text is not None and _EXPONENT.search(text) else text for text in texts]
    return texts


def _as_json(values: Sequence[str | None], leaf: Leaf) -> list[str]:
    if leaf.is_nested:
        return ["null" if value is None else value for value in values]
    if leaf.is_literal:
        return ["null" if value is None else f'"{value}"' if value in _NO_NUMBER else value for value in values]
    return ["null" if value is None else encode_basestring(value) for value in values]


def _as_fields(values: Sequence[str | None], leaf: Leaf) -> list[str]:
    if leaf.is_marked:
        return [Literal(value) if value is not None else "" for value in values]
    return [value if value is not None else "" for value in values]


def _nul_faults(names: Sequence[str], fields: list[str]) -> dict[str, str]:
    return {
        name: f"{name} has a NUL character (\\u0000), which is not text"
        for name, text in zip(names, fields, strict=True)
        if "\0" in text
    }


def _with_nanoseconds(batch: Any, exact: Any) -> Any:
    """Int96 timestamps with their nanoseconds, where Arrow's 64 bits can hold them; other values stay as they are."""
    for name in exact.schema.names:
        at = batch.schema.get_field_index(name)
        coarse, fine = batch.column(name), exact.column(name)
        micros = coarse.cast(pa.int64())
        fits = pc.and_(pc.less(micros, _NS_BOUND), pc.greater(micros, -_NS_BOUND))
        batch = batch.set_column(at, name, pc.if_else(fits, _texts(fine), _texts(coarse)))
    return batch


def _texts(array: Any, *, widen: bool = False, zone: str = "") -> Any:
    """The values of a scalar type as an array of strings.

    ``widen``: 32-bit floats as the doubles that they equal. ``zone``: what follows a timestamp with a time zone.
    """
    kind = array.type
    if types.is_dictionary(kind):
        return _texts(array.dictionary_decode(), widen=widen, zone=zone)
    if types.is_float16(kind) or (widen and types.is_float32(kind)):
        array = array.cast(pa.float64())
    if not types.is_timestamp(kind):
        return array.cast(pa.string())
    if kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit))  # the same instant in UTC
    texts = array.cast(pa.string())
    if kind.unit == "ns":  # what is left of nanoseconds has no place in a timestamp: its form is rejected
        texts = pc.replace_substring_regex(texts, r"^(.*[.]\d{6})000$", r"\1")
    return pc.binary_join_element_wise(texts, zone, "") if zone and kind.tz is not None else texts


def _values(array: Any) -> list[Any]:
    """The values of any type as ``to_json`` takes them."""
    kind = array.type
    if types.is_struct(kind):
        names = [kind.field(index).name for index in range(kind.num_fields)]
        members = [_values(pc.struct_field(array, [index])) for index in range(kind.num_fields)]
        rows = zip(*members, strict=True) if members else ((),) * len(array)
        valid = array.is_valid().to_pylist()
        return [dict(zip(names, row, strict=True)) if ok else None for ok, row in zip(valid, rows, strict=True)]
    if types.is_map(kind):
        entries = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        maps = _values(array.cast(pa.list_(entries)))
        return [None if each is None else {entry["key"]: entry["value"] for entry in each} for each in maps]
    if is_list(kind):
        return _list_values(array)
    if types.is_null(kind):
        return [None] * len(array)
    texts = _texts(array).to_pylist()
    if types.is_boolean(kind) or is_number(kind):
        return [text if text is None or text in _NO_NUMBER else Literal(text) for text in texts]
    return list(texts)


def _list_values(array: Any) -> list[Any]:
    flat = iter(_values(array.flatten()))
    lengths = pc.list_value_length(array).to_pylist()
    return [None if length is None else list(islice(flat, length)) for length in lengths]
