"""Read Parquet files: rows as records, their values as the texts that a CSV file would have.

Columns are found by name and their types compared with the contract before any row is read. Values are converted a
batch at a time by Arrow, exactly: no number is rounded and no time is cut off. Pages are read through a buffer, because
a file may be one row group: a file of 257 MB with one takes 40 MiB, and 284 MiB with Arrow's defaults.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.members import Number, to_json
from netflix_assets.ingest.parquet_schema import Leaf, Plan, compare_schema
from netflix_assets.ingest.records import Record

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_BUFFER_BYTES = 2**20  # of each column
_BATCH_ROWS, _BATCH_BYTES = 4_096, 16 * 2**20
_NS_BOUND = 9_223_372_036_854_775  # microseconds that fit 64 bits as nanoseconds
_NO_NUMBER = frozenset({"nan", "inf", "-inf", "-nan"})


class Parquet:
    """The rows of a file.

    ``unknown``: its columns that are not in the contract.

    Raises: RefusedError when it is not a Parquet file that Arrow can read, or does not have the contract's columns.
    """

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self._path = path
        _check_ends(path)
        with _damage():
            self._file = self._open("us")
            self._plan: Plan = compare_schema(self._file, dataset)
        self.unknown = self._plan.unknown
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
                records = list(self._records(batch, row + 1))
            yield from records
            row += len(records)
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

    def _records(self, batch: Any, row: int) -> Iterator[Record]:
        plan = self._plan
        slots = [_read_leaf(leaf, batch) for leaf in plan.leaves]
        in_json = [_as_json(values, leaf, array) for leaf, (array, values) in zip(plan.leaves, slots, strict=True)]
        columns: list[Iterable[str]] = []
        for index, constant, template, parts in plan.columns:
            if index is not None:
                columns.append(value if value is not None else "" for value in slots[index][1])
            elif template is not None:
                columns.append(_fill(template, [in_json[part] for part in parts], batch.num_rows))
            else:
                columns.append([constant] * batch.num_rows)
        texts = _fill(plan.template, in_json, batch.num_rows)
        with_nul = any(_has_nul(array) for array, _ in slots)
        for number, (text, *fields) in enumerate(zip(texts, *columns, strict=True), start=row):
            faults = _nul_faults(plan.names, fields) if with_nul else {}
            yield Record(number, text, fields, faults=faults)


def _check_ends(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
        file.seek(max(size - len(_MAGIC), 0))
        end = file.read()
    if _ENCRYPTED in (start, end):
        raise RefusedError("the Parquet file is encrypted; export it without encryption")
    if start != _MAGIC:
        raise RefusedError("the file is not Parquet; export it as Parquet, or correct `format` in the contract")
    if end != _MAGIC or size < 3 * len(_MAGIC):
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


def _fill(template: str, parts: Sequence[Sequence[str]], count: int) -> list[str]:
    """The template once per row, with a text of each part."""
    return [template % row for row in zip(*parts, strict=True)] if parts else [template % ()] * count


def _read_leaf(leaf: Leaf, batch: Any) -> tuple[Any, list[str | None]]:
    array = batch.column(leaf.path[0])
    for name in leaf.path[1:]:
        array = pc.struct_field(array, name)
    if leaf.is_nested:
        values: list[str | None] = [None if value is None else to_json(value) for value in _values(array)]
        return array, values
    texts = _texts(array, widen=leaf.widen)
    values = texts.to_pylist()
    if leaf.plain:
        values = [f"{Decimal(value):f}" if value is not None and "e" in value else value for value in values]
    return texts, values


def _as_json(values: Sequence[str | None], leaf: Leaf, array: Any) -> list[str]:
    if leaf.is_nested:
        return ["null" if value is None else value for value in values]
    if leaf.quoted:
        return ["null" if value is None else encode_basestring(value) for value in values]
    return ["null" if value is None else f'"{value}"' if value in _NO_NUMBER else value for value in values]


def _texts(array: Any, *, widen: bool = False) -> Any:
    """The values of a scalar type as an array of strings. ``widen``: 32-bit floats as the doubles that they equal."""
    kind = array.type
    if types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if types.is_float16(kind) or (widen and types.is_float32(kind)):
        array = array.cast(pa.float64())
    if types.is_timestamp(kind):
        if kind.tz is not None:
            array = array.cast(pa.timestamp(kind.unit))  # the same instant in UTC
        texts = array.cast(pa.string())
        # What is left of nanoseconds has no place in a timestamp, and its form is rejected.
        return pc.replace_substring_regex(texts, r"^(.*[.]\d{6})000$", r"\1") if kind.unit == "ns" else texts
    return array.cast(pa.string())


def _values(array: Any) -> list[object]:
    """The values of a nested type as ``to_json`` takes them."""
    kind = array.type
    if types.is_struct(kind):
        names = [kind.field(index).name for index in range(kind.num_fields)]
        members = [_values(pc.struct_field(array, [index])) for index in range(kind.num_fields)]
        rows = zip(*members, strict=True) if members else [()] * len(array)
        valid = array.is_valid().to_pylist()
        return [dict(zip(names, row, strict=True)) if ok else None for ok, row in zip(valid, rows, strict=True)]
    if types.is_map(kind):
        entries = pa.ListArray.from_arrays(array.offsets, pa.StructArray.from_arrays(
            [array.keys, array.items], ["key", "value"]), mask=array.is_null()) if False else array.cast(
            pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
        return [None if row is None else _map(row) for row in _values(entries)]
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        flat = iter(_values(array.flatten()))
        return [
            None if length is None else [next(flat) for _ in range(length)]
            for length in pc.list_value_length(array).to_pylist()
        ]
    if types.is_null(kind):
        return [None] * len(array)
    texts = _texts(array).to_pylist()
    if types.is_boolean(kind):
        return [None if text is None else text == "true" for text in texts]
    if is_number(kind):
        return [text if text is None or text in _NO_NUMBER else Number(text) for text in texts]
    return list(texts)
