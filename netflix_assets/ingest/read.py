"""Read the records of a file, whatever its format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.csv_records import is_cut_off, open_quote_reason, read_csv_records
from netflix_assets.ingest.decode import PARQUET_MAGIC
from netflix_assets.ingest.json_document import JsonDocument
from netflix_assets.ingest.json_lines import JsonLines
from netflix_assets.ingest.records import Layout, Record


class Records(Protocol):
    """The records of a file with named members. ``unknown``: those that no column reads, once all records are read."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the file's schema has otherwise than the contract says."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of members that are not in the contract."""

    def __iter__(self) -> Iterator[Record]:
        """Every record."""


def open_members(path: Path, dataset: Dataset) -> Records:
    """A Parquet file, a JSON document or JSON Lines. The exported rejects of the first two are JSON Lines.

    Raises: RefusedError when a Parquet file cannot be read or does not have the contract's columns.
    """
    if dataset.format == "json":
        return JsonDocument(path, dataset)
    with path.open("rb") as file:
        is_parquet = dataset.format == "parquet" and file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    if not is_parquet:
        return JsonLines(path, dataset)
    from netflix_assets.ingest.parquet import Parquet  # Arrow takes 0.2 s, and definitions have to load fast

    return Parquet(path, dataset)


def read_records(path: Path, layout: Layout) -> Iterator[Record]:
    """Every record of a validated file.

    Raises: RefusedError as its format's reader does.
    """
    if layout.dataset.format == "csv":
        return read_csv_records(path, layout)
    return iter(open_members(path, layout.dataset))


def is_truncated(layout: Layout, record: Record) -> bool:
    """Whether a record looks like the end of a truncated file."""
    return is_cut_off(layout, record) if layout.dataset.format == "csv" else record.ends_file


def reason_of(layout: Layout, record: Record, reasons: tuple[str, ...]) -> str:
    """Why a record is rejected, in one text."""
    return open_quote_reason(record, layout.dataset.dialect) if record.is_open else "; ".join(reasons)
