"""Which keys of a table are gone: the keys that earlier extracts have written, compared with those in the database.

Known keys are one Parquet file, and the objects that were written after it. DuckDB compares them on disk, so memory
stays flat whatever the size of the table.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from netflix_assets.contracts.extract import DELETED, NUMBER
from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.typing import identifier, literal

_MEMORY = "500MB"
_BATCH_ROWS = 10_000


def key_names(dataset: Dataset) -> tuple[str, ...]:
    """The key's columns, as objects name them."""
    names = {column.name: column.file_name for column in dataset.columns}
    return tuple(names[name] for name in dataset.key)


class KnownKeys:
    """The keys that a table had, as texts: those in ``base``, a file of keys, as changed by extracts in ``later``."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, base: Path | None, later: Sequence[Path]
    ) -> None:
        self._connection = connection
        self._names = key_names(dataset)
        self._key = ", ".join(map(identifier, self._names))
        versions = [
            f"select {self._key}, {NUMBER}::bigint, {DELETED} = 'true' from {_csv(path, self._names)}" for path in later
        ]
        if base is not None:
            versions.append(f"select {self._key}, 0, false from read_parquet({_file(base)})")
        keys = ", ".join(f"{identifier(name)} varchar" for name in self._names)
        connection.execute(f"create table known ({keys})")
        if versions:
            connection.execute(
                f"insert into known select {self._key} from ({' union all '.join(versions)}) "
                f"as versions({self._key}, number, gone) group by all having not max_by(gone, number)"
            )

    def count(self) -> int:
        """How many keys are known."""
        return self._number("select count(*) from known")

    def count_unknown(self, current: Path) -> int:
        """How many keys in a file of rows or keys are not known."""
        return self._number(
            f"select count(*) from {_csv(current, self._names)} as found anti join known using ({self._key})"
        )

    def gone(self, current: Path) -> Iterator[tuple[str, ...]]:
        """The known keys that are not in a file of rows or keys, in order."""
        found = _csv(current, self._names)
        result = self._connection.execute(
            f"select {self._key} from known anti join {found} as found using ({self._key}) order by all"
        )
        while rows := result.fetchmany(_BATCH_ROWS):
            yield from rows

    def save(self, path: Path) -> None:
        """Write the keys as Parquet."""
        self._connection.execute(f"copy known to {_file(path)} (format parquet, compression zstd)")

    def _number(self, query: str) -> int:
        row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def known_keys(dataset: Dataset, base: Path | None, later: Sequence[Path], scratch: Path) -> Iterator[KnownKeys]:
    """The keys for the length of the block. ``scratch``: a folder for what does not fit in memory."""
    with duckdb.connect(str(scratch / "keys.duckdb")) as connection:
        connection.execute(f"set memory_limit = '{_MEMORY}'")
        connection.execute(f"set temp_directory = {_file(scratch)}")
        yield KnownKeys(connection, dataset, base, later)
    (scratch / "keys.duckdb").unlink()


def _csv(path: Path, names: Sequence[str]) -> str:
    # An empty text is a key like any other; by default it would be read as null, which equals nothing.
    kept = ", ".join(map(literal, names))
    return (
        f"read_csv({_file(path)}, header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', "
        f"force_not_null = [{kept}])"
    )


def _file(path: Path) -> str:
    return literal(str(path))
