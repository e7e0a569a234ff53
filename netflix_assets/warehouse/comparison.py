"""The SQL that reads both versions of a table for a comparison (``diff.py``)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from netflix_assets.warehouse.typing import Dialect

BUCKETS = 4096
LOAD = "_load_id"


@dataclass(frozen=True)
class Comparison:
    """How to compare one table: where both versions are, and which columns identify and make up a row."""

    before: str
    after: str
    key: tuple[str, ...]
    columns: Mapping[str, str]  # common columns -> type to read the published value as; empty to read it as it is
    dialect: Dialect
    ids: tuple[str, ...] = ()  # of the key; rows with those of a row whose load only one side has are always joined

    @property
    def values(self) -> list[str]:
        """The common columns that are not part of the key."""
        return [name for name in self.columns if name not in self.key]

    def rows(self, relation: str, where: str = "true") -> str:
        """Select the rows of one side, with ``_key_hash`` and ``_row_hash``."""
        columns = ", ".join(
            f"{self._value(name, kind if relation == self.before else '')} as {self.column(name)}"
            for name, kind in self.columns.items()
        )
        every = ", ".join(map(self.column, self.columns))
        inner = f"select {columns} from {relation}"
        hashes = f"{self._key_hash()} as _key_hash, hash({every}) as _row_hash"
        return f"select {every}, {hashes} from ({inner}) as typed where {where}"

    def settled_rows(self, relation: str) -> str:
        """The rows that have no ID of a row whose load only one side has."""
        return self.rows(relation, f"{self._id_hash()} not in ({self._new_ids()})" if self.ids else "true")

    def rows_to_join(self, relation: str, buckets: Collection[int]) -> str:
        """The rows in these buckets, and those that are not settled."""
        if len(buckets) > BUCKETS // 2:  # a filter on most of them costs more than it saves
            return self.rows(relation)
        found = [self._in_buckets(buckets)] if buckets else []
        if self.ids:
            found.append(f"{self._id_hash()} in ({self._new_ids()})")
        return self.rows(relation, " or ".join(found))

    def rows_of_buckets(self, relation: str, buckets: Collection[int]) -> str:
        """The rows in these buckets."""
        return self.rows(relation, self._in_buckets(buckets))

    def loads_of_one_side(self, relation: str, other: str) -> str:
        """The condition that the other side has no row of a row's load."""
        load = self.column(LOAD)
        return f"{load} not in (select distinct {load} from {other} where {load} is not null)"

    def _in_buckets(self, buckets: Collection[int]) -> str:
        return f"{self.bucket_of(self._key_hash())} in ({', '.join(map(str, sorted(buckets)))})"

    def _new_ids(self) -> str:
        sides = ((self.before, self.after), (self.after, self.before))
        return " union ".join(
            f"select {self._id_hash()} from {side} where {self.loads_of_one_side(side, other)}" for side, other in sides
        )

    def _key_hash(self) -> str:
        return f"hash({', '.join(map(self.column, self.key or self.columns))})"

    def _id_hash(self) -> str:
        return f"hash({', '.join(map(self.column, self.ids))})"

    def _value(self, name: str, kind: str) -> str:
        column = self.column(name)
        return f"try_cast(cast({column} as varchar) as {kind})" if kind else column

    def column(self, name: str) -> str:
        """The quoted name of a column."""
        return self.dialect.identifier(name)

    def same_key(self) -> str:
        """The join condition of both sides."""
        equal = (f"b.{self.column(name)} is not distinct from a.{self.column(name)}" for name in self.key)
        return " and ".join(["b._key_hash = a._key_hash", *equal])

    def bucket_of(self, hashed: str = "_key_hash") -> str:
        """The bucket of a hashed key."""
        return f"mod({hashed}, {BUCKETS})"
