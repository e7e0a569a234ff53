"""Which keys of a table are gone: the keys that earlier extracts have written, compared with those in the database.

What the bucket holds is what the warehouse has or will have, so known keys come from there and from nowhere else: one
Parquet file, and the objects with higher numbers, also those that a killed extract has left. DuckDB compares them on
disk, so memory stays flat whatever the size of the table.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from netflix_assets.contracts.extract import DELETED
from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.typing import literal

_MEMORY = "500MB"
_BATCH_ROWS = 10_000
_LINE_BYTES = 2**26


def key_names(dataset: Dataset) -> tuple[str, ...]:
    """The key's columns, as objects name them."""
    names = {column.name: column.file_name for column in dataset.columns}
    return tuple(names[name] for name in dataset.key)


class KnownKeys:
    """The keys of a table, as texts: those in ``base``, a file of keys, as changed by the files that are added."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, base: Path | None) -> None:
        self._connection = connection
        self._names = key_names(dataset)
        names = [f"k{at}" for at in range(len(self._names))]
        self._key = ", ".join(names)
        self.files = 0
        self._all = "known"  # where all keys of the table are
        keys = ", ".join(f"{name} varchar" for name in names)
        source = f"create view base as from read_parquet({_file(base)})" if base else f"create table base ({keys})"
        connection.execute(source)
        connection.execute(f"create table versions ({keys}, file integer, gone boolean)")
        # Few keys change between two extracts. So the base is only read, and never sorted or grouped.
        connection.execute(
            f"create view changed as select {self._key}, max_by(gone, file) as gone from versions group by {self._key}"
        )
        connection.execute(
            f"create view known as select {self._key} from base anti join changed using ({self._key}) "
            f"union all select {self._key} from changed where not gone"
        )

    def add(self, path: Path) -> None:
        """Add a file of an extract. Of two files with the same key, the one that is added later counts."""
        self.files += 1
        source = _csv(path, self._names)
        self._connection.execute(f"insert into versions select {self._key}, {self.files}, gone = 'true' from {source}")

    def count(self) -> int:
        """How many keys are known."""
        return self._number("select count(*) from known")

    def count_changed(self) -> int:
        """How many keys the files that were added have."""
        return self._number("select count(*) from changed")

    def compare(self, path: Path) -> None:
        """Take the keys of a file as those that the table has now."""
        self._connection.execute(f"create table current as select {self._key} from {_csv(path, self._names)}")
        self._all = "current"

    def repeated(self) -> tuple[str, ...] | None:
        """A key that the table has more than once."""
        return self._connection.execute(
            f"select {self._key} from current group by all having count(*) > 1 limit 1"
        ).fetchone()

    def count_unknown(self) -> int:
        """How many keys the table has that are not known."""
        return self._number(f"select count(*) from current anti join known using ({self._key})")

    def gone(self) -> Iterator[list[tuple[str, ...]]]:
        """The known keys that the table no longer has, in order, in batches."""
        result = self._connection.execute(
            f"select {self._key} from known anti join current using ({self._key}) order by all"
        )
        while rows := result.fetchmany(_BATCH_ROWS):
            yield rows

    def save(self, path: Path, number: int) -> None:
        """Write the table's keys as Parquet. ``number``: of the extract up to which they hold."""
        self._connection.execute(
            f"copy {self._all} to {_file(path)} (format parquet, compression zstd, kv_metadata {{number: {number}}})"
        )

    def _number(self, query: str) -> int:
        row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0


def saved_number(path: Path) -> int:
    """The number that a file of keys was saved with."""
    return int(pq.read_metadata(path).metadata[b"number"])


@contextmanager
def known_keys(dataset: Dataset, base: Path | None, scratch: Path) -> Iterator[KnownKeys]:
    """The keys for the length of the block. ``scratch``: a folder for what does not fit in memory."""
    with duckdb.connect(str(scratch / "keys.duckdb")) as connection:
        connection.execute(f"set memory_limit = '{_MEMORY}'")
        connection.execute(f"set temp_directory = {_file(scratch)}")
        connection.execute("set enable_progress_bar = false")
        yield KnownKeys(connection, dataset, base)
    (scratch / "keys.duckdb").unlink()


def _csv(path: Path, names: Sequence[str]) -> str:
    """SELECT of the columns with these names as k0, k1, …, and of the mark of deleted rows if the file has one.

    Nothing is left to be detected. Columns go by position: DuckDB takes names that differ in capitals for one.
    """
    with pa.input_stream(str(path), "zstd") as stream:
        header = next(csv.reader(io.TextIOWrapper(stream, "utf-8", newline="")))
    wanted = {f"k{at}": header.index(name) for at, name in enumerate(names)}
    if DELETED in header:
        wanted["gone"] = header.index(DELETED)
    selected = ", ".join(f"c{position} as {name}" for name, position in wanted.items())
    columns = ", ".join(f"c{position}: 'varchar'" for position in range(len(header)))
    # An empty text is a key like any other; by default it would be read as null, which equals nothing.
    kept = ", ".join(f"'c{position}'" for position in wanted.values())
    return (
        f"(select {selected} from read_csv({_file(path)}, auto_detect = false, columns = {{{columns}}}, header = true, "
        "delim = ',', quote = '\"', escape = '\"', compression = 'zstd', "
        f"max_line_size = {_LINE_BYTES}, buffer_size = {2 * _LINE_BYTES}, force_not_null = [{kept}]))"
    )


def _file(path: Path) -> str:
    return literal(str(path))
