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

from netflix_assets_tests.emulator.adaptations import DYNAMIC_TABLE, TEMPORARY_SCHEMA, adapt, quoted_word
from netflix_assets_tests.emulator.copy_into import parse_copy, read_files
from netflix_assets_tests.emulator.errors import SQLError, compilation_error, unsupported
from netflix_assets_tests.emulator.results import Answer, rows_answer, status_answer
from netflix_assets_tests.emulator.stages import Stages, parse_name
from netflix_assets_tests.emulator.tokens import Tokens, text_of

LOCK_TIMEOUT_S = 30.0
MAX_QUERY_TAG = 2_000
DEFAULT_TIME_ZONE = "America/Los_Angeles"

_COMMENTS = re.compile(r"^(\s+|--[^\n]*(\n|$)|/\*.*?\*/)+", re.DOTALL)
_DDL = re.compile(r"(create|drop|undrop|alter(?!\s+session)|truncate|comment|grant|revoke)\b", re.IGNORECASE)
_CHANGE = re.compile(r"(insert|update|delete|merge|copy)\b", re.IGNORECASE)
_BEGIN = re.compile(r"(begin|start\s+transaction)(\s+(work|transaction))?(\s+name\s+\w+)?$", re.IGNORECASE)
_END = re.compile(r"(commit|rollback)(\s+work)?$", re.IGNORECASE)

# Statements without a counterpart in DuckDB: accepted, logged for tests to assert, and without effect.
_OBJECTS = (
    r"warehouse|role|database\s+role|user|resource\s+monitor|(storage|notification|security|api)\s+integration|"
    r"network\s+(policy|rule)|authentication\s+policy|tag|masking\s+policy|pipe|task|stream|share|alert"
)
_WITHOUT_EFFECT = re.compile(
    rf"(create|alter|drop)\s+(or\s+replace\s+)?({_OBJECTS})\b"
    r"|(grant|revoke|comment)\b"
    r"|use\s+(role|warehouse|secondary\s+roles)\b"
    r"|alter\s+(account|database|schema|stage)\b|alter\s+dynamic\s+table\b"
    r"|alter\s+(table|view)\s+(if\s+exists\s+)?\S+\s+(set\s|unset\s|(alter|modify)\s+(column\s+)?\S+\s+comment\b)",
    re.IGNORECASE,
)
_REFRESH = re.compile(r"alter\s+dynamic\s+table\s+(?:if\s+exists\s+)?(\S+)\s+refresh\b", re.IGNORECASE)
_USE = re.compile(r"use\s+(role|warehouse)\s+(\S+)", re.IGNORECASE)
_SWAP = re.compile(r"alter\s+schema\s+([\w.\"]+)\s+swap\s+with\s+([\w.\"]+)$", re.IGNORECASE)
_SCHEMA = re.compile(r"create\s+(or\s+replace\s+)?schema\s+(if\s+not\s+exists\s+)?[\w.\"]+", re.IGNORECASE)
_VALUES = re.compile(
    r"insert\s+into\s+(?P<table>[\w.]+)\s*(?P<columns>\([\w\s,]+\))?\s*values\s*(?P<rows>(\(\s*\?(\s*,\s*\?)*\s*\)\s*,?\s*)+)$",
    re.IGNORECASE,
)
_PARAMETERS = {
    "abort_detached_query", "autocommit", "error_on_nondeterministic_merge", "lock_timeout", "multi_statement_count",
    "python_connector_query_result_format",
    "query_tag", "quoted_identifiers_ignore_case", "statement_queued_timeout_in_seconds",
    "statement_timeout_in_seconds", "timestamp_type_mapping", "timezone", "transaction_abort_on_error",
    "use_cached_result", "week_of_year_policy", "week_start",
}  # fmt: skip


class Locks:
    """Locks on databases: one session at a time changes a database, until its transaction ends."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders: dict[str, Session] = {}

    def acquire(self, database: str, session: "Session", timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._holders.get(database, session) is session, timeout):
                holder = self._holders[database]
                raise SQLError(
                    f"Session {holder.number} has changed {database} in a transaction that has not ended. Your "
                    f"statement was aborted because the number of waiters or the time to wait exceeds the limit: "
                    f"{timeout} s; its last statement was: {holder.last_statement[:200]}",
                    625,
                    "57014",
                )
            self._holders[database] = session

    def release(self, session: "Session") -> None:
        with self._changed:
            self._holders = {name: holder for name, holder in self._holders.items() if holder is not session}
            self._changed.notify_all()


@dataclass
class Session:
    """One connection of a client. Statements run one after another."""

    number: int
    connection: FakeSnowflakeConnection
    stages: Stages
    locks: Locks
    parameters: dict[str, Any] = field(default_factory=dict)
    user: str | None = None
    role: str | None = None
    warehouse: str | None = None

    def __post_init__(self) -> None:
        self._duck = self.connection._duck_conn
        # Snowflake's default: a program that wants UTC must set it.
        self._duck.execute(f"set session timezone = '{DEFAULT_TIME_ZONE}'")
        self._temporary: set[tuple[str, str, str]] = set()
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
            text = _COMMENTS.sub("", statement).strip().rstrip(";").strip()
            if not text:
                raise SQLError("Empty SQL statement.", 900, "42601")
            if _DDL.match(text) and self._in_transaction:
                raise SQLError("emulator: DDL inside a transaction would commit it", 90300, "0A000")
            if describe_only:
                return self._describe(text)
            for pattern, run in _STATEMENTS:
                if pattern.match(text):
                    return run(self, text)
            if _DDL.match(text) or _CHANGE.match(text):
                with self._changing(text):
                    return self._translated(text, bindings)
            return self._translated(text, bindings)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._running:
            self._end("rollback")
            for database in {parts[0] for parts in self._temporary}:
                self._duck.execute(f'drop schema if exists "{database}"."{self._temporary_schema}" cascade')
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
        if _CHANGE.match(text) and not self.parameters.get("autocommit", True):
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
            if key not in _PARAMETERS and not key.startswith("client_"):
                raise SQLError(f"invalid parameter '{name}'", 2043, "42601")
            if key == "query_tag" and len(str(value)) > MAX_QUERY_TAG:
                raise SQLError(f"query tag of {len(value)} characters, the limit is {MAX_QUERY_TAG}", 1060, "22023")
            if key == "timezone":
                self._duck.execute(f"set session timezone = '{value}'")
            self.parameters[key] = str(value).lower() == "true" if str(value).lower() in ("true", "false") else value

    # ---------------------------------------------------------------- databases

    def _create_database(self, text: str) -> Answer:
        # It gets the schema PUBLIC, and both become the session's current ones. fakesnow creates no schema.
        answer = self._translated(text, [])
        name = self._parsed(text).find(exp.Table).name.upper()
        self._translated(f"create schema if not exists {name}.public", [])
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
        self._temporary = {parts for parts in self._temporary if parts[0] != name}
        self._duck.execute(f'detach database {"if exists" if if_exists else ""} "{name}"')
        self.stages.forget(name)
        return status_answer(f"{name} successfully dropped.")

    def _create_schema(self, text: str) -> Answer:
        # Options after the name (managed access, retention, comment) have no counterpart.
        return self._translated(_SCHEMA.match(text)[0], [])

    def _swap_schemas(self, text: str) -> Answer:
        """Exchange the names of two schemas in one transaction. DuckDB can only rewrite their tables."""
        names = [name.replace('"', "").upper().split(".") for name in _SWAP.match(text).groups()]
        (database, first), (other_database, second) = [[self.database, *name][-2:] for name in names]
        if database != other_database:
            raise unsupported("swapping schemas of two databases")
        self.locks.acquire(database, self, LOCK_TIMEOUT_S)
        self._duck.begin()
        try:
            tables = {schema: self._taken_out(database, schema) for schema in (first, second)}
            for schema, found in ((first, tables[second]), (second, tables[first])):
                for name, rows in found.items():
                    self._duck.register("_swapped", rows)
                    self._duck.execute(f'create table "{database}"."{schema}"."{name}" as select * from _swapped')
                    self._duck.unregister("_swapped")
            self._duck.commit()
        except BaseException:  # whatever happened, a half-done swap must not stay open
            self._duck.rollback()
            raise
        finally:
            self.locks.release(self)
        return status_answer()

    def _taken_out(self, database: str, schema: str) -> dict[str, Any]:
        """Read the tables of a schema and drop them."""
        in_schema = "where database_name = ? and schema_name = ?"
        if not self._duck.execute(f"select 1 from duckdb_schemas() {in_schema}", [database, schema]).fetchall():
            raise SQLError(f"Schema '{database}.{schema}' does not exist or not authorized.", 2003, "02000")
        names = self._duck.execute(f"select table_name from duckdb_tables() {in_schema}", [database, schema]).fetchall()
        found = {}
        for (name,) in names:
            found[name] = self._duck.execute(f'select * from "{database}"."{schema}"."{name}"').to_arrow_table()
            self._duck.execute(f'drop table "{database}"."{schema}"."{name}"')
        return found

    def _use_database(self, text: str) -> Answer:
        # The current schema becomes PUBLIC if it exists. fakesnow would set DuckDB's `main`.
        answer = self._translated(text, [])
        if self._duck.execute(
            "select 1 from duckdb_schemas() where database_name = ? and schema_name = 'PUBLIC'", [self.database]
        ).fetchall():
            self._translated("use schema public", [])
        return answer

    def _without_effect(self, text: str) -> Answer:
        if used := _USE.match(text):
            setattr(self, used[1].lower(), used[2].strip('"').upper())
        return status_answer()

    # ---------------------------------------------------------------- stages

    def _create_stage(self, text: str) -> Answer:
        return status_answer(self.stages.create(Tokens(text), self.database, self.schema))

    def _drop_stage(self, text: str) -> Answer:
        return status_answer(self.stages.drop(Tokens(text), self.database, self.schema))

    def _put(self, text: str) -> Answer:
        return Answer(status_answer().table, upload=self.stages.upload(Tokens(text), self.database, self.schema))

    def _remove(self, text: str) -> Answer:
        return rows_answer(["name", "result"], self.stages.remove(Tokens(text), self.database, self.schema))

    def _list(self, text: str) -> Answer:
        return rows_answer(["name", "size", "md5"], self.stages.list(Tokens(text), self.database, self.schema))

    def _show_stages(self, _text: str) -> Answer:
        return rows_answer(["name", "database_name", "schema_name", "url"], self.stages.show())

    def _show_user_functions(self, _text: str) -> Answer:
        # dbt lists them with the tables of a schema; there are none.
        return rows_answer(["catalog_name", "schema_name", "name", "is_builtin"], [])

    def _copy(self, text: str) -> Answer:
        copy = parse_copy(text)
        target = self._physical(parse_name(copy.table, self.database, self.schema))
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

    # ---------------------------------------------------------------- what fakesnow translates

    def _create_dynamic_table(self, text: str) -> Answer:
        """Create a table with its statement as DuckDB comment. It is refreshed only on request."""
        statement = self._parsed(text)
        given = {each.name.upper() for each in statement.args["properties"].expressions if type(each) is exp.Property}
        if "WAREHOUSE" not in given or not given & {"TARGET_LAG", "SCHEDULER"}:
            raise compilation_error("a dynamic table needs a warehouse, and a target_lag or a scheduler")
        with self._changing(text):
            answer = self._translated(text, [])
            comment = (DYNAMIC_TABLE + text).replace("'", "''")
            self._duck.execute(f"comment on table {self._physical(self._parts(statement.this))} is '{comment}'")
        return answer

    def _refresh_dynamic_table(self, text: str) -> Answer:
        parts = self._parts(self._parsed(f"select * from {_REFRESH.match(text)[1]}").find(exp.Table))
        found = self._duck.execute(
            "select comment from duckdb_tables() where database_name = ? and schema_name = ? and table_name = ?", parts
        ).fetchone()
        if found is None or not str(found[0]).startswith(DYNAMIC_TABLE):
            raise compilation_error(f"dynamic table '{'.'.join(parts)}' does not exist or not authorized.")
        definition = found[0].removeprefix(DYNAMIC_TABLE)
        self._create_dynamic_table(
            re.sub(r"^create\s+(or\s+replace\s+)?", "create or replace ", definition, flags=re.I)
        )
        return status_answer()

    def _drop_dynamic_table(self, text: str) -> Answer:
        return self.run(re.sub(r"\bdynamic\s+", "", text, count=1, flags=re.IGNORECASE), [])

    def _translated(self, text: str, bindings: list[Any]) -> Answer:
        if (values := _VALUES.match(text)) and bindings:
            return self._insert_values(values, bindings)
        statement = self._parsed(text)
        kind = statement_type.statement_type_id(statement)
        created = self._temporary_target(statement)
        self._assert_alterable(statement)
        statement = self._with_context(self._with_temporary_tables(adapt(statement), created))
        cursor = self._executed(statement, bindings)
        self._note_temporary(statement, created)
        table = cursor._arrow_table
        if isinstance(statement, exp.Merge):
            return _merge_answer(statement, table, kind)
        return Answer(table, kind, is_change=kind in statement_type.DML_TYPE_IDS)

    def _insert_values(self, match: re.Match[str], bindings: list[Any]) -> Answer:
        # Thousands of bound values need no translation; fakesnow walks over each of them sixty times.
        target = self._physical(parse_name(match["table"], self.database, self.schema))
        columns = [quoted_word(name) for name in (match["columns"] or "").strip("()").split(",") if name.strip()]
        named = f"({', '.join(columns)})" if columns else ""
        sql = f"insert into {target} {named} values {match['rows']}"
        count = self._duck.execute(sql, bindings).fetchall()[0][0]
        answer = rows_answer(["number of rows inserted"], [(count,)], statement_type.INSERT)
        return Answer(answer.table, statement_type.INSERT, is_change=True)

    def _parsed(self, text: str) -> exp.Expression:
        statements = [each for each in sqlglot.parse(text, read="snowflake") if each is not None]
        statements = [each for each in statements if not isinstance(each, exp.Semicolon)]
        if len(statements) != 1:
            message = f"Actual statement count {len(statements)} did not match the desired statement count 1."
            raise SQLError(message, 8, "0A000")
        statement = statements[0]
        if isinstance(statement, exp.Command | exp.Alias):
            raise unsupported(f"the statement '{text[:80]}'")
        return statement

    def _with_context(self, statement: exp.Expression) -> exp.Expression:
        """Replace the context functions of the session: DuckDB has no roles or warehouses."""
        known = {"ROLE": self.role, "WAREHOUSE": self.warehouse, "USER": self.user, "SESSION": str(self.number)}

        def told(node: exp.Expression) -> exp.Expression:
            name = node.name if isinstance(node, exp.Anonymous) else getattr(node, "sql_name", str)()
            asked = name.upper().removeprefix("CURRENT_") if isinstance(node, exp.Func) else ""
            if asked not in known or not name.upper().startswith("CURRENT_"):
                return node
            return exp.null() if known[asked] is None else exp.Literal.string(known[asked])

        return statement.transform(told, copy=False)

    def _assert_alterable(self, statement: exp.Expression) -> None:
        """SET DATA TYPE may only lengthen texts and add digits before the decimal point."""
        if not isinstance(statement, exp.Alter):
            return
        for action in statement.args.get("actions") or []:
            wanted = action.args.get("dtype") if isinstance(action, exp.AlterColumn) else None
            parts = self._parts(statement.this)
            if wanted is None or parts is None:
                continue
            found = self._duck.execute(
                "select data_type from duckdb_columns() "
                "where database_name = ? and schema_name = ? and table_name = ? and upper(column_name) = ?",
                [*parts, action.this.name.upper()],
            ).fetchall()
            if found and not _is_wider(found[0][0], wanted.sql("duckdb")):
                column = action.this.name.upper()
                message = f"cannot change column {column} from type {found[0][0]} to {wanted.sql('snowflake')}"
                raise SQLError(f"SQL compilation error:\n{message}", 40052, "0A000")

    def _executed(self, statement: exp.Expression, bindings: list[Any]) -> FakeSnowflakeCursor:
        cursor = FakeSnowflakeCursor(self.connection, self._duck)
        cursor.check_db_and_schema(statement)
        for part in cursor._transform_explode(statement):
            transformed = cursor._transform(part, list(bindings))
            cursor._execute(transformed, list(bindings) if transformed.find(exp.Placeholder) else None)
        return cursor

    def _describe(self, text: str) -> Answer:
        statement = self._parsed(text)
        if not isinstance(statement, exp.Query):
            raise unsupported("describing anything but a query")
        kind = statement_type.statement_type_id(statement)
        without_binds = statement.transform(lambda node: exp.null() if isinstance(node, exp.Placeholder) else node)
        nothing = (
            exp.select("*")
            .from_(self._with_temporary_tables(adapt(without_binds), None).subquery("described"))
            .limit(0)
        )
        return Answer(self._executed(nothing, [])._arrow_table, kind)

    # ---------------------------------------------------------------- temporary tables

    @property
    def _temporary_schema(self) -> str:
        return f"{TEMPORARY_SCHEMA}{self.number}"

    def _physical(self, parts: tuple[str, str, str]) -> str:
        """The DuckDB name of the table that the session sees under this name."""
        if parts in self._temporary:
            parts = (parts[0], self._temporary_schema, f"{parts[1]}.{parts[2]}")
        return ".".join(f'"{part}"' for part in parts)

    def _parts(self, table: exp.Table) -> tuple[str, str, str] | None:
        if not isinstance(table.this, exp.Identifier):
            return None
        given = [table.args.get("catalog"), table.args.get("db"), table.this]
        names = [part and (part.name if part.quoted else part.name.upper()) for part in given]
        parts = (names[0] or self.database, names[1] or self.schema, names[2])
        return None if None in parts else parts

    def _temporary_target(self, statement: exp.Expression) -> tuple[str, str, str] | None:
        """The name of the temporary table that the statement creates."""
        properties = statement.args.get("properties")
        if not isinstance(statement, exp.Create) or properties is None or not properties.find(exp.TemporaryProperty):
            return None
        properties.find(exp.TemporaryProperty).pop()
        return self._parts(statement.find(exp.Table))

    def _with_temporary_tables(self, statement: exp.Expression, created: tuple[str, str, str] | None) -> exp.Expression:
        """Rename the session's temporary tables in a statement to their DuckDB names."""
        known = self._temporary | ({created} if created else set())
        if not known:
            return statement
        permanent = statement.find(exp.Table) if isinstance(statement, exp.Create) and created is None else None
        if created:
            self._duck.execute(f'create schema if not exists "{created[0]}"."{self._temporary_schema}"')
        local = {cte.alias.upper() for cte in statement.find_all(exp.CTE)}
        for table in list(statement.find_all(exp.Table)):
            parts = self._parts(table)
            is_local = not table.db and table.name.upper() in local
            if parts in known and not is_local and table is not permanent:
                self._rename(table, parts)
        return statement

    def _rename(self, table: exp.Table, parts: tuple[str, str, str]) -> None:
        for column in table.root().find_all(exp.Column):
            if column.db and column.table.upper() == parts[2]:  # schema.table.column
                column.set("db", None)
                column.set("catalog", None)
        parent = table.parent
        takes_alias = isinstance(parent, exp.From | exp.Join | exp.Subquery | exp.Delete | exp.Update | exp.Merge)
        if takes_alias and not table.alias:
            table.set("alias", exp.TableAlias(this=table.this.copy()))
        table.set("catalog", exp.to_identifier(parts[0], quoted=True))
        table.set("db", exp.to_identifier(self._temporary_schema, quoted=True))
        table.set("this", exp.to_identifier(f"{parts[1]}.{parts[2]}", quoted=True))

    def _note_temporary(self, statement: exp.Expression, created: tuple[str, str, str] | None) -> None:
        if created:
            self._temporary.add(created)
        elif isinstance(statement, exp.Drop) and str(statement.args.get("kind")).upper() == "TABLE":
            dropped = {f"{parts[1]}.{parts[2]}": parts for parts in self._temporary}
            for table in statement.find_all(exp.Table):
                if table.db == self._temporary_schema:
                    self._temporary.discard(dropped.get(table.name, ("", "", "")))


def _is_wider(found: str, wanted: str) -> bool:
    (found_digits, found_scale), (digits, scale) = _digits(found), _digits(wanted)
    if found_digits is None or digits is None:
        return found.partition("(")[0] == wanted.partition("(")[0].replace("TEXT", "VARCHAR")
    return digits >= found_digits and scale == found_scale


def _digits(kind: str) -> tuple[int | None, int]:
    if kind in ("BIGINT", "INT", "INTEGER", "HUGEINT", "DECIMAL"):
        return 38, 0
    match = re.fullmatch(r"DECIMAL\((\d+)(?:, ?(\d+))?\)", kind)
    return (int(match[1]), int(match[2] or 0)) if match else (None, 0)


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
    (_BEGIN, Session._begin),
    (_END, Session._finish),
    _statement(r"alter\s+session\b", Session._alter_session),
    _statement(r"create\s+(or\s+replace\s+)?(temporary\s+)?stage\b", Session._create_stage),
    _statement(r"drop\s+stage\b", Session._drop_stage),
    _statement(r"put\s", Session._put),
    _statement(r"(remove|rm)\s", Session._remove),
    _statement(r"(list|ls)\s", Session._list),
    _statement(r"show\s+stages\b", Session._show_stages),
    _statement(r"show\s+user\s+functions\b", Session._show_user_functions),
    _statement(r"copy\s+into\b", Session._copy),
    _statement(r"create\s+(or\s+replace\s+)?(transient\s+)?dynamic\s+table\b", Session._create_dynamic_table),
    _statement(r"drop\s+dynamic\s+table\b", Session._drop_dynamic_table),
    (_REFRESH, Session._refresh_dynamic_table),
    _statement(r"create\s+(or\s+replace\s+)?(transient\s+)?database\s", Session._create_database),
    (_SCHEMA, Session._create_schema),
    _statement(r"drop\s+database\s", Session._drop_database),
    _statement(r"use\s+database\s", Session._use_database),
    (_SWAP, Session._swap_schemas),
    (_WITHOUT_EFFECT, Session._without_effect),
)
