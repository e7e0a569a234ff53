"""Erased persons: the list that keeps them out, and the statements that remove their rows.

The list, ``ops.erasures``, has a salted digest per person, because the id itself would be personal data. Ids are easy
to guess, so a digest hides the id from a reader of the table, not from somebody who tries all ids. Every load leaves
out the rows of persons on the list, so that no replay, new object version or rebuild brings them back.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.ledger import ROWS_PER_INSERT, Ledger, in_chunks
from netflix_assets.warehouse.node_states import forget_states
from netflix_assets.warehouse.typing import Dialect


@dataclass(frozen=True)
class Erased:
    """The erased persons by kind (``user``): a salt, and the digests of their ids."""

    lists: Mapping[str, tuple[str, frozenset[str]]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(digests for _, digests in self.lists.values())

    def covers(self, column: Column, text: str) -> bool:
        """Whether a value of an identifying column, in its canonical form, names an erased person."""
        salt, digests = self.lists.get(str(column.identifies), ("", frozenset()))
        return bool(digests) and digest_of(salt, text) in digests

    def condition(self, dataset: Dataset, dialect: Dialect) -> str | None:
        """SQL that is true for typed rows of erased persons; None if no column of the dataset can name one."""
        tests = []
        for column in dataset.identifying:
            salt, digests = self.lists.get(str(column.identifies), ("", frozenset()))
            if digests:
                text = f"{dialect.literal(salt)} || cast({column.name} as varchar)"
                found = ", ".join(map(dialect.literal, sorted(digests)))
                tests.append(f"coalesce({dialect.sha256.format(text=text)} in ({found}), false)")
        return f"({' or '.join(tests)})" if tests else None


def digest_of(salt: str, text: str) -> str:
    """The digest of an id, the same as both warehouses compute."""
    return hashlib.sha256(f"{salt}{text}".encode()).hexdigest()


def read_erased(ledger: Ledger, dataset: Dataset) -> Erased:
    """The erased persons that rows of a dataset may name; one small query, and none if no column names persons."""
    kinds = sorted({str(column.identifies) for column in dataset.identifying})
    if not kinds:
        return Erased()
    rows = ledger.execute(
        f"select subject, salt, digest from ops.erasures where subject in ({', '.join('?' for _ in kinds)})", kinds
    )
    return Erased({kind: _salted([row[1:] for row in rows if row[0] == kind]) for kind in kinds})


def _salted(rows: Sequence[tuple[str, str]]) -> tuple[str, frozenset[str]]:
    return (rows[0][0] if rows else "", frozenset(digest for _, digest in rows))


def record_erasure(ledger: Ledger, kind: str, text: str) -> bool:
    """Put a person on the list, whose digests all have one salt. Returns False if the person is on it already."""
    with ledger.transaction():
        rows = ledger.execute("select salt, digest from ops.erasures where subject = ?", (kind,))
        salt, digests = _salted(rows)
        salt = salt or secrets.token_hex(16)
        digest = digest_of(salt, text)
        if digest in digests:
            return False
        now = datetime.now(UTC).replace(tzinfo=None)
        ledger.insert_rows("erasures", [{"subject": kind, "salt": salt, "digest": digest, "erased_at": now}])
    return True


# ---------------------------------------------------------------- rows of a raw table


def rows_by_load(warehouse: Warehouse, dataset: Dataset, text: str) -> dict[int, int]:
    """Load id -> rows of a person in the raw table, whether the load is current or not."""
    names, values = _person(dataset, text)
    rows = warehouse.execute(
        f"select _load_id, count(*) from raw.{dataset.table} where {names} group by _load_id order by _load_id", values
    )
    return {int(load_id): int(count) for load_id, count in rows}


def texts_of(warehouse: Warehouse, dataset: Dataset, text: str, shortest: int) -> list[str]:
    """Texts that only this person has in the dataset, from a number of characters on. They prove what is left."""
    if len(dataset.identifying) != 1:
        return []
    person = f"cast({dataset.identifying[0].name} as varchar)"
    names = [column.name for column in dataset.columns if column.is_text and not column.identifies]
    return [
        found
        for name in names
        for (found,) in warehouse.execute(
            f"select {name} from raw.{dataset.table} where length({name}) >= {shortest:d} group by {name} "
            f"having min({person}) = ? and max({person}) = ? order by {name}",
            (text, text),
        )
    ]


def delete_rows(warehouse: Warehouse, dataset: Dataset, text: str) -> None:
    """Delete a person's rows from the raw table, within the caller's transaction."""
    names, values = _person(dataset, text)
    warehouse.execute(f"delete from raw.{dataset.table} where {names}", values)


def delete_rejects(warehouse: Warehouse, dataset: Dataset, load_id: int, numbers: Sequence[int]) -> None:
    """Delete rejected records of a load by their numbers, within the caller's transaction."""
    for chunk in in_chunks(numbers, ROWS_PER_INSERT):
        warehouse.execute(
            "delete from ops.rejected_rows where dataset = ? and load_id = ? "
            f"and record_number in ({', '.join('?' for _ in chunk)})",
            (dataset.id, load_id, *chunk),
        )


def account_for(warehouse: Warehouse, dataset: Dataset, load_id: int, rows: int, rejects: int) -> None:
    """Count rows and rejects of a load as erased, within the caller's transaction."""
    warehouse.execute(
        """
        update ops.loads
        set rows_loaded = rows_loaded - ?, rows_rejected = rows_rejected - ?,
            rows_erased = coalesce(rows_erased, 0) + ?
        where dataset = ? and load_id = ?
        """,
        (rows, rejects, rows + rejects, dataset.id, load_id),
    )


def forget_profiles(warehouse: Warehouse, dataset: Dataset, load_ids: Sequence[int]) -> None:
    """Delete the profiles of loads, and the smallest and largest values in those of loads whose rows are purged."""
    for chunk in in_chunks(load_ids, ROWS_PER_INSERT):
        warehouse.execute(
            f"delete from ops.profiles where dataset = ? and load_id in ({', '.join('?' for _ in chunk)})",
            (dataset.id, *chunk),
        )
    warehouse.execute(
        """
        update ops.profiles set min_value = null, max_value = null
        where dataset = ? and load_id in (select load_id from ops.loads where dataset = ? and purged_at is not null)
        """,
        (dataset.id, dataset.id),
    )


def _person(dataset: Dataset, text: str) -> tuple[str, list[object]]:
    """The condition for a person's rows, and its values. A number is compared as such: no conversion per row."""
    values: list[object] = [text if column.is_text else int(text) for column in dataset.identifying]
    return " or ".join(f"{column.name} = ?" for column in dataset.identifying), values


# ---------------------------------------------------------------- built tables


def built_tables(warehouse: Warehouse, names: Sequence[str], database: str | None = None) -> dict[str, list[str]]:
    """Tables outside raw and ops with a column of such a name -> those columns, all as queries spell them.

    ``user_id`` also finds ``similar_user_id``. ``database``: another than the one that dbt builds into. Branches'
    schemas and tables that no model builds any more are found too.
    """
    within = f"{database}." if database else ""
    ends = " or ".join("lower(columns.column_name) = ? or lower(columns.column_name) like ?" for _ in names)
    rows = warehouse.execute(
        f"""
        select lower(columns.table_schema), lower(columns.table_name), lower(columns.column_name)
        from {within}information_schema.columns as columns
        inner join {within}information_schema.tables as tables
            on
                columns.table_catalog = tables.table_catalog
                and columns.table_schema = tables.table_schema
                and columns.table_name = tables.table_name
        where
            tables.table_type = 'BASE TABLE'
            and columns.table_catalog = {f"'{database}'" if database else "current_database()"}
            and lower(columns.table_schema) not in ('raw', 'ops', 'information_schema')
            and ({ends})
        order by 1, 2, 3
        """,
        [value for name in names for value in (name, f"%_{name}")],
    )
    spell = warehouse.dialect.identifier
    found: dict[str, list[str]] = {}
    for schema, table, column in rows:
        if is_named(column, names):  # in LIKE, _ stands for any character
            found.setdefault(f"{within}{spell(schema)}.{spell(table)}", []).append(spell(column))
    return found


def is_named(column: str, names: Sequence[str]) -> bool:
    """Whether a column of a built table names a person, by its own name: ``user_id`` or ``similar_user_id``."""
    return any(column.lower() == name or column.lower().endswith(f"_{name}") for name in names)


def count_built(warehouse: Warehouse, tables: Mapping[str, Sequence[str]], text: str) -> dict[str, int]:
    """Table, as people write it -> rows that name a person, for those tables that have any."""
    counts = {
        table: int(
            warehouse.execute(f"select count(*) from {table} where {_any_is(columns)}", [text] * len(columns))[0][0]
        )
        for table, columns in tables.items()
    }
    return {table.replace('"', "").lower(): count for table, count in counts.items() if count}


def delete_built(warehouse: Warehouse, tables: Mapping[str, Sequence[str]], text: str) -> None:
    """Delete the rows of tables that name a person, and the samples of rows that failed tests have kept."""
    forget_states(warehouse)  # first: no build may take the tables for what builds have left
    for table, columns in tables.items():
        warehouse.execute(f"delete from {table} where {_any_is(columns)}", [text] * len(columns))
    if ("ops", "failing_rows") in warehouse.columns(("ops",)):
        warehouse.execute("delete from ops.failing_rows")


def _any_is(columns: Sequence[str]) -> str:
    return " or ".join(f"cast({column} as varchar) = ?" for column in columns)
