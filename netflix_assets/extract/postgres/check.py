"""What a database still needs for its extracts: each problem with the statement that fixes it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.errors import TableRefusedError
from netflix_assets.extract.postgres.session import Session, open_session
from netflix_assets.extract.postgres.table import SYSTEM_COLUMNS, SourceTable, check_columns, contract_columns, describe
from netflix_assets.settings import Settings


@dataclass(frozen=True)
class Finding:
    """Something about a database or one of its tables. ``is_problem``: whether extracts fail or are refused by it."""

    subject: str
    text: str
    is_problem: bool


def check_database(database: str, datasets: Sequence[Dataset], settings: Settings) -> list[Finding]:
    """Look at a database as an extract would, without reading rows. Raises: SourceError, SourceUnavailableError."""
    with open_session(database, settings.databases.get(database), exclusive=False) as session:
        findings = [*_check_server(session)]
        for dataset in datasets:
            findings += _check_table(session, dataset)
    return findings


def _check_server(session: Session) -> Iterator[Finding]:
    connection = session.connection
    version = connection.info.server_version
    role = "a replica" if session.snapshot.is_replica else "the primary server"
    text = f"PostgreSQL {version // 10_000}.{version % 10_000}, {role}, as {connection.info.user}"
    yield Finding(session.database, text, is_problem=False)
    ((is_superuser, can_write),) = session.rows(
        sql.SQL(
            "SELECT rolsuper, has_database_privilege(current_database(), 'CREATE') FROM pg_roles "
            "WHERE rolname = current_user"
        )
    )
    if is_superuser or can_write:
        yield Finding(
            session.database,
            f"the role {connection.info.user} may do more than read. Extracts are read-only transactions, but use a "
            "role of their own: CREATE ROLE netflix_reader LOGIN PASSWORD '…'",
            is_problem=False,
        )
    if session.snapshot.is_replica and session.rows(sql.SQL("SHOW hot_standby_feedback"))[0][0] == "off":
        yield Finding(
            session.database,
            "hot_standby_feedback is off, so the server may cancel a long extract (canceling statement due to conflict "
            "with recovery); it is retried. To avoid it: ALTER SYSTEM SET hot_standby_feedback = on",
            is_problem=False,
        )


def _check_table(session: Session, dataset: Dataset) -> Iterator[Finding]:
    try:
        table = describe(session, dataset)
        news = check_columns(dataset, table)
    except TableRefusedError as error:
        yield Finding(dataset.id, str(error), is_problem=True)
        return
    for each in news:
        yield Finding(dataset.id, each, is_problem=False)
    extract = dataset.extraction
    if not extract.table:
        return
    schema, name = extract.relation
    problems = [*_missing_rights(session, dataset, table, schema, name)]
    yield from problems
    if extract.has_versions:
        yield from _check_key(session, dataset, schema, name)
    if not problems:
        rows, size = _size(session, schema, name)
        yield Finding(dataset.id, f"{extract.table}: {extract.mode}, about {rows:,} rows, {size}", is_problem=False)


def _missing_rights(
    session: Session, dataset: Dataset, table: SourceTable, schema: str, name: str
) -> Iterator[Finding]:
    user = sql.Identifier(session.connection.info.user)
    wanted = [column.file_name for column in contract_columns(dataset)]
    if dataset.extraction.has_versions and table.has_transactions:
        wanted += SYSTEM_COLUMNS  # a right to read some columns does not include them
    ((may_use,),) = session.rows(sql.SQL("SELECT has_schema_privilege(%(schema)s, 'USAGE')"), {"schema": schema})
    denied = [
        row[0]
        for row in session.rows(
            sql.SQL(
                "SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(name)s "
                "AND a.attname = ANY(%(columns)s) AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')"
            ),
            {"schema": schema, "name": name, "columns": wanted},
        )
    ]
    grants = []
    if not may_use:
        grants.append(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), user))
    if denied:
        columns = sql.SQL(", ").join(map(sql.Identifier, wanted))
        grants.append(sql.SQL("GRANT SELECT ({}) ON {} TO {}").format(columns, sql.Identifier(schema, name), user))
    for grant in grants:
        yield Finding(dataset.id, f"no right to read it: {grant.as_string(session.connection)};", is_problem=True)
    if session.rows(
        sql.SQL(
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s "
            "AND c.relname = %(name)s AND row_security_active(c.oid)"
        ),
        {"schema": schema, "name": name},
    ):
        statement = sql.SQL("ALTER ROLE {} BYPASSRLS").format(user).as_string(session.connection)
        yield Finding(
            dataset.id,
            f"row-level security hides rows from this role, so the extract would be incomplete and fails: {statement}; "
            "or extract a view",
            is_problem=True,
        )


def _check_key(session: Session, dataset: Dataset, schema: str, name: str) -> Iterator[Finding]:
    names = {column.name: column.file_name for column in dataset.columns}
    key = sorted(names[each] for each in dataset.key)
    unique = session.rows(
        sql.SQL(
            """
            SELECT array_agg(a.attname::text ORDER BY a.attname), bool_and(a.attnotnull)
            FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
            WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND i.indisunique AND i.indpred IS NULL
            GROUP BY i.indexrelid
            """
        ),
        {"schema": schema, "name": name},
    )
    if not any(set(columns) <= set(key) and is_set for columns, is_set in unique):
        yield Finding(
            dataset.id,
            f"nothing in the database keeps the key ({', '.join(dataset.key)}) unique and not null. Two rows with the "
            "same key would become one. Add a primary key, correct `key` in the contract, or use mode: snapshot",
            is_problem=dataset.extraction.mode == "changes",
        )


def _size(session: Session, schema: str, name: str) -> tuple[int, str]:
    ((rows, size),) = session.rows(
        sql.SQL(
            "SELECT greatest(c.reltuples, 0)::bigint, pg_size_pretty(pg_total_relation_size(c.oid)) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(name)s"
        ),
        {"schema": schema, "name": name},
    )
    return int(rows), str(size)
