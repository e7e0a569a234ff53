"""A session: its statements in order, its transaction, its parameters, its temporary tables.

Where Snowflake differs from DuckDB in ways that a program must not rely on, the session refuses or emulates it:

- DDL commits an open transaction in Snowflake. Here it is an error: no statement of the project should do that.
- A statement sees everything that others committed before it (READ COMMITTED), also inside a transaction.
- Only one session at a time changes a database. The first change of a transaction waits up to LOCK_TIMEOUT_S seconds
  while another session has an open transaction with changes to the same database. In Snowflake only UPDATE, DELETE and
  MERGE of the same table wait for each other.
- A temporary table belongs to its session and may have the name of another session's or of a permanent table.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import fakesnow.checks  # noqa: F401 - imported before its users, as fakesnow's modules import each other
import sqlglot
from fakesnow import statement_type
from fakesnow.conn import FakeSnowflakeConnection
from fakesnow.cursor import FakeSnowflakeCursor
from sqlglot import exp

from netflix_assets_tests.emulator import patterns
from netflix_assets_tests.emulator.adaptations import DYNAMIC_TABLE, adapt
from netflix_assets_tests.emulator.copy_into import parse_copy, read_files
from netflix_assets_tests.emulator.ddl import is_wider, swap_schemas
from netflix_assets_tests.emulator.errors import SQLError, compilation_error, unsupported
from netflix_assets_tests.emulator.locks import LOCK_TIMEOUT_S, Locks
from netflix_assets_tests.emulator.results import Answer, rows_answer, status_answer
from netflix_assets_tests.emulator.stages import Stages, parse_name
from netflix_assets_tests.emulator.temporary_tables import TemporaryTables
from netflix_assets_tests.emulator.tokens import Tokens, text_of

MAX_QUERY_TAG = 2_000
DEFAULT_TIME_ZONE = "America/Los_Angeles"


@dataclass
class Session:
    """One connection of a client. Statements run one after another."""

    number: int
    connection: FakeSnowflakeConnection
    stages: Stages
    locks: Locks
    parameters: dict[str, Any] = field(default_factory=dict)
    role: str | None = None
    warehouse: str | None = None

    def __post_init__(self) -> None:
        self._duck = self.connection._duck_conn
        # Snowflake's default: a program that wants UTC must set it.
        self._duck.execute(f"set session timezone = '{DEFAULT_TIME_ZONE}'")
        self._temporary = TemporaryTables(self._duck, self.number, self._parts)
        self._in_transaction = False
        self._has_begun = False  # in DuckDB, where it begins with the first change
        self._running = threading.RLock()
        self.last_statement = ""

    @property
    def query_tag(self) -> str:
        return str(self.parameters.get("query_tag", ""))

    @property
    def database(self) -> str | None:
        return self.connection.database if self.connection.database_set else None

    @property
    def schema(self) -> str | None:
        return self.connection.schema if self.connection.schema_set else None

    def run(self, statement: str, bindings: list[Any], *, describe_only: bool = False) -> Answer:
        with self._running:
            self.last_statement = statement
            text = patterns.COMMENTS.sub("", statement).strip().rstrip(";").strip()
            if not text:
                raise SQLError("Empty SQL statement.", 900, "42601")
            if patterns.DDL.match(text) and self._in_transaction:
                raise SQLError("emulator: DDL inside a transaction would commit it", 90300, "0A000")
            if describe_only:
                raise unsupported("describing a query")
            for pattern, run in _STATEMENTS:
                if pattern.match(text):
                    return run(self, text)
            if patterns.DDL.match(text) or patterns.CHANGE.match(text):
                with self._changing(text):
                    return self._run_translated(text, bindings)
            return self._run_translated(text, bindings)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._running:
            self._end("rollback")
            self._temporary.drop_all()
            self.connection.close()

    # ---------------------------------------------------------------- transactions

    def _begin(self, _text: str) -> Answer:
        self._in_transaction = True  # a second BEGIN changes nothing
        return status_answer(type_id=statement_type.TCL)

    def _finish(self, text: str) -> Answer:
        self._end(text.split()[0].lower())
        return status_answer(type_id=statement_type.TCL)

    def _end(self, how: str) -> None:
        try:
            if self._has_begun:
                self._duck.execute(how)
        finally:
            self._in_transaction = self._has_begun = False
            self.locks.release(self)

    @contextmanager
    def _changing(self, text: str) -> Iterator[None]:
        """Hold the lock of the changed database until the transaction ends, or the statement if there is none."""
        if patterns.CHANGE.match(text) and not self.parameters.get("autocommit", True):
            self._in_transaction = True
        self.locks.acquire(
            self._target_database(text), self, float(self.parameters.get("lock_timeout", LOCK_TIMEOUT_S))
        )
        try:
            if self._in_transaction and not self._has_begun:
                self._duck.begin()
                self._has_begun = True
            yield
        finally:
            if not self._has_begun:
                self.locks.release(self)

    def _target_database(self, text: str) -> str:
        tokens = Tokens(text[:400])
        while tokens.peek() not in ("", "("):
            token = tokens.take()
            if token.count(".") == 2:
                return token.split(".")[0].upper()
        return self.database or ""

    # ---------------------------------------------------------------- parameters

    def _alter_session(self, text: str) -> Answer:
        tokens = Tokens(text)
        tokens.expect("alter", "session")
        if tokens.accept("unset"):
            while tokens.peek():
                tokens.accept(",")
                name = tokens.take().lower()
                self.parameters.pop(name, None)
                if name == "timezone":
                    self._duck.execute(f"set session timezone = '{DEFAULT_TIME_ZONE}'")
            return status_answer()
        tokens.expect("set")
        self.set_parameters({name: text_of(value) for name, value in tokens.options().items()})
        return status_answer()

    def set_parameters(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            key = name.lower()
            if key not in patterns.PARAMETERS and not key.startswith("client_"):
                raise SQLError(f"invalid parameter '{name}'", 2043, "42601")
            if key == "query_tag" and len(str(value)) > MAX_QUERY_TAG:
                raise SQLError(f"query tag of {len(value)} characters, the limit is {MAX_QUERY_TAG}", 1060, "22023")
            if key == "timezone":
                self._duck.execute(f"set session timezone = '{value}'")
            self.parameters[key] = str(value).lower() == "true" if str(value).lower() in ("true", "false") else value

    # ---------------------------------------------------------------- databases

    def _create_database(self, text: str) -> Answer:
        # It gets the schema PUBLIC, and both become the session's current ones. fakesnow creates no schema.
        answer = self._run_translated(text, [])
        name = self._parse(text).find(exp.Table).name.upper()
        self._run_translated(f"create schema if not exists {name}.public", [])
        return answer

    def _drop_database(self, text: str) -> Answer:
        # A database is attached to DuckDB, and the current database of a session cannot be detached.
        tokens = Tokens(text)
        tokens.expect("drop", "database")
        if_exists = tokens.accept("if", "exists")
        name = tokens.take().strip('"').upper()
        if name == self.database:
            self._duck.execute("use memory")
            self.connection.database_set = self.connection.schema_set = False
        self._temporary.forget(name)
        self._duck.execute(f'detach database {"if exists" if if_exists else ""} "{name}"')
        self.stages.forget(name)
        return status_answer(f"{name} successfully dropped.")

    def _create_schema(self, text: str) -> Answer:
        # Options after the name (managed access, retention, comment) have no counterpart.
        return self._run_translated(patterns.SCHEMA.match(text)[0], [])

    def _swap_schemas(self, text: str) -> Answer:
        names = [name.replace('"', "").upper().split(".") for name in patterns.SWAP.match(text).groups()]
        (database, first), (other_database, second) = [[self.database, *name][-2:] for name in names]
        if database != other_database:
            raise unsupported("swapping schemas of two databases")
        self.locks.acquire(database, self, LOCK_TIMEOUT_S)
        try:
            swap_schemas(self._duck, database, first, second)
        finally:
            self.locks.release(self)
        return status_answer()

    def _use_database(self, text: str) -> Answer:
        # The current schema becomes PUBLIC if it exists. fakesnow would set DuckDB's `main`.
        answer = self._run_translated(text, [])
        if self._duck.execute(
            "select 1 from duckdb_schemas() where database_name = ? and schema_name = 'PUBLIC'", [self.database]
        ).fetchall():
            self._run_translated("use schema public", [])
        return answer

    def _without_effect(self, text: str) -> Answer:
        if used := patterns.USE.match(text):
            setattr(self, used[1].lower(), used[2].strip('"').upper())
        return status_answer()

    # ---------------------------------------------------------------- stages

    def _create_stage(self, text: str) -> Answer:
        return status_answer(self.stages.create(Tokens(text), self.database, self.schema))

    def _put(self, text: str) -> Answer:
        return Answer(status_answer().table, upload=self.stages.upload(Tokens(text), self.database, self.schema))

    def _remove(self, text: str) -> Answer:
        return rows_answer(["name", "result"], self.stages.remove(Tokens(text), self.database, self.schema))

    def _list(self, text: str) -> Answer:
        return rows_answer(["name", "size", "md5"], self.stages.list(Tokens(text), self.database, self.schema))

    def _show_user_functions(self, _text: str) -> Answer:
        # dbt lists them with the tables of a schema; there are none.
        return rows_answer(["catalog_name", "schema_name", "name", "is_builtin"], [])

    def _copy(self, text: str) -> Answer:
        copy = parse_copy(text)
        target = self._temporary.physical(parse_name(copy.table, self.database, self.schema))
        with self._changing(text):
            table, loaded = read_files(copy, self.stages, self.database, self.schema)
            self._duck.register("_copied", table)
            try:
                self._duck.execute(f"insert into {target} ({', '.join(copy.columns)}) select * from _copied")
            finally:
                self._duck.unregister("_copied")
        names = ["file", "status", "rows_parsed", "rows_loaded", "error_limit", "errors_seen", "first_error"]
        rows = [(file.shown, "LOADED", file.rows, file.rows, 1, 0, None) for file in loaded]
        return rows_answer(names, rows, statement_type.COPY)

    def _parts(self, table: exp.Table) -> tuple[str, str, str] | None:
        if not isinstance(table.this, exp.Identifier):
            return None
        given = [table.args.get("catalog"), table.args.get("db"), table.this]
        names = [part and (part.name if part.quoted else part.name.upper()) for part in given]
        parts = (names[0] or self.database, names[1] or self.schema, names[2])
        return None if None in parts else parts

    # ---------------------------------------------------------------- what fakesnow translates

    def _create_dynamic_table(self, text: str) -> Answer:
        """Create a table that is marked as dynamic and never refreshed: dbt replaces it in every build."""
        statement = self._parse(text)
        given = {each.name.upper() for each in statement.args["properties"].expressions if type(each) is exp.Property}
        if "WAREHOUSE" not in given or not given & {"TARGET_LAG", "SCHEDULER"}:
            raise compilation_error("a dynamic table needs a warehouse, and a target_lag or a scheduler")
        with self._changing(text):
            answer = self._run_translated(text, [])
            table = self._temporary.physical(self._parts(statement.this))
            self._duck.execute(f"comment on table {table} is '{DYNAMIC_TABLE}'")
        return answer

    def _run_translated(self, text: str, bindings: list[Any]) -> Answer:
        if (values := patterns.VALUES.match(text)) and bindings:
            return self._insert_values(values, bindings)
        statement = self._parse(text)
        kind = statement_type.statement_type_id(statement)
        created = self._temporary.created_by(statement)
        self._check_column_change(statement)
        statement = self._temporary.rename_in(adapt(statement), created)
        cursor = self._execute(statement, bindings)
        self._temporary.note(statement, created)
        table = cursor._arrow_table
        if isinstance(statement, exp.Merge):
            return _merge_answer(statement, table, kind)
        return Answer(table, kind, is_change=kind in statement_type.DML_TYPE_IDS)

    def _insert_values(self, match: re.Match[str], bindings: list[Any]) -> Answer:
        # Thousands of bound values need no translation; fakesnow walks over each of them sixty times.
        target = self._temporary.physical(parse_name(match["table"], self.database, self.schema))
        sql = f"insert into {target} {match['columns'] or ''} values {match['rows']}"
        count = self._duck.execute(sql, bindings).fetchall()[0][0]
        answer = rows_answer(["number of rows inserted"], [(count,)], statement_type.INSERT)
        return Answer(answer.table, statement_type.INSERT, is_change=True)

    def _parse(self, text: str) -> exp.Expression:
        statements = [each for each in sqlglot.parse(text, read="snowflake") if each is not None]
        statements = [each for each in statements if not isinstance(each, exp.Semicolon)]
        if len(statements) != 1:
            message = f"Actual statement count {len(statements)} did not match the desired statement count 1."
            raise SQLError(message, 8, "0A000")
        statement = statements[0]
        if isinstance(statement, exp.Command | exp.Alias):
            raise unsupported(f"the statement '{text[:80]}'")
        return statement

    def _check_column_change(self, statement: exp.Expression) -> None:
        """SET DATA TYPE may only lengthen texts and add digits before the decimal point."""
        if not isinstance(statement, exp.Alter):
            return
        for action in statement.args.get("actions") or []:
            wanted = action.args.get("dtype") if isinstance(action, exp.AlterColumn) else None
            parts = self._parts(statement.this)
            if wanted is None or parts is None:
                continue
            column_types = self._duck.execute(
                "select data_type from duckdb_columns() "
                "where database_name = ? and schema_name = ? and table_name = ? and upper(column_name) = ?",
                [*parts, action.this.name.upper()],
            ).fetchall()
            if column_types and not is_wider(column_types[0][0], wanted.sql("duckdb")):
                column = action.this.name.upper()
                message = f"cannot change column {column} from type {column_types[0][0]} to {wanted.sql('snowflake')}"
                raise SQLError(f"SQL compilation error:\n{message}", 40052, "0A000")

    def _execute(self, statement: exp.Expression, bindings: list[Any]) -> FakeSnowflakeCursor:
        cursor = FakeSnowflakeCursor(self.connection, self._duck)
        cursor.check_db_and_schema(statement)
        for part in cursor._transform_explode(statement):
            transformed = cursor._transform(part, list(bindings))
            cursor._execute(transformed, list(bindings) if transformed.find(exp.Placeholder) else None)
        return cursor


def _merge_answer(statement: exp.Merge, table: Any, kind: int) -> Answer:
    actions = table.column(0).to_pylist()
    done = {type(when.args["then"]): when for when in statement.args["whens"].expressions}
    named = {"INSERT": (exp.Insert, "inserted"), "UPDATE": (exp.Update, "updated"), "DELETE": (exp.Var, "deleted")}
    counts = {
        f"number of rows {word}": actions.count(action) for action, (kind_, word) in named.items() if kind_ in done
    }
    answer = rows_answer(list(counts), [tuple(counts.values())], kind)
    return Answer(answer.table, kind, is_change=True)


_Run = Callable[[Session, str], Answer]


def _statement(pattern: str, run: _Run) -> tuple[re.Pattern[str], _Run]:
    return re.compile(pattern, re.IGNORECASE), run


# Statements that the session runs itself, without translation. The first match counts.
_STATEMENTS: tuple[tuple[re.Pattern[str], _Run], ...] = (
    (patterns.BEGIN, Session._begin),
    (patterns.END, Session._finish),
    _statement(r"alter\s+session\b", Session._alter_session),
    _statement(r"create\s+(or\s+replace\s+)?stage\b", Session._create_stage),
    _statement(r"put\s", Session._put),
    _statement(r"(remove|rm)\s", Session._remove),
    _statement(r"(list|ls)\s", Session._list),
    _statement(r"show\s+user\s+functions\b", Session._show_user_functions),
    _statement(r"copy\s+into\b", Session._copy),
    _statement(r"create\s+(or\s+replace\s+)?(transient\s+)?dynamic\s+table\b", Session._create_dynamic_table),
    _statement(r"create\s+(or\s+replace\s+)?(transient\s+)?database\s", Session._create_database),
    (patterns.SCHEMA, Session._create_schema),
    _statement(r"drop\s+database\s", Session._drop_database),
    _statement(r"use\s+database\s", Session._use_database),
    (patterns.SWAP, Session._swap_schemas),
    (patterns.WITHOUT_EFFECT, Session._without_effect),
)
