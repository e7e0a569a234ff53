"""A table as the database describes it, compared with the contract: what is read, and what has changed since."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.extract import VERSION_COLUMNS
from netflix_assets.contracts.model import Dataset
from netflix_assets.contracts.visibility import counted
from netflix_assets.extract.errors import TableRefusedError, translated
from netflix_assets.extract.postgres.session import Session

MASK = "****"

_KINDS = {"r": "table", "p": "table", "m": "materialized view", "v": "view", "f": "foreign table"}
SYSTEM_COLUMNS = ("xmin", "tableoid")  # that tell which rows may have changed
_WITH_TRANSACTIONS = ("r", "p")  # relkind of relations whose rows have an xmin that means something

_INTEGERS = {"smallint": 1, "integer": 2, "bigint": 3}
_FLOATS = {"real": 1, "double precision": 2}
# What a contract's type can hold, by PostgreSQL's type without its length. Values that do not fit become rejects.
_FITTING = {
    "integer": {*_INTEGERS, "numeric"},
    "bigint": {*_INTEGERS, "numeric"},
    "double": {*_INTEGERS, *_FLOATS, "numeric"},
    "boolean": {"boolean"},
    "date": {"date"},
    "timestamp": {"timestamp without time zone", "timestamp with time zone"},
    "json": {"json", "jsonb", "text"},
}
_DECIMAL = {*_INTEGERS, "numeric"}


@dataclass(frozen=True)
class SourceColumn:
    """A column in the database. ``type``: as PostgreSQL writes it, ``numeric(10,2)``. ``is_list``: an array or row.

    ``number``: the column's in its table; it is never used again. ``definition``: of what computes its values, and of
    the type's values or fields.
    """

    name: str
    type: str
    is_list: bool
    number: int = 0
    definition: str = ""

    @property
    def base(self) -> str:
        """The type without length and precision."""
        return re.sub(r"\([0-9, ]+\)", "", self.type)

    @property
    def size(self) -> tuple[int, ...]:
        """Length, or precision and scale; empty without a limit."""
        found = re.search(r"\(([0-9, ]+)\)", self.type)
        return tuple(int(part) for part in found[1].split(",")) if found else ()


@dataclass(frozen=True)
class SourceTable:
    """A relation and its columns. ``kind``: of pg_class, ``q`` for a query. ``relation``: what to select from.

    ``oids``: of the table and its partitions, in order.
    """

    relation: sql.Composable
    kind: str
    columns: Mapping[str, SourceColumn]
    oids: tuple[int, ...] = ()

    @property
    def has_transactions(self) -> bool:
        """Whether rows carry the number of the transaction that wrote them."""
        return self.kind in _WITH_TRANSACTIONS

    @property
    def kind_name(self) -> str:
        """What messages call it."""
        return _KINDS.get(self.kind, "query")


def describe(session: Session, dataset: Dataset) -> SourceTable:
    """The dataset's table in the database. Raises: TableRefusedError when there is none."""
    extract = dataset.extraction
    if extract.query:
        return _describe_query(session, dataset, extract.query)
    schema, name = extract.relation
    found = session.rows(
        sql.SQL(
            """
            SELECT c.oid::bigint, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
            """
        ),
        {"schema": schema, "name": name},
    )
    if not found:
        raise TableRefusedError(
            f"database '{extract.database}' has no table {schema}.{name} that this role can see. Correct "
            "`table` in the contract, or create the table"
        )
    oid, kind = found[0]
    columns = session.rows(
        sql.SQL(
            """
            SELECT a.attname, format_type(t.oid, base.modifier), t.typcategory IN ('A', 'C'), a.attnum::int,
                   concat_ws(
                       ';', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END,
                       (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder)
                        FROM pg_enum WHERE enumtypid IN (t.oid, t.typelem)),
                       (SELECT string_agg(f.attname || ' ' || f.atttypid, ',' ORDER BY f.attnum)
                        FROM pg_type r JOIN pg_attribute f ON f.attrelid = r.typrelid
                        WHERE r.oid IN (t.oid, t.typelem) AND f.attnum > 0 AND NOT f.attisdropped))
            FROM pg_attribute a
            CROSS JOIN LATERAL (  -- a domain's type, which can be a domain
                WITH RECURSIVE step(oid, modifier) AS (
                    SELECT a.atttypid, a.atttypmod
                    UNION ALL SELECT s.typbasetype, s.typtypmod FROM step JOIN pg_type s USING (oid)
                    WHERE s.typtype = 'd'
                )
                SELECT step.* FROM step JOIN pg_type b USING (oid) WHERE b.typtype <> 'd'
            ) AS base
            JOIN pg_type t ON t.oid = base.oid
            LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
            """
        ),
        {"oid": oid},
    )
    parts = session.rows(
        sql.SQL(
            """
            WITH RECURSIVE part(oid) AS (
                SELECT %(oid)s::oid UNION SELECT inhrelid FROM pg_inherits JOIN part ON inhparent = part.oid
            )
            SELECT oid::bigint FROM part ORDER BY oid
            """
        ),
        {"oid": oid},
    )
    oids = tuple(int(row[0]) for row in parts)
    return SourceTable(sql.Identifier(schema, name), kind, {row[0]: SourceColumn(*row) for row in columns}, oids)


def _describe_query(session: Session, dataset: Dataset, query: str) -> SourceTable:
    relation = sql.SQL("({}) AS extracted").format(sql.SQL(query.rstrip().rstrip(";")))
    with translated(session.database):
        cursor = session.connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(relation))
        described = cursor.description or []
        result = cursor.pgresult
    if result is None or not described:
        raise TableRefusedError("the query returns no columns")
    columns = {}
    for at, column in enumerate(described):
        row = session.rows(
            sql.SQL("SELECT format_type(oid, %(size)s), typcategory IN ('A', 'C') FROM pg_type WHERE oid = %(oid)s"),
            {"size": result.fmod(at), "oid": column.type_code},
        )
        columns[column.name] = SourceColumn(column.name, *row[0])
    return SourceTable(relation, "q", columns)


def contract_columns(dataset: Dataset) -> tuple[Column, ...]:
    """The contract's columns that the database has: all but those that an extract adds."""
    added = {column.name for column in VERSION_COLUMNS} if dataset.tombstone else set()
    return tuple(column for column in dataset.columns if column.name not in added)


def check_columns(dataset: Dataset, table: SourceTable) -> tuple[str, ...]:
    """Compare the table with the contract. Returns what to tell people: columns that the contract does not have.

    Raises: TableRefusedError when a column is missing or has a type that the contract's cannot hold.
    """
    extract = dataset.extraction
    if extract.mode == "changes" and not table.has_transactions:
        raise TableRefusedError(
            f"{extract.table} is a {table.kind_name}, whose rows have no transaction numbers. Use "
            "`mode: snapshot`, or `mode: cursor` with a column that grows with each change"
        )
    wanted = contract_columns(dataset)
    missing = [column.file_name for column in wanted if column.file_name not in table.columns]
    unknown = [name for name in table.columns if name not in {column.file_name for column in wanted}]
    if missing:
        similar = f" It has {', '.join(unknown)}, which the contract does not." if unknown else ""
        raise TableRefusedError(
            f"{_named(dataset)} no longer has the column {', '.join(missing)}.{similar} What was "
            "extracted before stays. Put the column back, or correct the contract"
        )
    faults = [fault for column in wanted if (fault := _type_fault(column, table.columns[column.file_name]))]
    if faults:
        raise TableRefusedError(f"{_named(dataset)}: {'; '.join(faults)}")
    if not (new := [table.columns[name] for name in unknown if name not in extract.left_out]):
        return ()
    names = ", ".join(f"{column.name} ({column.type})" for column in new)
    return (
        f"{_named(dataset)} has {counted(len(new), 'column')} that the contract does not have: {names}. Not extracted; "
        "add to `columns`, or to `left_out`",
    )


def _named(dataset: Dataset) -> str:
    return dataset.extraction.table or "the query"


def _type_fault(column: Column, found: SourceColumn) -> str | None:
    if column.type == "text" or (column.type == "json" and found.is_list):
        return None
    fitting = _DECIMAL if column.scale is not None else _FITTING[column.type]
    if found.base in fitting:
        return None
    return f"column {found.name} is {found.type}, but the contract says {column.type}"


def compare_types(
    dataset: Dataset, before: Mapping[str, str], table: SourceTable
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Types that have changed since the last extract: what to tell people, and what has become narrower."""
    changed: list[str] = []
    narrower: list[str] = []
    for column in contract_columns(dataset):
        name = column.file_name
        old, new = before.get(name), table.columns[name]
        if old is None or old == new.type:
            continue
        text = f"{_named(dataset)}: column {name} was {old} and is {new.type} now"
        (narrower if _is_narrower(SourceColumn(name, old, new.is_list), new) else changed).append(text)
    return tuple(changed), tuple(narrower)


def _is_narrower(old: SourceColumn, new: SourceColumn) -> bool:
    """Whether values may have been cut or rounded when the type changed."""
    if old.base == new.base:
        if not new.size:
            return False
        if not old.size:
            return True
        return any(after < before for before, after in _pairs(old.size, new.size))
    for order in (_INTEGERS, _FLOATS):
        if old.base in order and new.base in order:
            return order[new.base] < order[old.base]
    widenings = {("text", "character varying"): bool(new.size), ("character varying", "text"): False}
    is_exact = old.base in _INTEGERS and new.base == "numeric" and not new.size
    return widenings.get((old.base, new.base), not is_exact)


def _pairs(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Length with length; digits before the point, and scale with scale."""
    if len(before) == len(after) == 2:
        yield before[0] - before[1], after[0] - after[1]
        yield before[1], after[1]
    else:
        yield from zip(before, after, strict=False)


def select_list(dataset: Dataset, table: SourceTable) -> list[sql.Composable]:
    """An expression for each contract column: its value as a text of the form that the contract's type has."""
    return [_expression(column, table.columns[column.file_name]) for column in contract_columns(dataset)]


def _expression(column: Column, found: SourceColumn) -> sql.Composable:
    name = sql.Identifier(found.name)
    if column.protect == "mask":
        # At least four characters stay hidden, also of a short value.
        shown = sql.SQL("right({0}::text, least(4, greatest(length({0}::text) - 4, 0)))").format(name)
        return sql.SQL("{} || {}").format(sql.Literal(MASK), shown)
    if found.base == "timestamp with time zone":
        return sql.SQL("({} AT TIME ZONE 'UTC')").format(name)
    if found.base == "bytea":
        return sql.SQL("encode({}, 'hex')").format(name)
    if found.is_list:
        return sql.SQL("to_json({})").format(name)
    if found.base in {"boolean", "character"}:  # CSV has t and f; blanks that only fill up a char(n) are not part of it
        return sql.SQL("{}::text").format(name)
    return name
