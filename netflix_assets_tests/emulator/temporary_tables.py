"""Temporary tables: each session keeps its own, in a schema that ``adaptations.py`` hides."""

from collections.abc import Callable

from duckdb import DuckDBPyConnection
from sqlglot import exp

from netflix_assets_tests.emulator.adaptations import TEMPORARY_SCHEMA

Parts = tuple[str, str, str]  # database, schema, table


class TemporaryTables:
    """The temporary tables of a session: DuckDB tables named ``schema.table`` in the session's hidden schema.

    ``parts_of`` completes the name of a table with the session's current database and schema.
    """

    def __init__(self, duck: DuckDBPyConnection, session: int, parts_of: Callable[[exp.Table], Parts | None]) -> None:
        self._duck = duck
        self._schema = f"{TEMPORARY_SCHEMA}{session}"
        self._parts_of = parts_of
        self._tables: set[Parts] = set()

    def drop_all(self) -> None:
        for database in {parts[0] for parts in self._tables}:
            self._duck.execute(f'drop schema if exists "{database}"."{self._schema}" cascade')

    def forget(self, database: str) -> None:
        """Forget the tables of a dropped database."""
        self._tables = {parts for parts in self._tables if parts[0] != database}

    def physical(self, parts: Parts) -> str:
        """The DuckDB name of the table that the session sees under this name."""
        if parts in self._tables:
            parts = (parts[0], self._schema, f"{parts[1]}.{parts[2]}")
        return ".".join(f'"{part}"' for part in parts)

    def created_by(self, statement: exp.Expression) -> Parts | None:
        """The name of the temporary table that the statement creates."""
        properties = statement.args.get("properties")
        if not isinstance(statement, exp.Create) or properties is None or not properties.find(exp.TemporaryProperty):
            return None
        properties.find(exp.TemporaryProperty).pop()
        return self._parts_of(statement.find(exp.Table))

    def rename_in(self, statement: exp.Expression, created: Parts | None) -> exp.Expression:
        """Rename the session's temporary tables in a statement to their DuckDB names."""
        known = self._tables | ({created} if created else set())
        if not known:
            return statement
        permanent = statement.find(exp.Table) if isinstance(statement, exp.Create) and created is None else None
        if created:
            self._duck.execute(f'create schema if not exists "{created[0]}"."{self._schema}"')
        local = {cte.alias.upper() for cte in statement.find_all(exp.CTE)}
        for table in list(statement.find_all(exp.Table)):
            parts = self._parts_of(table)
            is_local = not table.db and table.name.upper() in local
            if parts in known and not is_local and table is not permanent:
                self._rename(table, parts)
        return statement

    def _rename(self, table: exp.Table, parts: Parts) -> None:
        for column in table.root().find_all(exp.Column):
            if column.db and column.table.upper() == parts[2]:  # schema.table.column
                column.set("db", None)
                column.set("catalog", None)
        parent = table.parent
        takes_alias = isinstance(parent, exp.From | exp.Join | exp.Subquery | exp.Delete | exp.Update | exp.Merge)
        if takes_alias and not table.alias:
            table.set("alias", exp.TableAlias(this=table.this.copy()))
        table.set("catalog", exp.to_identifier(parts[0], quoted=True))
        table.set("db", exp.to_identifier(self._schema, quoted=True))
        table.set("this", exp.to_identifier(f"{parts[1]}.{parts[2]}", quoted=True))

    def note(self, statement: exp.Expression, created: Parts | None) -> None:
        """Record the tables that a statement created or dropped."""
        if created:
            self._tables.add(created)
        elif isinstance(statement, exp.Drop) and str(statement.args.get("kind")).upper() == "TABLE":
            dropped = {f"{parts[1]}.{parts[2]}": parts for parts in self._tables}
            for table in statement.find_all(exp.Table):
                if table.db == self._schema:
                    self._tables.discard(dropped.get(table.name, ("", "", "")))
