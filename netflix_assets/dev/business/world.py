"""The rows of the sample databases, and the transactions that change them.

A ``World`` has every row that is committed. It is the generator's own record: what the databases must contain, and what
the marts must say, can be worked out from it without them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Row = dict[str, Any]
Key = tuple[Any, ...]

# The primary key of each table, by database and in an order in which foreign keys allow to insert.
KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "crm": {
        "countries": ("country_code",),
        "customers": ("customer_id",),
        "addresses": ("address_id",),
        "support_tickets": ("ticket_id",),
    },
    "shop": {
        "product_types": ("product_type",),
        "products": ("product_id",),
        "product_prices": ("product_id", "currency", "valid_from"),
        "product_costs": ("product_id", "valid_from"),
        "promotions": ("promotion_id",),
        "orders": ("order_id",),
        "order_lines": ("order_id", "line_number"),
        "warehouses": ("warehouse_id",),
        "stock_levels": ("warehouse_id", "product_id", "counted_on"),
        "shipments": ("shipment_id",),
    },
    "finance": {
        "cards": ("card_id",),
        "payments": ("payment_id",),
        "refunds": ("refund_id",),
        "production_orders": ("production_order_id",),
    },
}
KEY_OF = {table: key for tables in KEYS.values() for table, key in tables.items()}
DATABASE_OF = {table: database for database, tables in KEYS.items() for table in tables}


@dataclass(frozen=True)
class Insert:
    """A new row."""

    table: str
    row: Row


@dataclass(frozen=True)
class Update:
    """New values of some columns of a row. The key does not change."""

    table: str
    key: Key
    values: Row


@dataclass(frozen=True)
class Delete:
    """A row that goes."""

    table: str
    key: Key


Change = Insert | Update | Delete


@dataclass(frozen=True)
class Transaction:
    """Changes of one database that commit together.

    day, number: its place; numbers count from 0 within the day.
    kind: what happens, for people and tests.
    at: when it begins, which is also the ``updated_at`` of what it writes.
    changes: what it writes, in this order.
    nested: written after that, under a savepoint which is released.
    undone: written after that, under a savepoint which is rolled back to.
    late_by: it commits after that many of the transactions that follow it.
    ends: how it ends.
    """

    database: str
    day: int
    number: int
    kind: str
    at: datetime
    changes: tuple[Change, ...]
    nested: tuple[Change, ...] = ()
    undone: tuple[Change, ...] = ()
    late_by: int = 0
    ends: Literal["commit", "rollback"] = "commit"


Event = tuple[Literal["begin", "end"], Transaction]


def events(transactions: Iterable[Transaction]) -> Iterator[Event]:
    """In which order transactions begin and end: one after the other, but for those that are late."""
    late: list[tuple[int, Transaction]] = []
    for position, transaction in enumerate(transactions):
        yield "begin", transaction
        if transaction.late_by:
            late.append((position + transaction.late_by, transaction))
            continue
        yield "end", transaction
        for due in [each for each in late if each[0] <= position]:
            late.remove(due)
            yield "end", due[1]
    for _, transaction in late:
        yield "end", transaction


@dataclass
class World:
    """All committed rows, by table and key, and the next free number of each table."""

    tables: dict[str, dict[Key, Row]] = field(default_factory=lambda: {table: {} for table in KEY_OF})
    numbers: dict[str, int] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> Row:
        """Add a row and return it."""
        self.tables[table][self.key_of(table, row)] = row
        return row

    def next(self, table: str) -> int:
        """The next free number of a table. As in a sequence, a number is not used twice, even after a rollback."""
        self.numbers[table] = self.numbers.get(table, 0) + 1
        return self.numbers[table]

    @staticmethod
    def key_of(table: str, row: Row) -> Key:
        """The primary key of a row."""
        return tuple(row[column] for column in KEY_OF[table])

    def rows(self, table: str) -> list[Row]:
        """The rows of a table, in the order in which they came."""
        return list(self.tables[table].values())

    def apply(self, transaction: Transaction) -> None:
        """What the end of a transaction makes of the rows."""
        if transaction.ends == "rollback":
            return
        for change in (*transaction.changes, *transaction.nested):
            rows = self.tables[change.table]
            if isinstance(change, Insert):
                key = self.key_of(change.table, change.row)
                if key in rows:
                    raise ValueError(f"{change.table} {key} exists")
                rows[key] = dict(change.row)
            elif isinstance(change, Update):
                rows[change.key] = {**rows[change.key], **change.values}
            else:
                del rows[change.key]
