"""The statements that read a table: all rows, the rows that changed, the keys."""

import hashlib
import json
from collections.abc import Sequence

from psycopg import sql

from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.postgres.session import Snapshot
from netflix_assets.extract.postgres.state import State
from netflix_assets.extract.postgres.table import SourceTable, contract_columns, select_list

_TIMES = ("timestamp without time zone", "timestamp with time zone", "date")
_NUMBERS = 2**32  # transaction numbers in a row have 32 bits, without their epoch
_COMPARABLE = _NUMBERS // 2  # beyond this distance an old number looks like a new one


def select(
    expressions: Sequence[sql.Composable], relation: sql.Composable, where: sql.Composable | None = None
) -> sql.Composed:
    """SELECT of these expressions."""
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(expressions), relation)
    return query if where is None else sql.SQL("{} WHERE {}").format(query, where)


def versions(state: State) -> list[sql.Composable]:
    """The columns that mark the rows of an extract: its number, its time, and that they are there."""
    return [sql.Literal(state.number), sql.Literal(state.taken_at), sql.Literal("false")]


def keys(dataset: Dataset, table: SourceTable) -> list[sql.Composable]:
    """The key's columns, as ``select_list`` writes them."""
    names = [column.name for column in contract_columns(dataset)]
    expressions = select_list(dataset, table)
    return [expressions[names.index(name)] for name in dataset.key]


def where_changed(dataset: Dataset, table: SourceTable, before: State) -> sql.Composable:
    """The condition of rows that may have changed since an extract.

    By transaction: all rows from the oldest transaction on that was open then. Those between it and the newest were
    partly seen. They are read twice, because a snapshot does not name the subtransactions of open transactions.
    ``age`` counts 32-bit numbers around their wrap, and freezing keeps them (since PostgreSQL 9.4). A table that was
    swapped for another, or a partition that was attached, has rows of old transactions that were not there before.
    """
    changed = _where_newer(dataset, table, before)
    if not table.has_transactions:
        return changed
    known = sql.SQL(", ").join(map(sql.Literal, before.relations))
    return sql.SQL("{} OR tableoid NOT IN ({})").format(changed, known)


def _where_newer(dataset: Dataset, table: SourceTable, before: State) -> sql.Composable:
    if dataset.extraction.cursor is None:
        return sql.SQL("age(xmin) <= age({}::xid)").format(sql.Literal(str(before.xmin % _NUMBERS)))
    column = next(each for each in dataset.columns if each.name == dataset.extraction.cursor)
    found = table.columns[column.file_name]
    bound: sql.Composable = sql.SQL("{}::{}").format(sql.Literal(before.highest), sql.SQL(found.type))
    if found.base in _TIMES:
        bound = sql.SQL("{} - make_interval(secs => {})").format(
            bound, sql.Literal(dataset.extraction.lag_minutes * 60)
        )
    name = sql.Identifier(found.name)
    return sql.SQL("{} >= {} OR {} IS NULL").format(name, bound, name)


def highest(dataset: Dataset, table: SourceTable) -> sql.Composed:
    """The highest value of the cursor column, as text. Times in the future count as now: they would hide all others."""
    column = next(each for each in dataset.columns if each.name == dataset.extraction.cursor)
    found = table.columns[column.file_name]
    value: sql.Composable = sql.SQL("max({})").format(sql.Identifier(found.name))
    if found.base in _TIMES:
        value = sql.SQL("least({}, now()::{})").format(value, sql.SQL(found.type))
    return select([sql.SQL("({})::text").format(value)], table.relation)


def why_whole(before: State | None, snapshot: Snapshot, code: str) -> str:
    """Why changes since an extract cannot be identified, so that the whole table has to be read; empty if they can."""
    if before is None:
        return "the first extract"
    if not before.identity.is_continued_by(snapshot.identity):
        return "the server was restarted, restored, failed over or replaced"
    if snapshot.xmax < before.xmax or snapshot.position < before.position:
        return "the server was set back"
    if snapshot.xmax - before.xmin >= _COMPARABLE:
        return "too many transactions since the previous extract"
    if before.code != code:
        return "the columns have changed"
    return ""


def fingerprint(dataset: Dataset, table: SourceTable) -> str:
    """Of what decides how a row is read.

    Some changes of a table change what its rows say and write none of them: a column that is added, or dropped and
    added again, and an enumeration whose values are renamed.
    """
    parts = [
        [column.name, column.file_name, column.protect, found.type, found.number, found.definition]
        for column in contract_columns(dataset)
        for found in (table.columns[column.file_name],)
    ]
    extract = dataset.extraction
    place = [extract.table, extract.query, extract.mode, extract.cursor, dataset.key]
    return hashlib.sha256(json.dumps([parts, place]).encode()).hexdigest()[:16]
